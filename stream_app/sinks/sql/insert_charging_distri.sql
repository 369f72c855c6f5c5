INSERT INTO {database}.ads_operation_crm_charging_distri
(operator_id, group_id, stat_date, slot, charge_count, partition, as_of, version)
VALUES

INSERT INTO {database}.ads_operation_crm_groups (operator_id, group_id, name, listed, partition, version) VALUES

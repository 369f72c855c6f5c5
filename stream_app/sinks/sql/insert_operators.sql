INSERT INTO {database}.ads_operation_crm_operators
(operator_id, name, timezone, currency, today, first_month, first_day, partition, version)
VALUES

INSERT INTO {database}.ads_operation_crm_writes (operator_id, mark) VALUES

INSERT INTO {database}.ads_operation_crm_as_of (partition, as_of) VALUES

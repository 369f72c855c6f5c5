INSERT INTO {database}.ads_operation_crm_migrations (version, part) VALUES

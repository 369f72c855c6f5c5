SELECT DISTINCT version, part
FROM {database}.ads_operation_crm_migrations

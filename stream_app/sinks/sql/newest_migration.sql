SELECT version, part
FROM {database}.ads_operation_crm_migrations
ORDER BY version DESC, part DESC
LIMIT 1

SELECT operator_id, name, timezone, currency
FROM {database}.ads_operation_crm_operators FINAL
ORDER BY operator_id

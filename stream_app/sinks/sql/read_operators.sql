SELECT operator_id, name, timezone, currency
FROM {database}.ads_operation_crm_operators FINAL
WHERE operator_id != 'crm-stats.probe'
ORDER BY operator_id

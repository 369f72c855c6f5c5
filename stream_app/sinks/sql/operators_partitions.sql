SELECT operator_id, partition
FROM {database}.ads_operation_crm_operators FINAL
WHERE operator_id IN %(operators)s

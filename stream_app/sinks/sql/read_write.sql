SELECT max(mark)
FROM {database}.ads_operation_crm_writes
WHERE operator_id = %(operator)s

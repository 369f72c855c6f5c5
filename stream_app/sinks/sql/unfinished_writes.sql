SELECT operator_id
FROM {database}.ads_operation_crm_writes
GROUP BY operator_id
HAVING max(mark) % 2 = 0

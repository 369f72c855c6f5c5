SELECT operator_id, group_id, name, listed
FROM {database}.ads_operation_crm_groups FINAL
WHERE partition = %(partition)s AND (listed OR name IS NOT NULL)

SELECT group_id, name
FROM {database}.ads_operation_crm_groups FINAL
WHERE operator_id = %(operator)s AND (listed OR name IS NOT NULL)

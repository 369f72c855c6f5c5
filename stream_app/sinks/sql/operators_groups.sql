SELECT operator_id, group_id, name, listed
FROM {database}.ads_operation_crm_groups FINAL
WHERE operator_id IN %(operators)s

SELECT name, timezone, currency, today, first_month, first_day, partition
FROM {database}.ads_operation_crm_operators FINAL
WHERE operator_id = %(operator)s

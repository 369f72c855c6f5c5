SELECT operator_id, name, timezone, currency, today, first_month, first_day
FROM {database}.ads_operation_crm_operators FINAL
WHERE partition = %(partition)s

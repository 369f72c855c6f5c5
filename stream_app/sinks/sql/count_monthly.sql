SELECT
    operator_id,
    toYYYYMM(stat_month) AS month,
    count() AS row_count,
    sum(version) AS versions
FROM {database}.ads_operation_crm_monthly FINAL
WHERE partition = %(partition)s AND stat_month >= toDate(%(first)s)
GROUP BY operator_id, month

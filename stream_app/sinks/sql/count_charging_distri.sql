SELECT
    operator_id,
    stat_date,
    count() AS row_count,
    sum(version) AS versions
FROM {database}.ads_operation_crm_charging_distri FINAL
WHERE partition = %(partition)s AND stat_date >= toDate(%(first)s)
GROUP BY operator_id, stat_date

SELECT
    slot,
    sumIf(charge_count, stat_date BETWEEN toDate(%(from)s) AND toDate(%(to)s)) AS charges,
    max(version) AS newest
FROM {database}.ads_operation_crm_charging_distri FINAL
WHERE operator_id = %(operator)s AND group_id = %(group)s AND stat_date >= toDate(%(first)s)
GROUP BY slot

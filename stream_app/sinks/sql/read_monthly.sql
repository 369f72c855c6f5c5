SELECT
    toYYYYMM(stat_month) AS month,
    currency,
    received_amount,
    discount_amount,
    refunded_amount,
    payment_count,
    paying_customers,
    anonymous_amount,
    session_count,
    charging_customers,
    anonymous_session_count,
    toUnixTimestamp(as_of) AS as_of_seconds,
    version
FROM {database}.ads_operation_crm_monthly FINAL
WHERE operator_id = %(operator)s AND group_id = %(group)s AND stat_month >= toDate(%(first)s)

CREATE VIEW IF NOT EXISTS {database}.ads_operation_crm_monthly_current AS
SELECT
    operator_id,
    group_id,
    stat_month,
    currency,
    received_amount,
    discount_amount,
    refunded_amount,
    payment_count,
    paying_customers,
    per_capita_payment,
    session_count,
    charging_customers,
    per_capita_frequency,
    anonymous_amount,
    anonymous_session_count,
    partition,
    as_of,
    version
FROM {database}.ads_operation_crm_monthly FINAL
WHERE operator_id != 'crm-stats.probe'

CREATE TABLE IF NOT EXISTS {database}.ads_operation_crm_monthly
(
    operator_id String,
    group_id String,
    stat_month Date,
    currency String,
    received_amount Decimal(38, 4),
    discount_amount Decimal(38, 4),
    refunded_amount Decimal(38, 4),
    payment_count UInt64,
    paying_customers UInt64,
    per_capita_payment Decimal(38, 4),
    session_count UInt64,
    charging_customers UInt64,
    per_capita_frequency Decimal(18, 2),
    anonymous_amount Decimal(38, 4),
    anonymous_session_count UInt64,
    partition UInt16,
    as_of DateTime('UTC'),
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(stat_month)
ORDER BY (operator_id, group_id, stat_month, currency)

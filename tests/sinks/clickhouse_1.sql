CREATE DATABASE IF NOT EXISTS {database}
;
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
;
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
;
CREATE TABLE IF NOT EXISTS {database}.ads_operation_crm_charging_distri
(
    operator_id String,
    group_id String,
    stat_date Date,
    slot UInt8,
    charge_count UInt64,
    partition UInt16,
    as_of DateTime('UTC'),
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(stat_date)
ORDER BY (operator_id, group_id, stat_date, slot)
;
CREATE VIEW IF NOT EXISTS {database}.ads_operation_crm_charging_distri_current AS
SELECT
    operator_id,
    group_id,
    stat_date,
    slot,
    charge_count,
    partition,
    as_of,
    version
FROM {database}.ads_operation_crm_charging_distri FINAL
WHERE operator_id != 'crm-stats.probe'
;
CREATE TABLE IF NOT EXISTS {database}.ads_operation_crm_as_of
(
    partition UInt16,
    as_of DateTime('UTC')
)
ENGINE = ReplacingMergeTree(as_of)
ORDER BY partition
;
CREATE TABLE IF NOT EXISTS {database}.ads_operation_crm_operators
(
    operator_id String,
    name Nullable(String),
    timezone String,
    currency String,
    today Date,
    first_month Date,
    first_day Date,
    partition UInt16,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY operator_id
;
CREATE TABLE IF NOT EXISTS {database}.ads_operation_crm_groups
(
    operator_id String,
    group_id String,
    name Nullable(String),
    listed UInt8,
    partition UInt16,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (operator_id, group_id)
;

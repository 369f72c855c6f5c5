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

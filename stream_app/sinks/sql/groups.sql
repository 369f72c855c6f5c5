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

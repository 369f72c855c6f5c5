CREATE TABLE IF NOT EXISTS {database}.ads_operation_crm_writes
(
    operator_id String,
    mark UInt64
)
ENGINE = ReplacingMergeTree(mark)
ORDER BY operator_id

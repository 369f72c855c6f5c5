CREATE TABLE IF NOT EXISTS {database}.ads_operation_crm_moves
(
    generation UInt32,
    partitions UInt16,
    partition UInt16,
    filled UInt8
)
ENGINE = ReplacingMergeTree(filled)
ORDER BY (generation, partition)

CREATE TABLE IF NOT EXISTS {database}.ads_operation_crm_as_of
(
    partition UInt16,
    as_of DateTime('UTC')
)
ENGINE = ReplacingMergeTree(as_of)
ORDER BY partition

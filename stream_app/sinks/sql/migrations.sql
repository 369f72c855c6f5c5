CREATE TABLE IF NOT EXISTS {database}.ads_operation_crm_migrations
(
    version UInt16,
    part UInt16,
    done_at DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree
ORDER BY (version, part)

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

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

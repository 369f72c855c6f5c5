SELECT partition, toUnixTimestamp(max(as_of)) AS as_of_seconds
FROM {database}.ads_operation_crm_as_of
GROUP BY partition

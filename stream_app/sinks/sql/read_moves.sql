SELECT generation, partitions, partition, max(filled) AS is_filled
FROM {database}.ads_operation_crm_moves
GROUP BY generation, partitions, partition

INSERT INTO {database}.ads_operation_crm_moves (generation, partitions, partition, filled) VALUES

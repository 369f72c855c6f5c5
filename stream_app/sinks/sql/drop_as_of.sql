ALTER TABLE {database}.ads_operation_crm_as_of
DELETE WHERE partition >= %(partitions)s

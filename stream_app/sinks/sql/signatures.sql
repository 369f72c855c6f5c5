SELECT
    name,
    toUnixTimestamp(metadata_modification_time) AS modified,
    first_block,
    last_block
FROM system.tables
ANY LEFT JOIN
(
    SELECT
        table AS name,
        min(min_block_number) AS first_block,
        max(max_block_number) AS last_block
    FROM system.parts
    WHERE database = %(database)s AND active AND rows > 0
    GROUP BY table
) AS parts USING (name)
WHERE database = %(database)s AND name IN %(tables)s

SELECT table, name
FROM system.columns
WHERE database = %(database)s

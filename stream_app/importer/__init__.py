"""Files of others -> records of the source topics: read, map, send. What a map says stands in docs/import.md."""

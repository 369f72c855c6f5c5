"""Copies of what is committed: Redis, ClickHouse, result topics, dead letters.

Writer and reader of one format stand side by side.
"""

import os

# The driver makes a table of all dates when it is imported, a sixth of the CPU time of a worker's start; so it makes those that are asked for.
os.environ.setdefault("CLICKHOUSE_DRIVER_LASY_DATE_LUT", "1")

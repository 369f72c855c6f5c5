"""ClickHouse's tables as the first version made and filled them: it knew no energy and no migrations."""

import re
from pathlib import Path

from stream_app.domain.tables import MONTHLY
from stream_app.sinks.clickhouse_rows import chunks_of
from stream_app.sinks.clickhouse_statements import columns

_STATEMENTS = Path(__file__).with_name("clickhouse_1.sql").read_text(encoding="utf-8")


def statements(database: str) -> list[str]:
    """What makes the tables, in order."""
    return [text.strip() for text in _STATEMENTS.format(database=database).split(";") if text.strip()]


def monthly_columns() -> list[str]:
    """Those that it fills."""
    (table,) = [
        text for text in statements("db") if text.startswith("CREATE TABLE IF NOT EXISTS db.ads_operation_crm_monthly")
    ]
    return re.findall(r"^    (\w+)", table, re.MULTILINE)


def write_months(client, database, view) -> int:
    """Insert a view's months; how many rows there are."""
    names = monthly_columns()
    statement = f"INSERT INTO {database}.{MONTHLY.clickhouse_table} ({', '.join(names)}) VALUES"
    rows = 0
    for chunk in chunks_of(view, MONTHLY, view.months):
        by_name = dict(zip((column.name for column in columns(MONTHLY)), chunk.columns(), strict=True))
        rows += client.execute(statement, [by_name[name] for name in names], columnar=True)
    return rows

"""Writes the tables of results into docs/integrating.md as ClickHouse has them. `make docs`; a test of the house calls --check."""

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "integrating.md"
sys.path.insert(0, str(ROOT))

from stream_app.domain.figures import FIGURES  # noqa: E402  # after the path that it is found on
from stream_app.domain.tables import TABLES, CountTable  # noqa: E402
from stream_app.sinks.clickhouse_statements import (  # noqa: E402
    AnyTable,
    column_type,
    columns,
    keys,
    period_column,
    view_name,
)

BEGIN, END = "<!-- written by make docs -->\n", "<!-- end of what make docs writes -->\n"


def table_row(table: AnyTable) -> str:
    """A table and its view."""
    first_day = "" if table.period.name == "date" else " (its first day)"
    names = (f"`{name}`{first_day if name == period_column(table) else ''}" for name, _ in columns(table))
    of = ["operator", "group", table.period.name]
    of.append(f"slot (all {table.width})" if isinstance(table, CountTable) else keys(table)[-1].name)
    return f"| `{table.clickhouse_table}`, `{view_name(table)}` | {', '.join(of)} | {', '.join(names)} |"


def text() -> Iterator[str]:
    """Lines of the part that is written."""
    yield from ("| table, view | a row for each | columns |", "| --- | --- | --- |")
    yield from map(table_row, TABLES)
    yield from ("", "| column of a key figure | type | what it is |", "| --- | --- | --- |")
    for figure in FIGURES:
        yield f"| `{figure.column}` | `{column_type(figure.unit)}` | {figure.meaning} |"


def page() -> str:
    """The page as it should be."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    return before + BEGIN + "\n" + "\n".join(text()) + "\n\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(None if PAGE.read_text() == page() else "docs/integrating.md is old: make docs")
    PAGE.write_text(page())

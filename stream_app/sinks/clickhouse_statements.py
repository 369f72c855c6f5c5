"""SQL of the tables of results, composed from their descriptors (domain.tables) and the table of figures.

Pure: text only.

Every statement runs on ClickHouse 18.16 and on today's. Statements that have nothing to do with figures are files, in
`sql/`. Columns of a table: what a row stands for (`keys`), what it says (`values`), where it comes from; inserts name
them in this order.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from stream_app.domain.figures import FIGURES, RATIO, Average, Figure, Unit
from stream_app.domain.probe import OPERATOR as PROBE
from stream_app.domain.tables import FigureTable, Table

AnyTable = Table[Any]
MONEY_DIGITS: Final = 4  # of every currency's amounts


class Column(NamedTuple):
    """A column and its type."""

    name: str
    type: str


_PLACE: Final = (Column("operator_id", "String"), Column("group_id", "String"))
_CURRENCY: Final = Column("currency", "String")
_SLOT: Final = Column("slot", "UInt8")
_CHARGES: Final = Column("charge_count", "UInt64")
_CHARGES_BY_SLOT: Final = Column("charge_counts", "Array(UInt64)")
SENT: Final = "cells"  # the name of a table that comes along with a statement
_ORIGIN: Final = (Column("partition", "UInt16"), Column("as_of", "DateTime('UTC')"), Column("version", "UInt64"))


def column_digits(unit: Unit) -> int:
    """Digits after the point that a column of this unit has."""
    return MONEY_DIGITS if unit.digits is None else unit.digits


def column_type(unit: Unit) -> str:
    """The type of a column of this unit."""
    digits = column_digits(unit)
    return f"Decimal({18 if unit is RATIO else 38}, {digits})" if digits else "UInt64"


def period_column(table: AnyTable) -> str:
    """The column of a row's period: its first day."""
    return f"stat_{table.period.name}"


def keys(table: AnyTable) -> list[Column]:
    """The columns that a row's cell is named by."""
    return [*_PLACE, Column(period_column(table), "Date"), _CURRENCY if isinstance(table, FigureTable) else _SLOT]


def values(table: AnyTable, figures: Sequence[Figure] = FIGURES) -> list[Column]:
    """The columns of a row's values: the figures in their order, or the count of a slot."""
    if isinstance(table, FigureTable):
        return [Column(figure.column, column_type(figure.unit)) for figure in figures]
    return [_CHARGES]


def columns(table: AnyTable, figures: Sequence[Figure] = FIGURES) -> list[Column]:
    """All columns of a table, in order."""
    return [*keys(table), *values(table, figures), *_ORIGIN]


def view_name(table: AnyTable) -> str:
    """The view that shows one row a key."""
    return f"{table.clickhouse_table}_current"


def _listed(parts: Iterable[str]) -> str:
    return ",\n".join(f"    {part}" for part in parts)


def create_table(table: AnyTable, database: str, figures: Sequence[Figure] = FIGURES) -> str:
    """Make the table, if it is not there."""
    return f"""CREATE TABLE IF NOT EXISTS {database}.{table.clickhouse_table}
(
{_listed(f"{name} {kind}" for name, kind in columns(table, figures))}
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM({period_column(table)})
ORDER BY ({", ".join(name for name, _ in keys(table))})"""


def create_view(table: AnyTable, database: str, figures: Sequence[Figure] = FIGURES) -> str:
    """Make the view, if it is not there. What the monitor sends through all stages is left out."""
    return f"""CREATE VIEW IF NOT EXISTS {database}.{view_name(table)} AS
SELECT
{_listed(name for name, _ in columns(table, figures))}
FROM {database}.{table.clickhouse_table} FINAL
WHERE operator_id != '{PROBE}'"""


def drop_view(table: AnyTable, database: str) -> str:
    """Drop the view, if it is there: 18.16 can't change one."""
    return f"DROP TABLE IF EXISTS {database}.{view_name(table)}"


def add_columns(table: AnyTable, database: str, missing: Iterable[str], figures: Sequence[Figure] = FIGURES) -> str:
    """Add these columns, all or none of them, each where it stands in a table that is made today.

    Rows that are there hold zero in them.
    """
    wanted, all_of_it = set(missing), columns(table, figures)
    after = {column.name: before.name for before, column in pairwise(all_of_it)}
    return f"ALTER TABLE {database}.{table.clickhouse_table}\n" + _listed(
        f"ADD COLUMN {name} {kind} AFTER {after[name]}" for name, kind in all_of_it if name in wanted
    )


def sent(table: AnyTable) -> list[Column]:
    """The columns of cells that come along with `insert`, one row a cell, and become a row for each slot there; none where rows are sent as they are.

    Made here, a day's 48 rows take the worker some twelve times as much CPU.
    """
    if isinstance(table, FigureTable):
        return []
    return [column for column in keys(table) if column != _SLOT] + [_CHARGES_BY_SLOT, *_ORIGIN]


def insert(table: AnyTable, database: str) -> str:
    """Insert rows, in the order of `columns`, or those of the cells that come along (`sent`)."""
    into = f"""INSERT INTO {database}.{table.clickhouse_table}
(
{_listed(name for name, _ in columns(table))}
)
"""
    if isinstance(table, FigureTable):
        return f"{into}VALUES"
    taken = {_SLOT: f"toUInt8({_SLOT.name} - 1)"}
    return f"""{into}SELECT
{_listed(taken.get(column, column.name) for column in columns(table))}
FROM {SENT}
ARRAY JOIN {_CHARGES_BY_SLOT.name} AS {_CHARGES.name}, arrayEnumerate({_CHARGES_BY_SLOT.name}) AS {_SLOT.name}"""


def sum_rows(table: AnyTable, database: str) -> str:
    """What a partition's rows add up to by operator, for comparison: how many, versions, and each column of `values`.

    `firsts` are the first days that operators keep, each once, `first` the earliest: `kept_by` says how many of them a
    row is not older than.
    """
    return f"""SELECT
    operator_id,
    arrayCount(first -> {period_column(table)} >= toDate(first), %(firsts)s) AS kept_by,
    count() AS row_count,
    sum(version) AS versions,
{_listed(f"sum({name})" for name, _ in values(table))}
FROM {database}.{table.clickhouse_table} FINAL
WHERE partition = %(partition)s AND {period_column(table)} >= toDate(%(first)s)
GROUP BY operator_id, kept_by"""


def stored_figures(figures: Sequence[Figure] = FIGURES) -> list[Figure]:
    """The figures that a cell is read back from: averages follow from those."""
    return [figure for figure in figures if not isinstance(figure, Average)]


def read_figures(table: FigureTable, database: str) -> str:
    """Rows of a group since a period: period's first day, currency, `stored_figures`, as-of in seconds, version."""
    return f"""SELECT
    {period_column(table)},
    currency,
{_listed(figure.column for figure in stored_figures())},
    toUnixTimestamp(as_of) AS as_of_seconds,
    version
FROM {database}.{table.clickhouse_table} FINAL
WHERE operator_id = %(operator)s AND group_id = %(group)s AND {period_column(table)} >= toDate(%(first)s)"""


def read_counts(table: AnyTable, database: str) -> str:
    """Reads a group's counts by slot over some periods, and the newest version of all retained ones."""
    return f"""SELECT
    slot,
    sumIf(charge_count, {period_column(table)} BETWEEN toDate(%(from)s) AND toDate(%(to)s)) AS charges,
    max(version) AS newest
FROM {database}.{table.clickhouse_table} FINAL
WHERE operator_id = %(operator)s AND group_id = %(group)s AND {period_column(table)} >= toDate(%(first)s)
GROUP BY slot"""

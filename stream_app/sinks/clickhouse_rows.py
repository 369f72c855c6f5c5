"""Rows for ClickHouse out of a view, as columns; cells out of rows; and what rows add up to. Pure: no network.

The order of columns is that of the statements. A cell of figures gives a row for each currency that it has an entry of,
a cell of counts one with all of its slots, of which ClickHouse makes one for each. Amounts travel as decimal strings: the driver takes them as they are, exactly.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Context, Decimal, Inexact, localcontext
from functools import cache, lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

from stream_app.domain.cells import CellKey, CountCell, FigureCell, Group, Operator
from stream_app.domain.figures import FIGURES, PAYMENTS
from stream_app.domain.local_time import EPOCH, date_of, day_of
from stream_app.domain.money import DIGITS, decimal_string
from stream_app.domain.report import figure_numbers, figure_values, is_listed
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS
from stream_app.domain.tables import MONTHLY, FigureTable
from stream_app.ports.sinks import View
from stream_app.sinks.clickhouse_statements import AnyTable, column_digits, stored_figures

CELLS_MAX: Final = 2_000  # in one insert: at 48 rows a day some 100,000 rows
MONTHS_MAX: Final = 100  # in one insert: max_partitions_per_insert_block, as ClickHouse has it by default

Row = tuple[Any, ...]
Columns = list[list[Any]]
Added = tuple[int | Decimal, ...]  # number of rows, their versions as ClickHouse sums them, and each column of values
_MODULUS: Final = 2**64  # of sums of UInt64
_EXACT: Final = Context(prec=76, traps=[Inexact])  # twice the digits that a column has

_PERIOD: Final = attrgetter("period")
_LAST_DAY: Final = day_of(date(2105, 12, 31))  # of a Date in 18.16; today's ends later


@lru_cache(10_000)
def _date_of(day: int) -> date:
    """A day that a Date can hold: the nearest one to a day number."""
    return date_of(min(max(day, 0), _LAST_DAY))


@lru_cache(10_000)
def period_date(table: AnyTable, period: int) -> date:
    """A period's first day, as near as a Date can hold it; 0, where none is known, as 1970-01-01."""
    return _date_of(table.period.first_day(period)) if period else EPOCH


@lru_cache(10_000)
def has_date(table: AnyTable, period: int) -> bool:
    """Can a Date hold the period's first day? Cells of others, which only a stream clock can keep, have no rows."""
    return 0 <= table.period.first_day(period) <= _LAST_DAY


@lru_cache(10_000)
def period_of(table: AnyTable, first: date) -> int:
    """Undoes `period_date`, but for 1970-01-01."""
    return table.period.of_day(day_of(first))


# -- rows out of cells


class CellChunk(NamedTuple):
    """Cells of a view that are there or held, so many that one insert takes them."""

    table: AnyTable
    cells: Sequence[tuple[CellKey, Any]]
    partition: int

    def columns(self) -> Columns:
        """Columns of their rows, or of what rows are made of there (`clickhouse_statements.sent`)."""
        rows = _figure_columns if isinstance(self.table, FigureTable) else _count_columns
        return rows(self.table, self.cells, self.partition)


def chunks_of(view: View, table: AnyTable, keys: Iterable[CellKey]) -> Iterator[CellChunk]:
    """The cells of a table, each chunk read when it is asked for."""
    for chunk in _chunks(table, keys):
        cells = zip(chunk, view.last_cells(table, chunk), strict=True)
        if found := [(key, cell) for key, cell in cells if cell is not None]:
            yield CellChunk(table, found, view.partition)


def _chunks(table: AnyTable, keys: Iterable[CellKey]) -> Iterator[list[CellKey]]:
    """Keys in order of their periods: ClickHouse refuses an insert into more than 100 of its partitions, which are months."""
    chunk: list[CellKey] = []
    months: set[tuple[int, int]] = set()
    for period, own in groupby(sorted(keys, key=_PERIOD), key=_PERIOD):
        if not has_date(table, period):
            continue
        first = period_date(table, period)
        month = first.year, first.month
        for key in own:
            if len(chunk) == CELLS_MAX or (len(months) == MONTHS_MAX and month not in months):
                yield chunk
                chunk, months = [], set()
            chunk.append(key)
            months.add(month)
    if chunk:
        yield chunk


def _figure_columns(table: AnyTable, cells: Sequence[tuple[CellKey, FigureCell]], partition: int) -> Columns:
    return as_columns(
        [
            (
                key.operator,
                key.group,
                period_date(table, key.period),
                currency,
                *figure_values(cell, currency).values(),
                partition,
                cell.as_of // 1000,
                cell.version,
            )
            for key, cell in cells
            for currency in cell.payments
        ]
    )


def _count_columns(table: AnyTable, cells: Sequence[tuple[CellKey, CountCell]], partition: int) -> Columns:
    return as_columns(
        [
            (
                key.operator,
                key.group,
                period_date(table, key.period),
                cell.slots,
                partition,
                cell.as_of // 1000,
                cell.version,
            )
            for key, cell in cells
        ]
    )


def as_columns(rows: Sequence[Row]) -> Columns:
    """Rows as columns."""
    return [list(column) for column in zip(*rows, strict=True)]


# -- what rows add up to


def added(table: AnyTable, cells: Iterable[tuple[CellKey, Any]]) -> Added:
    """What the rows of an operator's cells add up to, as `added_rows` has it of the rows that ClickHouse holds."""
    kept = (found for found in cells if has_date(table, found[0].period))
    return _added_figures(kept) if isinstance(table, FigureTable) else _added_counts(kept)


def _added_figures(cells: Iterable[tuple[CellKey, FigureCell]]) -> Added:
    rows = versions = 0
    totals = [0] * len(FIGURES)
    for _, cell in cells:
        rows += len(cell.payments)
        versions += cell.version * len(cell.payments)
        for currency, sums in cell.payments.items():
            numbers = figure_numbers(sums, cell.sessions)
            totals = [
                total + number * factor
                for total, number, factor in zip(totals, numbers, _factors(DIGITS[currency]), strict=True)
            ]
    return rows, versions % _MODULUS, *map(_of_column, totals, _COLUMN_DIGITS)


def _added_counts(cells: Iterable[tuple[CellKey, CountCell]]) -> Added:
    rows = versions = charges = 0
    for _, cell in cells:
        rows += len(cell.slots)
        versions += cell.version * len(cell.slots)
        charges += sum(cell.slots)
    return rows, versions % _MODULUS, charges % _MODULUS


_COLUMN_DIGITS: Final = [column_digits(figure.unit) for figure in FIGURES]


@cache
def _factors(money_digits: int) -> list[int]:
    """By figure, the factor from the digits of the currency to those of the column."""
    return [
        10 ** (digits - (money_digits if figure.unit.digits is None else figure.unit.digits))
        for figure, digits in zip(FIGURES, _COLUMN_DIGITS, strict=True)
    ]


def _of_column(total: int, digits: int) -> int | Decimal:
    """A sum as ClickHouse gives it for a column with these digits."""
    return Decimal(decimal_string(total, digits)) if digits else total % _MODULUS


def added_rows(table: AnyTable, sums: Iterable[Row]) -> Added:
    """The sums of what `sum_rows` found by age of one operator's rows; zeros of nothing."""
    width = 2 + (len(FIGURES) if isinstance(table, FigureTable) else 1)
    with localcontext(_EXACT):
        totals = [sum(column) for column in zip(*sums, strict=True)] or [0] * width
    return tuple(total if isinstance(total, Decimal) else total % _MODULUS for total in totals)


# -- cells out of rows


def figure_cells(table: FigureTable, rows: Iterable[Row]) -> dict[int, FigureCell]:
    """Cells by period, out of rows of `read_figures`."""
    cells: dict[int, FigureCell] = {}
    for first, currency, *values, as_of_seconds, version in rows:
        cell = cells.setdefault(period_of(table, first), table.new())
        payments, sessions = PAYMENT_SUMS.zeros(), SESSION_SUMS.zeros()
        for (is_payment, at, figure), value in zip(_STORED, values, strict=True):
            (payments if is_payment else sessions)[at] = int(_EXACT.scaleb(value, figure.digits(currency)))
        cell.payments[currency] = payments
        if version >= cell.version:  # a row of an insert that is under way may be older
            cell.version, cell.as_of, cell.sessions = version, as_of_seconds * 1000, sessions
    return cells


_STORED: Final = [
    (figure.basis is PAYMENTS, (PAYMENT_SUMS if figure.basis is PAYMENTS else SESSION_SUMS).at(figure), figure)
    for figure in stored_figures()
]


# -- operators and groups


def operator_row(operator: Operator) -> Row:
    """What the table of operators says of one, between its id and its partition."""
    return (
        operator.name,
        operator.timezone,
        operator.currency,
        _date_of(operator.today),
        period_date(MONTHLY, operator.first_month),
        _date_of(operator.first_day),
    )


def operator_of(row: Row) -> Operator:
    """Undoes `operator_row`."""
    name, timezone, currency, today, first_month, first_day = row
    return Operator(
        name=name,
        timezone=timezone,
        currency=currency,
        today=day_of(today),
        first_month=period_of(MONTHLY, first_month) if first_month != EPOCH else 0,
        first_day=day_of(first_day),
    )


def group_rows(groups: dict[str, Group]) -> dict[str, tuple[str | None, int]]:
    """What the table of groups says of those that are shown: name, and whether something counts in a retained month."""
    rows = {group_id: (group.name, int(is_listed(group))) for group_id, group in groups.items()}
    return {group_id: row for group_id, row in rows.items() if row != (None, 0)}

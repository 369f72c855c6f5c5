"""Rows for ClickHouse out of a view, as columns, and cells out of rows. Pure: no network. The order of columns is that of the statements.

A cell gives a row for each currency that it has an entry of, and 48 for a day. Amounts travel as decimal strings: the driver takes them as
they are, exactly.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from functools import lru_cache
from itertools import groupby, islice
from typing import Any, Final

from stream_app.domain.cells import SLOTS, Group, HalfHourKey, Monthly, MonthlyKey, Operator
from stream_app.domain.local_time import EPOCH, date_of, day_of
from stream_app.domain.money import DIGITS, decimal_string, half_up, unit
from stream_app.domain.report import is_listed
from stream_app.ports.sinks import View

CELLS_MAX: Final = 2_000  # in one insert: at 48 rows a day some 100,000 rows

Columns = list[list[Any]]
_SLOT_NUMBERS: Final = list(range(SLOTS))


@lru_cache(10_000)
def month_date(month: int) -> date:
    """A month's first day; 0, where none is known, as 1970-01-01."""
    return date(month // 100, month % 100, 1) if month else EPOCH


def month_number(first: date) -> int:
    """Undoes `month_date`."""
    return first.year * 100 + first.month if first != EPOCH else 0


_date_of = lru_cache(10_000)(date_of)


def monthly_columns(view: View, keys: Iterable[MonthlyKey]) -> Iterator[Columns]:
    """Columns of the cells that are there, so many cells at a time."""
    cells = _monthly_cells(view, keys)
    while chunk := list(islice(cells, CELLS_MAX)):
        rows = [row for key, cell in chunk for row in _monthly_rows(key, cell, view.partition)]
        yield [list(column) for column in zip(*rows, strict=True)]


def _monthly_cells(view: View, keys: Iterable[MonthlyKey]) -> Iterator[tuple[MonthlyKey, Monthly]]:
    for (operator, group), own in groupby(sorted(keys), key=lambda key: key[:2]):
        wanted = list(own)
        for key, cell in zip(wanted, view.monthly(operator, group, [key.month for key in wanted]), strict=True):
            if cell is not None and cell.money:
                yield key, cell


def _monthly_rows(key: MonthlyKey, cell: Monthly, partition: int) -> Iterator[tuple[Any, ...]]:
    operator, group, month = key
    sessions, chargers, anonymous_sessions = cell.usage
    frequency = decimal_string(half_up((sessions - anonymous_sessions) * 100, chargers), 2)
    for currency, (received, discount, refunded, payments, payers, anonymous) in cell.money.items():
        digits, net = DIGITS[currency], received - refunded
        yield (
            operator,
            group,
            month_date(month),
            currency,
            decimal_string(net, digits),
            decimal_string(discount, digits),
            decimal_string(refunded, digits),
            payments,
            payers,
            decimal_string(half_up(net - anonymous, payers), digits),
            sessions,
            chargers,
            frequency,
            decimal_string(anonymous, digits),
            anonymous_sessions,
            partition,
            cell.as_of // 1000,
            cell.version,
        )


def half_hour_columns(view: View, keys: Iterable[HalfHourKey]) -> Iterator[Columns]:
    """Columns of the cells that are there, so many cells at a time."""
    columns: Columns = [[] for _ in range(8)]
    for (operator, group), own in groupby(sorted(keys), key=lambda key: key[:2]):
        days = [key[2] for key in own]
        for day, cell in zip(days, view.half_hours(operator, group, days), strict=True):
            if cell is None:
                continue
            same = (operator, group, _date_of(day), None, None, view.partition, cell.as_of // 1000, cell.version)
            for column, value in zip(columns, same, strict=True):
                if value is not None:
                    column.extend([value] * SLOTS)
            columns[3].extend(_SLOT_NUMBERS)
            columns[4].extend(cell.slots)
            if len(columns[0]) >= CELLS_MAX * SLOTS:
                yield columns
                columns = [[] for _ in range(8)]
    if columns[0]:
        yield columns


def operator_row(operator: Operator) -> tuple[Any, ...]:
    """What the table of operators says of one, between its id and its partition."""
    return (
        operator.name,
        operator.timezone,
        operator.currency,
        _date_of(operator.today),
        month_date(operator.first_month),
        _date_of(operator.first_day),
    )


def operator_of(row: tuple[Any, ...]) -> Operator:
    """Undoes `operator_row`."""
    name, timezone, currency, today, first_month, first_day = row
    return Operator(
        name=name,
        timezone=timezone,
        currency=currency,
        today=day_of(today),
        first_month=month_number(first_month),
        first_day=day_of(first_day),
    )


def group_rows(groups: dict[str, Group]) -> dict[str, tuple[str | None, int]]:
    """What the table of groups says of those that are shown: name, and whether something counts in a retained month."""
    rows = {group_id: (group.name, int(is_listed(group))) for group_id, group in groups.items()}
    return {group_id: row for group_id, row in rows.items() if row != (None, 0)}


def newest_version(groups: dict[str, Group]) -> int:
    """The highest version of an operator's documents."""
    return max((max(group.monthly_version, group.half_hour_version) for group in groups.values()), default=0)


def monthly_of(rows: Iterable[tuple[Any, ...]]) -> dict[int, Monthly]:
    """Cells by month out of rows of `read_monthly`."""
    cells: dict[int, Monthly] = {}
    for month, currency, received, discount, refunded, payments, payers, anonymous, *rest in rows:
        *usage, as_of_seconds, version = rest
        of = unit(currency)
        net, discount_, refunded_, anonymous_ = (
            int(amount * of) for amount in (received, discount, refunded, anonymous)
        )
        cell = cells.setdefault(month, Monthly(money={}))
        cell.money[currency] = [net + refunded_, discount_, refunded_, payments, payers, anonymous_]
        if version >= cell.version:  # a row of an insert that is under way may be older
            cell.version, cell.as_of, cell.usage = version, as_of_seconds * 1000, usage
    return cells

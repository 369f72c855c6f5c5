"""The documents that people see, composed from cells: the same for every sink and for every answer.

Keys, their order and the form of each value are the contract's. Reads no sink and no clock: what is "today" comes with
the operator.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from stream_app.domain.cells import CellKey, CountCell, FigureCell, Group, Operator
from stream_app.domain.events import ALL
from stream_app.domain.figures import FIGURES, PAYMENTS, Average, Figure, Part
from stream_app.domain.local_time import date_of, month_of_day
from stream_app.domain.money import DIGITS, decimal_string, half_up
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS
from stream_app.domain.tables import CountTable, FigureTable, Table

Json = dict[str, Any]

_NO_PAYMENTS = tuple(PAYMENT_SUMS.zeros())
_NO_SESSIONS = tuple(SESSION_SUMS.zeros())
Value = int | str


@lru_cache(10_000)
def iso_ms(ms: int) -> str:
    """Epoch milliseconds as "2026-11-24T08:00:00.000Z"."""
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


@lru_cache(10_000)
def iso_date(day: int) -> str:
    """A day number as "2026-11-24"."""
    return date_of(day).isoformat()


class ShownFigure(NamedTuple):
    """Where the sum of a shown figure lies in a cell, by basis.

    Of an average: the place of the sum, of the anonymous part that is taken off, and of the number of customers.
    """

    name: str
    digits: int | None  # None: the currency's
    is_payments: bool
    at: int
    part_at: int | None
    by_at: int | None
    scale: int

    @classmethod
    def of(cls, figure: Figure) -> "ShownFigure":
        """The places of a figure of the table of figures."""
        is_payments = figure.basis is PAYMENTS
        at = (PAYMENT_SUMS if is_payments else SESSION_SUMS).at
        if not isinstance(figure, Average):
            return cls(figure.name, figure.unit.digits, is_payments, at(figure), None, None, 1)
        parts = [part for part in FIGURES if isinstance(part, Part) and part.of is figure.of]
        scale = 10 ** ((figure.unit.digits or 0) - (figure.of.unit.digits or 0))
        part_at = at(parts[0]) if parts else None
        return cls(figure.name, figure.unit.digits, is_payments, at(figure.of), part_at, at(figure.by), scale)


SHOWN: Final = [ShownFigure.of(figure) for figure in FIGURES]


def figure_numbers(payments: Sequence[int], sessions: Sequence[int]) -> list[int]:
    """The figures in the order of FIGURES, in units of their last digit, of sums in the order of PAYMENT_SUMS and SESSION_SUMS."""
    out = []
    for _, _, is_payments, at, part_at, by_at, scale in SHOWN:
        sums = payments if is_payments else sessions
        number = sums[at]
        if by_at is not None:
            number = half_up((number if part_at is None else number - sums[part_at]) * scale, sums[by_at])
        out.append(number)
    return out


@lru_cache(1000)
def _forms(currency: str) -> list[tuple[str, int | None]]:
    """(name, digits) of the figures in a currency; no digits for what is a number in JSON."""
    money_digits = DIGITS[currency]
    return [(shown.name, money_digits if shown.digits is None else shown.digits or None) for shown in SHOWN]


def figure_values(cell: FigureCell | None, currency: str) -> Mapping[str, Value]:
    """Name -> value of a cell's figures in a currency, in the order of FIGURES; zeros without a cell. Must not be changed: others get the same.

    Figures of sessions are the same in each currency, also in one without an entry in the cell.
    """
    if cell is None:
        return _values(currency, _NO_PAYMENTS, _NO_SESSIONS)
    return _values(currency, tuple(cell.payments.get(currency, _NO_PAYMENTS)), tuple(cell.sessions))


# Of the periods of a document most are as they were when it was written last, and a cell that changed is shown by each sink.
@lru_cache(5000)
def _values(currency: str, payments: tuple[int, ...], sessions: tuple[int, ...]) -> Mapping[str, Value]:
    numbers = figure_numbers(payments, sessions)
    return {
        name: number if digits is None else decimal_string(number, digits)
        for (name, digits), number in zip(_forms(currency), numbers, strict=True)
    }


def figure_row(table: FigureTable, cell: FigureCell | None, period: int, currency: str) -> Json:
    """A period of a group in a currency."""
    return {table.period.name: table.period.text(period), **figure_values(cell, currency)}


def currencies_of(cells: Iterable[FigureCell | None], own: str) -> list[str]:
    """The currencies with a counted payment in some cells, and the operator's own; sorted."""
    at = PAYMENT_SUMS.count_at
    found = {currency for cell in cells if cell for currency, sums in cell.payments.items() if sums[at]}
    return sorted(found | {own})


def sum_slots(table: CountTable, cells: Iterable[CountCell | None]) -> list[int]:
    """Sums of the counts of several periods, by slot."""
    found = [cell.slots for cell in cells if cell is not None]
    return list(map(sum, zip(*found, strict=True))) if found else table.new().slots


class Place(NamedTuple):
    """The operator and the group of a document, its partition, as-of and version."""

    operator_id: str
    operator: Operator
    group_id: str
    partition: int
    as_of_ms: int
    version: int


def figure_document(
    table: FigureTable, place: Place, cells: Sequence[FigureCell | None], periods: Sequence[int], currency: str
) -> Json:
    """The answer of a table of figures, as of `monthlyIndex`; periods without a cell are zeros."""
    return {
        "operatorId": place.operator_id,
        "groupId": place.group_id,
        "timezone": place.operator.timezone,
        "currency": currency,
        "currencies": currencies_of(cells, place.operator.currency),
        "partition": place.partition,
        "asOf": iso_ms(place.as_of_ms),
        "version": place.version,
        table.period.plural: [
            figure_row(table, cell, period, currency) for cell, period in zip(cells, periods, strict=True)
        ],
    }


def count_document(table: CountTable, place: Place, counts: Sequence[int], periods: Sequence[int]) -> Json:
    """The answer of a table of counts by slot, as of `chargingDistribute`; counts over those periods."""
    return {
        "operatorId": place.operator_id,
        "groupId": place.group_id,
        "timezone": place.operator.timezone,
        "partition": place.partition,
        "asOf": iso_ms(place.as_of_ms),
        "version": place.version,
        "from": table.period.text(periods[0]),
        "to": table.period.text(periods[-1]),
        "total": sum(counts),
        "slots": [
            {**none, "chargeCount": count} if count else none
            for none, count in zip(_empty_slots(table), counts, strict=True)
        ],
    }


@lru_cache(100)
def _empty_slots(table: CountTable) -> list[Json]:
    """What a document says of each slot in which nothing counts."""
    return [{"slot": slot, **names, "chargeCount": 0} for slot, names in enumerate(table.slot_names)]


def default_document(table: Table[Any], place: Place, cells: Sequence[Any]) -> Json:
    """The answer of a table where only operator and group are asked for; cells of `table.default_periods`."""
    periods = table.default_periods(place.operator)
    if isinstance(table, FigureTable):
        return figure_document(table, place, cells, periods, place.operator.currency)
    assert isinstance(table, CountTable)
    return count_document(table, place, sum_slots(table, cells), periods)


def figure_record(
    table: FigureTable, operator: Operator, key: CellKey, cell: FigureCell, currency: str, partition: int
) -> Json:
    """The value of a record of a cell in its results topic, of one currency."""
    return figure_row(table, cell, key.period, currency) | {
        "operatorId": key.operator,
        "groupId": key.group,
        "currency": currency,
        "timezone": operator.timezone,
        "partition": partition,
        "asOf": iso_ms(cell.as_of),
        "version": cell.version,
    }


def count_record(table: CountTable, operator: Operator, key: CellKey, cell: CountCell, partition: int) -> Json:
    """The value of the record of a cell in its results topic."""
    return {
        "operatorId": key.operator,
        "groupId": key.group,
        table.period.name: table.period.text(key.period),
        "timezone": operator.timezone,
        "slots": cell.slots,
        "total": sum(cell.slots),
        "partition": partition,
        "asOf": iso_ms(cell.as_of),
        "version": cell.version,
    }


def has_documents(operator: Operator, group_id: str, group: Group) -> bool:
    """Does the group have documents? ALL always; another one as long as it has a cell of the current month."""
    return group_id == ALL or month_of_day(operator.today) in group.months


def is_listed(group: Group) -> bool:
    """Does something count in a retained month of the group?"""
    return any(group.months.values())


def groups_data(names: Mapping[str, str | None]) -> Json:
    """The answer of `groups`: names by id of those that are listed or named; ALL is always there, first."""
    others = sorted(group for group in names if group != ALL)
    return {"groups": [{"groupId": ALL, "name": None}, *({"groupId": group, "name": names[group]} for group in others)]}


def shown_groups(groups: Mapping[str, Group]) -> dict[str, str | None]:
    """Names by id of the groups that people see: named ones, and those in which something counts."""
    return {group_id: group.name for group_id, group in groups.items() if group.name is not None or is_listed(group)}


def operator_entry(operator_id: str, operator: Operator) -> Json:
    """An operator in the answer of `operators`."""
    return {
        "operatorId": operator_id,
        "name": operator.name,
        "timezone": operator.timezone,
        "currency": operator.currency,
    }

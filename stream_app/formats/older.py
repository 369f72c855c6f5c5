"""Rows of formats that are no longer written, as rows of today. A decoder stays for each format that ever landed.

Format 1: rows of domain.events without FORMAT, ENERGY, REST, LASTED and SESSION_ID; cells and customers with received
amounts before refunds; no versions in rows but that of the position.
"""

from typing import Any, Final

import msgspec

from stream_app.domain.cells import CountCell, Customer, FigureCell, Group, Operator, Shown
from stream_app.domain.events import CDR, ENTITIES, PAYMENT, SESSION, Row
from stream_app.domain.sums import Sums
from stream_app.domain.tables import HALF_HOUR, MONTHLY

TZDATA_OF_1: Final = "2026f"  # the rules that all rows of format 1 were made by

_SESSION_FIELDS_1: Final = 8
_PAYMENT_FIELDS_1: Final = 12


def row_of_1(kind: int, row: Row) -> Row:
    """An event, or the row of an entity, of format 1."""
    version, timestamp, offset, partition, *rest = row
    if kind not in ENTITIES:
        return [version, timestamp, offset, partition, 1, *rest]
    counted, time, hold, customer, *money = rest
    out = [version, timestamp, offset, partition, 1, counted, time, hold, customer, None, 0, None]
    if kind != SESSION:
        received, discount, refunded, currency, *cdr = money
        out += [received, discount, refunded, currency, None, *cdr]
    return out


class _Monthly1(msgspec.Struct, array_like=True, gc=False):
    version: int
    as_of: int
    money: dict[str, list[int]]
    usage: list[int]


class _Operator1(msgspec.Struct, array_like=True, gc=False):
    timezone: str
    announced_currency: str | None
    name: str | None
    stamp: tuple[int, int, int, int]
    currency: str
    today: int
    first_month: int
    first_day: int
    horizon: int
    swept: int
    payments: dict[str, dict[int, int]]


class _Group1(msgspec.Struct, array_like=True, gc=False):
    name: str | None
    stamp: tuple[int, int, int, int]
    monthly_version: int
    monthly_as_of: int
    half_hour_version: int
    half_hour_as_of: int
    months: dict[int, bool]


class _Customer1(msgspec.Struct, array_like=True, gc=False):
    groups: tuple[str, ...]
    stamp: tuple[int, int, int, int]
    money: dict[str, dict[int, list[int]]]
    sessions: dict[int, int]
    slots: dict[int, int]


_entity: Final = msgspec.msgpack.Decoder(list[Any]).decode
_monthly: Final = msgspec.msgpack.Decoder(_Monthly1).decode
_half_hour: Final = msgspec.msgpack.Decoder(CountCell).decode
_operator: Final = msgspec.msgpack.Decoder(_Operator1).decode
_group: Final = msgspec.msgpack.Decoder(_Group1).decode
_customer: Final = msgspec.msgpack.Decoder(_Customer1).decode


def _net(sums: list[int]) -> Sums:
    """Format 1 had received amounts before refunds, and refunds beside them."""
    received, discount, refunded, *rest = sums
    return [received - refunded, discount, refunded, *rest]


def entity_of_1(raw: bytes) -> Row:
    """A row of an entity; its length says whether it is a session's, a payment's or a CDR's."""
    row = _entity(raw)
    kind = {_SESSION_FIELDS_1: SESSION, _PAYMENT_FIELDS_1: PAYMENT}.get(len(row), CDR)
    return row_of_1(kind, row)


def figure_cell_of_1(raw: bytes) -> FigureCell:
    """A row of the table `monthly`."""
    old = _monthly(raw)
    payments = {currency: _net(sums) for currency, sums in old.money.items()}
    return MONTHLY.read(FigureCell(old.version, old.as_of, payments, old.usage))


def count_cell_of_1(raw: bytes) -> CountCell:
    """A row of the table `half_hour`."""
    return _half_hour(raw)


def operator_of_1(raw: bytes) -> Operator:
    """A row of an operator."""
    old = msgspec.structs.asdict(_operator(raw))
    return Operator(**old, figures=1)


def group_of_1(raw: bytes) -> Group:
    """A row of a group."""
    old = _group(raw)
    shown = {
        MONTHLY.name: Shown(old.monthly_version, old.monthly_as_of),
        HALF_HOUR.name: Shown(old.half_hour_version, old.half_hour_as_of),
    }
    return Group(old.name, old.stamp, shown, old.months)


def customer_of_1(raw: bytes) -> Customer:
    """A row of a customer."""
    old = _customer(raw)
    parts: dict[str, Any] = {
        f"{MONTHLY.prefix}p": {
            currency: {month: _net(sums) for month, sums in months.items()} for currency, months in old.money.items()
        },
        f"{MONTHLY.prefix}s": {month: [count] for month, count in old.sessions.items()},
        HALF_HOUR.prefix: old.slots,
    }
    return Customer(old.groups, old.stamp, parts)

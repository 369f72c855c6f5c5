"""Events written by hand, rows in memory below a ledger, and its cells in words that a person can check.

    MADE = [session("s1", "2026-11-03 08:29", "ann", energy=12_400), payment("p1", "2026-11-03 09:00", "ann", 1250)]
    world = World(); world.apply(MADE); world.figures() ->
        {"ALL 2026-11": {"sessionCount": 1, …}, "ALL 2026-11 EUR": {"receivedAmount": 1250, …}}

Times are UTC, to the quarter hour; money is in minor units, energy in Wh. An event's offset is its place among all that a world was given.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

import msgspec

from stream_app.domain.cells import Cell, CellKey, Customer, Group, Operator
from stream_app.domain.events import (
    ALL,
    AS_PAYMENT,
    AS_SESSION,
    CDR,
    COUNTED,
    CREDITED,
    CREDITS,
    CURRENCY,
    CUSTOMER,
    DISCOUNT,
    ENERGY,
    ENTITIES,
    FORMAT,
    GROUP,
    LASTED,
    MEMBERSHIP,
    OFFSET,
    OPERATOR,
    PAYMENT,
    RECEIVED,
    REFUNDED,
    SESSION,
    SESSION_ID,
    STAMP,
    START,
    TIME,
    VERSION,
    DecodedEvents,
    Events,
    Row,
)
from stream_app.domain.ledger import Frozen, Ledger
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS, Layout, Sums
from stream_app.domain.tables import HALF_HOUR, MONTHLY, TABLES, Table
from stream_app.domain.working import Settings

C = TypeVar("C", bound=Cell)
T = TypeVar("T")

SETTINGS = Settings(13, 92, "EUR")
NOW = "2026-11-24 12:00"


def at(when: str) -> int:
    """Quarter hours since 1970 of "2026-11-03 08:29"."""
    return int(datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp()) // 900


# -- events


class Event(NamedTuple):
    """An event of an operator, before its offset is known."""

    operator: str
    kind: int
    id: str
    row: Row
    again: bool = False


class Clock(NamedTuple):
    """A clock record."""

    now: int


def clock(when: str) -> Clock:
    return Clock(at(when))


def _row(size: int, version: int, fields: dict[int, Any]) -> Row:
    row: Row = [0] * size
    row[VERSION], row[FORMAT] = version, 2
    for index, value in fields.items():
        row[index] = value
    return row


def session(
    id_: str,
    when: str,
    customer: str | None = None,
    *,
    energy: int | None = None,
    version: int = 0,
    counted: bool = True,
) -> Event:
    """A charging session that began then; `counted` is false for an INVALID one."""
    fields = {COUNTED: AS_SESSION * counted, TIME: at(when), CUSTOMER: customer, ENERGY: energy, LASTED: None}
    return Event("M1", SESSION, id_, _row(LASTED + 1, version, fields))


def payment(
    id_: str,
    when: str,
    customer: str | None = None,
    received: int = 0,
    *,
    discount: int = 0,
    refunded: int = 0,
    currency: str = "EUR",
    version: int = 0,
    counted: bool = True,
) -> Event:
    """A payment made then; `counted` is false for one that failed, or was refunded in full."""
    fields = {
        COUNTED: AS_PAYMENT * counted,
        TIME: at(when),
        CUSTOMER: customer,
        ENERGY: None,
        LASTED: None,
        RECEIVED: received,
        DISCOUNT: discount,
        REFUNDED: refunded,
        CURRENCY: currency,
        SESSION_ID: None,
    }
    return Event("M1", PAYMENT, id_, _row(SESSION_ID + 1, version, fields))


def cdr(
    id_: str,
    start: str,
    end: str,
    customer: str | None = None,
    received: int = 0,
    *,
    energy: int | None = None,
    credits_: str | None = None,
    version: int = 0,
    as_session: bool = True,
) -> Event:
    """A CDR; with `credits_` it is a credit of the CDR of that id, and counts nothing itself."""
    fields = {
        COUNTED: 0 if credits_ else AS_PAYMENT + AS_SESSION * as_session,
        TIME: at(end),
        CUSTOMER: customer,
        ENERGY: energy,
        LASTED: None,
        RECEIVED: received,
        CURRENCY: "EUR",
        SESSION_ID: None,
        START: at(start),
        CREDITS: credits_,
        CREDITED: {},
    }
    return Event("M1", CDR, id_, _row(CREDITED + 1, version, fields))


def member(customer: str, *groups: str, version: int = 0) -> Event:
    """The customer's groups, all of them."""
    return Event("M1", MEMBERSHIP, customer, [version, 0, 0, 0, 2, list(groups)])


def named(group: str, name: str, *, version: int = 0) -> Event:
    """A group's name."""
    return Event("M1", GROUP, group, [version, 0, 0, 0, 2, name])


def announced(timezone: str, currency: str = "EUR", name: str | None = None, *, version: int = 0) -> Event:
    """An operator's zone and currency."""
    return Event("M1", OPERATOR, "", [version, 0, 0, 0, 2, timezone, currency, name])


def of(operator: str, event: Event) -> Event:
    """The event of another operator."""
    return event._replace(operator=operator)


def again(event: Event) -> Event:
    """The event, read from its source topic for another time."""
    return event._replace(again=True)


# -- rows below a ledger


def _copy(value: T) -> T:
    """As if it had been stored: nothing is shared with who stored it."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=type(value))


class MemoryRows:
    """Rows as they were frozen last, in dictionaries (domain.working.Rows)."""

    def __init__(self) -> None:
        self.stored_entities: dict[bytes, Row] = {}
        self.stored_customers: dict[tuple[str, str], Customer] = {}
        self.stored_cells: dict[str, dict[CellKey, Cell]] = {table.name: {} for table in TABLES}
        self.stored_operators: dict[str, Operator] = {}
        self.stored_groups: dict[tuple[str, str], Group] = {}

    def take(self, frozen: Frozen) -> None:
        """Store what a freeze gave."""
        for stored, changed in [
            (self.stored_entities, frozen.entities),
            (self.stored_customers, frozen.customers),
            (self.stored_operators, frozen.operators),
            (self.stored_groups, frozen.groups),
            *((self.stored_cells[name], cells) for name, cells in frozen.cells.items()),
        ]:
            for key, value in changed.items():
                if value is None:
                    stored.pop(key, None)
                else:
                    stored[key] = _copy(value)

    def entity_key(self, operator: str, kind: int, entity_id: str) -> bytes:
        return b"%b/%c%b" % (operator.encode(), kind, entity_id.encode())

    def entities(self, keys: Sequence[bytes]) -> list[Row | None]:
        return [_copy(self.stored_entities.get(key)) for key in keys]

    def customers(self, names: Sequence[tuple[str, str]]) -> list[Customer | None]:
        return [_copy(self.stored_customers.get(name)) for name in names]

    def cells(self, table: Table[C], keys: Sequence[CellKey]) -> list[C | None]:
        return [_copy(self.stored_cells[table.name].get(key)) for key in keys]

    def scan_entities(self, operator: str, after: bytes = b"") -> Iterator[tuple[int, bytes, Row]]:
        prefix = b"%b/" % operator.encode()
        for key, row in sorted(self.stored_entities.items()):
            if key.startswith(prefix) and key > after:
                yield key[len(prefix)], key, _copy(row)

    def scan_customers(self, operator: str, after: str = "") -> Iterator[tuple[str, Customer]]:
        for (own, name), customer in sorted(self.stored_customers.items(), key=lambda item: item[0][1].encode()):
            if own == operator and name.encode() > after.encode():
                yield name, _copy(customer)

    def scan_cells(self, table: Table[C], operator: str) -> Iterator[tuple[CellKey, C]]:
        for key, cell in sorted(self.stored_cells[table.name].items()):
            if key.operator == operator:
                yield key, _copy(cell)

    def operators(self, only: str | None = None) -> dict[str, Operator]:
        return {name: _copy(found) for name, found in self.stored_operators.items() if only in {None, name}}

    def groups(self, only: str | None = None) -> Iterator[tuple[str, str, Group]]:
        for (operator, group), found in self.stored_groups.items():
            if only in {None, operator}:
                yield operator, group, _copy(found)


# -- a ledger above them


def _nonzero(layout: Layout, sums: Sums) -> dict[str, int]:
    return {figure.name: sums[layout.at(figure)] for figure in layout.figures if sums[layout.at(figure)]}


class World:
    """A ledger above rows in memory. `rejected`: what was too late so far; `frozen`: what the last freeze gave."""

    def __init__(self, now: str | None = NOW, settings: Settings = SETTINGS) -> None:
        self.rows, self._settings, self._offset = MemoryRows(), settings, 0
        self._now = 0 if now is None else at(now)
        self.ledger = Ledger(self.rows, settings, self._now)
        self.rejected: list[str] = []
        self.frozen: Frozen

    def apply(self, items: Iterable[Event | Clock], *, apart: bool = False) -> None:
        """Apply events in order, in one batch; `apart`: each in a batch and with a freeze of its own. Then freeze."""
        frames = [self._frame(item) for item in items]
        for some in [[frame] for frame in frames] if apart else [frames]:
            self.rejected += [late.detail for late in self.ledger.apply(some)]
            self.freeze()

    def _frame(self, item: Event | Clock) -> tuple[int | None, list[Events]]:
        if isinstance(item, Clock):
            return item.now, []
        self._offset += 1
        operator, kind, id_, row, is_again = item
        row = [dict(value) if isinstance(value, dict) else value for value in row]
        row[OFFSET] = self._offset
        assert len(row[STAMP]) == FORMAT + 1
        keys = [self.rows.entity_key(operator, kind, id_)] if kind in ENTITIES else []
        return None, [DecodedEvents(operator, kind, [id_.encode()], keys, [row], {}, is_again)]

    def freeze(self) -> Frozen:
        """Freeze with the offset as the version; the rows hold it then."""
        self.frozen = self.ledger.freeze(self._offset, 1000 * self._offset)
        self.rows.take(self.frozen)
        return self.frozen

    def restart(self) -> None:
        """Another ledger above the same rows, as after a crash."""
        self.ledger = Ledger(self.rows, self._settings, self.ledger.work.now)

    def operator(self, name: str = "M1") -> Operator:
        return self.rows.stored_operators[name]

    def group(self, name: str = ALL) -> Group | None:
        return self.rows.stored_groups.get(("M1", name))

    def figures(self, operator: str = "M1") -> dict[str, dict[str, int]]:
        """By "group month" the figures of sessions, by "group month currency" those of payments: what is not zero."""
        found = {}
        for key, cell in self.rows.scan_cells(MONTHLY, operator):
            name = f"{key.group} {MONTHLY.period.text(key.period)}"
            found[name] = _nonzero(SESSION_SUMS, cell.sessions)
            found |= {f"{name} {currency}": _nonzero(PAYMENT_SUMS, sums) for currency, sums in cell.payments.items()}
        return {name: figures for name, figures in found.items() if figures}

    def slots(self, operator: str = "M1") -> dict[str, int]:
        """By "group date half-hour" the counted sessions."""
        return {
            f"{key.group} {HALF_HOUR.period.text(key.period)} {HALF_HOUR.slot_names[slot]['start']}": count
            for key, cell in self.rows.scan_cells(HALF_HOUR, operator)
            for slot, count in enumerate(cell.slots)
            if count
        }

    def cells(self, table: Table[Any] = MONTHLY, operator: str = "M1") -> list[str]:
        """ "group period" of all cells that are there, zeros included."""
        return [f"{key.group} {table.period.text(key.period)}" for key, _ in self.rows.scan_cells(table, operator)]


def sessions(
    count: int, customers: int, energy: int = 0, *, anonymous: int = 0, anonymous_energy: int = 0
) -> dict[str, int]:
    """Figures of sessions that are not zero."""
    return _named(
        sessionCount=count,
        chargingCustomers=customers,
        energyKwh=energy,
        anonymousSessionCount=anonymous,
        anonymousEnergyKwh=anonymous_energy,
    )


def payments(
    count: int, customers: int, received: int = 0, *, discount: int = 0, refunded: int = 0, anonymous: int = 0
) -> dict[str, int]:
    """Figures of payments that are not zero."""
    return _named(
        paymentCount=count,
        payingCustomers=customers,
        receivedAmount=received,
        discountAmount=discount,
        refundedAmount=refunded,
        anonymousAmount=anonymous,
    )


def _named(**figures: int) -> dict[str, int]:
    return {name: value for name, value in figures.items() if value}

"""The rules of tables: what a batch adds to the cells of one operator, by the sets of groups that it concerns.

A customer's own sums go along, as parts of the customer's row: distinct numbers follow from tallies going from 0 to 1
and back, and a changed membership moves them as a whole. Nothing outside of retention is added or taken back: its cells
are gone, and with them what it once added.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from operator import add
from typing import Any, Protocol, TypeVar

import msgspec

from stream_app.domain.cells import Cell, CountCell, Customer, FigureCell
from stream_app.domain.events import ALL, CURRENCY, VERSION, Row
from stream_app.domain.figures import PAYMENTS, SESSIONS, Basis
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS, Sums, filled
from stream_app.domain.wide import ext_hook

C = TypeVar("C", bound=Cell)
Groups = tuple[str, ...]
ANONYMOUS_GROUPS: Groups = (ALL,)

_PAYMENTS_SIZE, _SESSIONS_SIZE = PAYMENT_SUMS.customer_size, SESSION_SUMS.customer_size
_NO_PAYMENTS, _NO_SESSIONS = PAYMENT_SUMS.customer_zeros(), SESSION_SUMS.customer_zeros()
_decode_part = msgspec.msgpack.Decoder(dict[Any, Any], ext_hook=ext_hook).decode


def part(customer: Customer, name: str) -> dict[Any, Any]:
    """A part of a customer's contribution, decoded when it is first looked at."""
    value: Any = customer.parts.get(name)
    if type(value) is not dict:
        value = customer.parts[name] = {} if value is None else _decode_part(value)  # type: ignore[assignment]
    return value  # type: ignore[no-any-return]


def is_something(value: Any) -> bool:
    """Does a part hold anything, decoded or not?"""
    return len(value) > (type(value) is not dict)  # an empty map is one byte


def kept(customer: Customer) -> Customer | None:
    """The row of a customer, without parts that hold nothing; None where neither groups nor a contribution are known."""
    parts = customer.parts
    if not all(map(is_something, parts.values())):
        parts = customer.parts = {name: value for name, value in parts.items() if is_something(value)}
    return customer if parts or customer.stamp[VERSION] >= 0 else None


Place = tuple[Groups, int]  # (groups, period): the cells of these groups
CellsByPlace = Mapping[Place, Sequence[C]]


class Rule(Protocol):
    """Turns counted events of one operator into differences of one table's cells."""

    @property
    def bases(self) -> Collection[Basis]:
        """The kinds of counted events that add to the table's cells."""

    def payment(self, customer: Customer | None, row: Row, local: int, sign: int) -> None:
        """A payment counts (sign 1), or no longer (-1); `local`: when it was paid, in local quarter hours."""

    def session(self, customer: Customer | None, row: Row, local: int, sign: int) -> None:
        """A session counts (sign 1), or no longer (-1); `local`: when it started, in local quarter hours."""

    def customer(self, customer: Customer, groups: Groups, sign: int) -> None:
        """A customer's whole retained contribution comes to groups (sign 1), or leaves them (-1)."""

    def touched(self) -> Iterable[Place]:
        """Places of the cells that differences concern, once all of them are known."""

    def fold(self, cells: CellsByPlace[Any]) -> None:
        """Add their differences to the cells of some places in `touched`."""


class FigureRule:
    """Sums of figures by period.

    Parts of a customer: PREFIX"p" currency -> period -> list, PREFIX"s" period -> list (sums.Layout).
    """

    bases: Collection[Basis] = (PAYMENTS, SESSIONS)

    def __init__(self, prefix: str, period: Callable[[int], int], first: int) -> None:
        self._payments_part, self._sessions_part = f"{prefix}p", f"{prefix}s"
        self._period, self._first = period, first
        self.payments: dict[tuple[Groups, int, str], Sums] = defaultdict(PAYMENT_SUMS.zeros)
        self.sessions: dict[tuple[Groups, int], Sums] = defaultdict(SESSION_SUMS.zeros)

    def payment(self, customer: Customer | None, row: Row, local: int, sign: int) -> None:
        """The payment adds to the sums of its period and currency, of the customer's groups and of the customer."""
        period, currency = self._period(local // 96), row[CURRENCY]
        if customer is None:
            PAYMENT_SUMS.add_anonymous(self.payments[ANONYMOUS_GROUPS, period, currency], row, sign)
            return
        currencies: Any = customer.parts.get(self._payments_part)
        if type(currencies) is not dict:
            currencies = part(customer, self._payments_part)
        periods = currencies.get(currency)
        if periods is None:
            periods = currencies[currency] = {}
        own = periods.get(period)
        if own is None:
            own = periods[period] = _NO_PAYMENTS[:]
        elif len(own) < _PAYMENTS_SIZE:
            own = periods[period] = filled(own, _PAYMENTS_SIZE)
        if not PAYMENT_SUMS.add(self.payments[customer.groups, period, currency], own, row, sign):
            del periods[period]
            if not periods:
                del currencies[currency]

    def session(self, customer: Customer | None, row: Row, local: int, sign: int) -> None:
        """The session adds to the sums of its period: those of the customer's groups, and the customer's own."""
        period = self._period(local // 96)
        if customer is None:
            SESSION_SUMS.add_anonymous(self.sessions[ANONYMOUS_GROUPS, period], row, sign)
            return
        periods: Any = customer.parts.get(self._sessions_part)
        if type(periods) is not dict:
            periods = part(customer, self._sessions_part)
        own = periods.get(period)
        if own is None:
            own = periods[period] = _NO_SESSIONS[:]
        elif len(own) < _SESSIONS_SIZE:
            own = periods[period] = filled(own, _SESSIONS_SIZE)
        if not SESSION_SUMS.add(self.sessions[customer.groups, period], own, row, sign):
            del periods[period]

    def customer(self, customer: Customer, groups: Groups, sign: int) -> None:
        """The customer's own sums of all retained periods come to the groups, or leave them."""
        for currency, periods in part(customer, self._payments_part).items():
            for period, own in periods.items():
                if period >= self._first:
                    own_ = filled(own, PAYMENT_SUMS.customer_size)
                    PAYMENT_SUMS.add_customer(self.payments[groups, period, currency], own_, sign)
        for period, own in part(customer, self._sessions_part).items():
            if period >= self._first:
                own_ = filled(own, SESSION_SUMS.customer_size)
                SESSION_SUMS.add_customer(self.sessions[groups, period], own_, sign)

    def touched(self) -> Iterable[Place]:
        """Places with a difference in payments of any currency, or in sessions."""
        return {key[:2] for key in self.payments} | self.sessions.keys()

    @cached_property
    def _currencies(self) -> Collection[str]:
        return dict.fromkeys(key[2] for key in self.payments)  # in their order, whatever the interpreter's hashes

    def fold(self, cells: CellsByPlace[FigureCell]) -> None:
        """Add the differences to the lists of the cells; a currency that is new to a cell gets a list."""
        payments, sessions, currencies = self.payments.get, self.sessions.get, self._currencies
        for place, found in cells.items():
            groups, period = place
            for currency in currencies:
                if (delta := payments((groups, period, currency))) is not None:
                    for cell in found:
                        own = cell.payments.get(currency)
                        cell.payments[currency] = delta[:] if own is None else list(map(add, own, delta))
            if (delta := sessions(place)) is not None:
                for cell in found:
                    cell.sessions = list(map(add, cell.sessions, delta))


class CountRule:
    """Sessions by slot of a period. Part of a customer: PREFIX period * width + slot -> count."""

    bases: Collection[Basis] = (SESSIONS,)

    def __init__(
        self, prefix: str, period: Callable[[int], int], slot: Callable[[int], int], width: int, first: int
    ) -> None:
        self._part, self._period, self._slot, self._width, self._first = prefix, period, slot, width, first
        self.counts: dict[tuple[Groups, int], dict[int, int]] = defaultdict(lambda: defaultdict(int))

    def payment(self, customer: Customer | None, row: Row, local: int, sign: int) -> None:
        """Payments have no slot: nothing is added."""

    def session(self, customer: Customer | None, row: Row, local: int, sign: int) -> None:
        """The session adds one to the slot of its start, unless that period has left retention."""
        del row  # all that counts of it is when
        period = self._period(local // 96)
        if period < self._first:
            return
        slot, groups = self._slot(local), ANONYMOUS_GROUPS
        if customer is not None:
            groups, at = customer.groups, period * self._width + slot
            counts: Any = customer.parts.get(self._part)
            if type(counts) is not dict:
                counts = part(customer, self._part)
            count = counts.get(at, 0) + sign
            if count:
                counts[at] = count
            else:
                del counts[at]
        self.counts[groups, period][slot] += sign

    def customer(self, customer: Customer, groups: Groups, sign: int) -> None:
        """The customer's own counts of all retained periods come to the groups, or leave them."""
        by_period: dict[int, dict[int, int]] = {}  # looked up once each: groups may be very many
        for at, count in part(customer, self._part).items():
            period, slot = divmod(at, self._width)
            if period >= self._first:
                counts = by_period.get(period)
                if counts is None:
                    counts = by_period[period] = self.counts[groups, period]
                counts[slot] += sign * count

    def touched(self) -> Iterable[Place]:
        """Places with a difference in any slot."""
        return self.counts.keys()

    def fold(self, cells: CellsByPlace[CountCell]) -> None:
        """Add the differences to the slots of the cells."""
        for place, found in cells.items():
            counts = self.counts[place]
            for cell in found:
                slots = cell.slots
                for slot, count in counts.items():
                    slots[slot] += count


def prune_figures(customer: Customer, prefix: str, first: int) -> bool:
    """Drop what a customer's parts of a FigureRule hold of periods before `first`. Was there any?"""
    currencies = part(customer, f"{prefix}p")
    stale = [_prune(periods, first) for periods in [*currencies.values(), part(customer, f"{prefix}s")]]
    for currency in [currency for currency, periods in currencies.items() if not periods]:
        del currencies[currency]
    return any(stale)


def prune_counts(customer: Customer, prefix: str, first: int) -> bool:
    """Drop what a customer's part of a CountRule holds before the key `first`. Was there any?"""
    return _prune(part(customer, prefix), first)


def _prune(counts: dict[int, Any], first: int) -> bool:
    stale = [key for key in counts if key < first]
    for key in stale:
        del counts[key]
    return bool(stale)

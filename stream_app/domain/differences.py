"""What a batch adds to the cells of one operator, by the sets of groups that it concerns.

A customer's own counts go along: distinct numbers follow from counts going from 0 to 1 and back. Nothing outside of retention is added or
taken back: its cells are gone, and with them what it once added.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from stream_app.domain.cells import Customer
from stream_app.domain.events import ALL, CURRENCY, DISCOUNT, RECEIVED, REFUNDED, Row
from stream_app.domain.local_time import month_of_day

Groups = tuple[str, ...]
ANONYMOUS_GROUPS: Groups = (ALL,)

_decode_part = msgspec.msgpack.Decoder(dict[Any, Any]).decode


def part(customer: Customer, name: str) -> dict[Any, Any]:
    """A part of a customer's contribution, decoded when it is first looked at."""
    value = getattr(customer, name)
    if type(value) is msgspec.Raw:
        value = _decode_part(value)
        setattr(customer, name, value)
    return value  # type: ignore[no-any-return]


def is_something(value: Any) -> bool:
    """Does a part hold anything, decoded or not?"""
    return len(value) > (type(value) is msgspec.Raw)  # an empty map is one byte


def _adjust(counts: dict[int, int], key: int, by: int) -> int:
    count = counts.get(key, 0) + by
    if count:
        counts[key] = count
    else:
        del counts[key]
    return count


class Differences:
    """Sums to add to cells. Months like 202611, days and slots as in domain.local_time."""

    def __init__(self, first_month: int, first_day: int) -> None:
        self.first_month, self.first_day = first_month, first_day
        # (groups, month, currency): as indexed by cells.RECEIVED …
        self.money: dict[tuple[Groups, int, str], list[int]] = defaultdict(lambda: [0] * 6)
        # (groups, month): as indexed by cells.SESSIONS …
        self.usage: dict[tuple[Groups, int], list[int]] = defaultdict(lambda: [0] * 3)
        # (groups, day): slot: count
        self.slots: dict[tuple[Groups, int], dict[int, int]] = defaultdict(lambda: defaultdict(int))

    def payment(self, customer: Customer | None, row: Row, local: int, sign: int) -> None:
        """Count a payment (sign 1) or take it back (-1); `local`: when it was paid, in local quarter hours."""
        month, currency, received = month_of_day(local // 96), row[CURRENCY], row[RECEIVED]
        discount, refunded, groups, payers, anonymous = row[DISCOUNT], row[REFUNDED], ANONYMOUS_GROUPS, 0, 0
        if customer is None:
            anonymous = sign * (received - refunded)
        else:
            groups = customer.groups
            money: Any = customer.money
            if type(money) is msgspec.Raw:
                money = part(customer, "money")
            months = money.setdefault(currency, {})
            own = months.get(month)
            if own is None:
                own = months[month] = [0, 0, 0, 0, 0]
            own[0] += sign * received
            own[1] += sign * discount
            own[2] += sign * refunded
            own[3] += sign
            if received > 0:
                own[4] += sign
                if own[4] == (sign > 0):  # 0 to 1, or 1 to 0
                    payers = sign
            if not own[3]:
                del months[month]
                if not months:
                    del money[currency]
        cell = self.money[groups, month, currency]
        cell[0] += sign * received
        cell[1] += sign * discount
        cell[2] += sign * refunded
        cell[3] += sign
        cell[4] += payers
        cell[5] += anonymous

    def session(self, customer: Customer | None, row: Row, local: int, sign: int) -> None:
        """Count a session (sign 1) or take it back (-1); `local`: when it started, in local quarter hours."""
        del row  # all that counts of it is when
        day = local // 96
        month, kept, groups, chargers = month_of_day(day), day >= self.first_day, ANONYMOUS_GROUPS, 0
        if customer is not None:
            groups = customer.groups
            if _adjust(part(customer, "sessions"), month, sign) == (sign > 0):  # 0 to 1, or 1 to 0
                chargers = sign
            if kept:
                _adjust(part(customer, "slots"), local // 2, sign)
        cell = self.usage[groups, month]
        cell[0] += sign
        cell[1] += chargers
        if customer is None:
            cell[2] += sign
        if kept:
            self.slots[groups, day][local % 96 // 2] += sign

    def customer(self, customer: Customer, groups: Sequence[str], sign: int) -> None:
        """Add a customer's whole retained contribution to groups, or take it away."""
        key = tuple(groups)
        for currency, months in part(customer, "money").items():
            for month, own in months.items():
                if month >= self.first_month:
                    cell = self.money[key, month, currency]
                    for i in range(4):
                        cell[i] += sign * own[i]
                    cell[4] += sign * (own[4] > 0)
        for month, count in part(customer, "sessions").items():
            if month >= self.first_month:
                usage = self.usage[key, month]
                usage[0] += sign * count
                usage[1] += sign
        for slot, count in part(customer, "slots").items():
            if slot // 48 >= self.first_day:
                self.slots[key, slot // 48][slot % 48] += sign * count

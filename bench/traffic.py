"""Sessions and payments of half a year as we and the peers are measured with: the same for the same data set, number and day.

Two data sets, of few operators and of many: `narrow` and `wide`; a customer belongs to one of the five groups of an operator. Others are made where
costs are measured. Half of all sessions are of a quarter of the customers; a payment follows each session. We read them as the contract has them, and
who is in which group from a topic of its own, before; the peers read the groups inside of each event. `Truth` computes what must come out by itself,
without the product.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final, NamedTuple

import orjson

from bench.records import Json, SentRecord

DAYS: Final = 180
_GROUPS: Final = 5  # of each operator at least, beside ALL
PAID_AFTER_MS: Final = 3_660_000
_DAY_MS: Final = 86_400_000


@cache
def _name(form: str, number: int) -> str:
    """The same object each time: millions of results are named by it."""
    return form.format(number)


class DataSet(NamedTuple):
    """How wide the data are; `groups`: results by group, ALL of each operator among them.

    `memberships`: groups of each customer. `is_skewed`: nine in ten customers, and so nine tenths of the traffic, are of the first operator.
    """

    name: str
    operators: int
    customers: int
    memberships: int = 1
    is_skewed: bool = False

    @property
    def groups_each(self) -> int:
        """Groups of an operator, beside ALL."""
        return max(_GROUPS, self.memberships)

    @property
    def groups(self) -> int:
        """How many groups have results."""
        return self.operators * (self.groups_each + 1)

    def operator(self, customer: int) -> str:
        """The operator of a customer."""
        if self.is_skewed:
            return _name("M{:04d}", 0 if customer % 10 else customer // 10 % self.operators)
        return _name("M{:04d}", customer % self.operators)

    def group(self, customer: int) -> str:
        """The first group of a customer."""
        return _name("G{}", customer // self.operators % self.groups_each)

    def group_ids(self, customer: int) -> list[str]:
        """All groups of a customer."""
        first = customer // self.operators
        return [_name("G{}", (first + number) % self.groups_each) for number in range(self.memberships)]


NARROW: Final = DataSet("narrow", 20, 200_000)
WIDE: Final = DataSet("wide", 5_000, 500_000)
SMALL: Final = DataSet("small", 3, 60)  # for tests
DATA_SETS: Final = {data.name: data for data in (NARROW, WIDE, SMALL)}


class Visit(NamedTuple):
    """A session and its payment. `number` is the id of both."""

    number: int
    customer: int
    started_ms: int
    energy_wh: int
    amount: int
    discount: int


def last_midnight_ms() -> int:
    """Where the half year ends: the midnight before today's, so that all of it has passed."""
    return int(datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000) - _DAY_MS


def visits(data: DataSet, events: int, until_ms: int, days: int = DAYS) -> Iterator[Visit]:
    """Half as many visits as events, in order of time, evenly over the days before `until_ms`."""
    own, count = random.Random(7), events // 2
    first_ms = until_ms - days * _DAY_MS
    for number in range(count):
        customer = int(own.random() ** 2 * data.customers)
        started_ms = first_ms + int(number / count * days * _DAY_MS)
        yield Visit(
            number, customer, started_ms, own.randrange(1_000, 60_000), own.randrange(500, 9_000), own.randrange(200)
        )


# -- as we read them


def directory(data: DataSet) -> Iterator[SentRecord]:
    """Operators and memberships, which come before all visits."""
    for number in range(data.operators):
        value = {"operator_id": data.operator(number), "timezone": "UTC", "currency": "EUR", "version": 1}
        yield SentRecord("operators", orjson.dumps(value), key=data.operator(number))
    for customer in range(data.customers):
        value = {
            "operator_id": data.operator(customer), "customer_id": f"C{customer:07d}", "group_ids": data.group_ids(customer), "version": 1,
        }  # fmt: skip
        yield SentRecord("customer_groups", orjson.dumps(value), key=f"C{customer:07d}")


def contract(data: DataSet, visit: Visit) -> tuple[SentRecord, SentRecord]:
    """Session and payment as the contract has them."""
    customer, operator = f"C{visit.customer:07d}", data.operator(visit.customer)
    session = {
        "session_id": f"S{visit.number:010d}", "operator_id": operator, "customer_id": customer, "status": "COMPLETED",
        "site_id": f"L{visit.customer % 300:04d}", "connector_id": f"P{visit.customer % 3000:05d}-1",
        "started_at": visit.started_ms, "ended_at": visit.started_ms + 3_600_000,
        "energy_kwh": f"{visit.energy_wh // 1000}.{visit.energy_wh % 1000:03d}", "version": 1,
    }  # fmt: skip
    payment = {
        "payment_id": f"P{visit.number:010d}", "session_id": f"S{visit.number:010d}", "operator_id": operator, "customer_id": customer,
        "status": "SUCCEEDED", "amount_received": visit.amount, "amount_discount": visit.discount, "currency": "EUR",
        "paid_at": visit.started_ms + PAID_AFTER_MS, "version": 1,
    }  # fmt: skip
    return _both(customer, session, payment)


# -- as the peers read them


def for_peers(data: DataSet, visit: Visit) -> tuple[SentRecord, SentRecord]:
    """Session and payment with the customer's groups inside."""
    customer, operator, groups = f"C{visit.customer:07d}", data.operator(visit.customer), data.group_ids(visit.customer)
    session = {
        "event_id": f"es{visit.number:010d}", "type": "charging.session.completed", "session_id": f"S{visit.number:010d}",
        "operator_id": operator, "customer_id": customer, "group_ids": groups, "site_id": f"L{visit.customer % 300:04d}",
        "connector_id": f"P{visit.customer % 3000:05d}-1", "started_at": visit.started_ms, "ended_at": visit.started_ms + 3_600_000,
        "energy_wh": visit.energy_wh, "version": 1,
    }  # fmt: skip
    payment = {
        "event_id": f"ep{visit.number:010d}", "type": "payment.succeeded", "payment_id": f"P{visit.number:010d}",
        "session_id": f"S{visit.number:010d}", "operator_id": operator, "customer_id": customer, "group_ids": groups,
        "amount_received": visit.amount, "discount_amount": visit.discount, "currency": "EUR",
        "paid_at": visit.started_ms + PAID_AFTER_MS, "version": 1,
    }  # fmt: skip
    return _both(customer, session, payment)


def _both(customer: str, session: Json, payment: Json) -> tuple[SentRecord, SentRecord]:
    return SentRecord("sessions", orjson.dumps(session), key=customer), SentRecord(
        "payments", orjson.dumps(payment), key=customer
    )


# -- what must come out


class Truth:
    """Counts visits one by one. By (operator, group, month): `payments` (amount, discount, number, customers), `sessions` (number, customers).

    `energy_wh` by the same; `slots` by (operator, group, date, half-hour of the day): the number of sessions. Amounts in minor units, months like
    2026-11, dates like 2026-11-03, of UTC.
    """

    def __init__(self, data: DataSet) -> None:
        self._data, self.visits = data, 0
        self._paid: defaultdict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
        self._came: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self._payers: defaultdict[tuple[str, str, str], set[int]] = defaultdict(set)
        self._chargers: defaultdict[tuple[str, str, str], set[int]] = defaultdict(set)
        self.energy_wh: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self.slots: defaultdict[tuple[str, str, str, int], int] = defaultdict(int)
        self._dates: dict[int, str] = {}

    def count(self, visit: Visit) -> None:
        """Count a visit."""
        self.visits += 1
        operator, groups = self._data.operator(visit.customer), (*self._data.group_ids(visit.customer), "ALL")
        date, paid = self._date(visit.started_ms), self._date(visit.started_ms + PAID_AFTER_MS)[:7]
        slot = visit.started_ms % _DAY_MS // 1_800_000
        for group in groups:
            sums = self._paid[operator, group, paid]
            sums[0] += visit.amount
            sums[1] += visit.discount
            sums[2] += 1
            self._payers[operator, group, paid].add(visit.customer)
            month = operator, group, date[:7]
            self._came[month] += 1
            self._chargers[month].add(visit.customer)
            self.energy_wh[month] += visit.energy_wh
            self.slots[operator, group, date, slot] += 1

    def counted(self, made: Iterable[Visit]) -> Iterator[Visit]:
        """The visits, counted as they pass."""
        for visit in made:
            self.count(visit)
            yield visit

    def _date(self, time_ms: int) -> str:
        day = time_ms // _DAY_MS
        if day not in self._dates:
            self._dates[day] = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat()
        return self._dates[day]

    @property
    def payments(self) -> dict[tuple[str, str, str], tuple[int, int, int, int]]:
        """(amount, discount, number, customers) by month."""
        return {key: (*sums, len(self._payers[key])) for key, sums in self._paid.items()}  # type: ignore[misc]  # of three

    @property
    def sessions(self) -> dict[tuple[str, str, str], tuple[int, int]]:
        """(number, customers) by month."""
        return {key: (count, len(self._chargers[key])) for key, count in self._came.items()}

    @property
    def months(self) -> dict[tuple[str, str, str], tuple[int, ...]]:
        """(amount, discount, payments, paying customers, sessions, charging customers, energy in Wh) by month, of what counts anywhere."""
        payments, sessions = self.payments, self.sessions
        return {
            key: (*payments.get(key, (0, 0, 0, 0)), *sessions.get(key, (0, 0)), self.energy_wh.get(key, 0))
            for key in payments.keys() | sessions.keys()
        }

"""Source records of a plausible network, with every kind of correction: the same for the same seed and moment.

Operators in several zones, customers of whom few come often, groups, anonymous guests; duplicates, refunds, sessions taken back, moved times and
customers, other currencies, stale and equal versions, times as text and as integers, regroupings, and a few that are unusable. All times lie
within the retained months. `Network` counts what must come out, so that a measurement of a wrong result is seen as one.
"""

import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

Json = dict[str, Any]

CUSTOMERS = 10_000  # of each operator
GROUPS = ("vip", "fleet", "gold", "staff", "大客户")
_PLACES = (
    ("Europe/Berlin", "EUR"),
    ("UTC", "EUR"),
    ("Asia/Shanghai", "CNY"),
    ("America/New_York", "USD"),
    ("Asia/Kathmandu", "NPR"),
)
OPERATORS = tuple((f"M{number}", *_PLACES[number % len(_PLACES)]) for number in range(20))

ANONYMOUS, NO_FIELD, TEXT_TIMES, UNUSABLE, REGROUPED = 0.08, 0.5, 0.1, 0.001, 0.002
MEMBERSHIPS = 0.06  # of all records, at the start
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_RECENT = 5_000


class SentRecord(NamedTuple):
    """A record as a source team would send it. `partition` and `timestamp_ms` only where they decide which version is the later one; `key` "": any."""

    kind: str  # sessions, payments, customer_groups, groups, operators: names of the registry
    value: bytes
    usable: bool = True
    partition: int | None = None
    timestamp_ms: int | None = None
    key: str = ""


class Pair(NamedTuple):
    """A session and its payment."""

    session: Json
    payment: Json


class Network:
    """Iterating makes `count` records. `payments`, `sessions`: entities that count at the end, over all records made."""

    def __init__(self, count: int, *, seed: int = 1, now: datetime | None = None) -> None:
        self._count, self._random = count, random.Random(seed)
        now = now or datetime.now(UTC)
        self._now_ms = int(now.timestamp() * 1000)
        there = now + timedelta(hours=14)  # in the zone that is furthest ahead, and drops a month first
        first = datetime(there.year - 1, there.month, 3, tzinfo=UTC)  # in each zone within the months kept
        self._from_ms, self._to_ms = int(first.timestamp() * 1000), self._now_ms - _HOUR_MS
        self._recent: deque[Pair] = deque(maxlen=_RECENT)
        self._last: dict[tuple[str, str], tuple[int, bool]] = {}  # entity -> version, does it count

    @property
    def payments(self) -> int:
        """Payments that count."""
        return sum(counts for (kind, _), (_, counts) in self._last.items() if kind == "payments")

    @property
    def sessions(self) -> int:
        """Sessions that count."""
        return sum(counts for (kind, _), (_, counts) in self._last.items() if kind == "sessions")

    def __iter__(self) -> Iterator[SentRecord]:
        for record in itertools.islice(self._records(), self._count):
            if record.usable and record.kind in {"sessions", "payments"}:
                self._note(record.kind, orjson.loads(record.value))
            yield record

    def _note(self, kind: str, value: Json) -> None:
        if kind == "sessions":
            entity, counts = f"{value['operator_id']}/{value['session_id']}", value["status"] == "COMPLETED"
        else:
            entity = f"{value['operator_id']}/{value['payment_id']}"
            refunded_in_full = 0 < value["amount_received"] == value["amount_refunded"]
            counts = value["status"] == "SUCCEEDED" and not refunded_in_full
        version, _ = self._last.get((kind, entity), (-1, False))
        if value["version"] >= version:
            self._last[kind, entity] = value["version"], counts

    # -- what is made

    def _records(self) -> Iterator[SentRecord]:
        for number, (operator, zone, currency) in enumerate(OPERATORS):
            if number != 1:  # one was never announced
                yield _record(
                    "operators",
                    {
                        "operator_id": operator,
                        "name": f"Stadtwerke {number}",
                        "timezone": zone,
                        "currency": currency,
                        "version": 1,
                    },
                )
            yield _record(
                "groups", {"operator_id": operator, "group_id": GROUPS[-1], "name": "Key accounts", "version": 1}
            )
        for _ in range(int(self._count * MEMBERSHIPS)):
            operator, *_ = self._random.choice(OPERATORS)
            yield self._membership(operator, self._customer_id(), self._random.choice((1, 1, 2)), 1)
        pairs = 0
        while True:
            # Spread evenly over the months: some two records a pair are what is left to make.
            share = min(1.0, 2.1 * pairs / (self._count * (1 - MEMBERSHIPS)))
            at_ms = self._from_ms + int((self._to_ms - self._from_ms) * share)
            yield from self._pair(at_ms + self._random.randrange(-_DAY_MS // 2, _DAY_MS // 2))
            pairs += 1

    def _pair(self, at_ms: int) -> Iterator[SentRecord]:
        operator, _, currency = self._random.choice(OPERATORS)
        customer, number = self._customer(), f"{self._random.getrandbits(64):016x}"
        received = self._random.choice((0, *[self._random.randrange(1, 5_000)] * 9))
        session: Json = {
            "session_id": f"s-{number}", "operator_id": operator, "customer_id": customer, "status": "COMPLETED",
            "started_at": self._time(at_ms), "ended_at": at_ms + 2_000_000, "energy_kwh": f"{self._random.uniform(2, 80):.3f}", "version": 1,
        }  # fmt: skip
        payment: Json = {
            "payment_id": f"p-{number}", "session_id": f"s-{number}", "operator_id": operator, "customer_id": customer,
            "status": "SUCCEEDED", "amount_received": received, "amount_discount": self._random.choice((0, 0, 0, 150)),
            "amount_refunded": 0, "currency": currency, "paid_at": self._time(at_ms + 2_100_000), "version": 1,
        }  # fmt: skip
        if customer is None and self._random.random() < NO_FIELD:
            del session["customer_id"], payment["customer_id"]
        correct = self._random.choices(_CORRECTIONS, _WEIGHTS)[0]
        yield from correct(self, Pair(session, payment), at_ms)
        if customer is not None and self._random.random() < REGROUPED:
            yield self._membership(operator, customer, self._random.randrange(4), self._random.randrange(4))
        if self._random.random() < UNUSABLE:
            yield _record("payments", {**payment, "payment_id": f"x-{number}", "status": "PAID"}, usable=False)

    def _membership(self, operator: str, customer: str, groups: int, version: int) -> SentRecord:
        value = {
            "operator_id": operator,
            "customer_id": customer,
            "version": version,
            "group_ids": self._random.sample(GROUPS, groups),
        }
        return _record("customer_groups", value)

    def _customer_id(self) -> str:
        return f"c-{int(CUSTOMERS * self._random.random() ** 2)}"

    def _customer(self) -> str | None:
        return None if self._random.random() < ANONYMOUS else self._customer_id()

    def _time(self, at_ms: int) -> int | str:
        at_ms = max(self._from_ms, min(at_ms, self._to_ms))
        if self._random.random() < TEXT_TIMES:
            return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
        return at_ms

    def _other_time(self, at_ms: int) -> int | str:
        return self._time(at_ms + self._random.randrange(-40 * _DAY_MS, 40 * _DAY_MS))

    # -- what happens to a pair

    def _as_it_was(self, pair: Pair, at_ms: int) -> Iterator[SentRecord]:
        del at_ms
        self._recent.append(pair)
        yield from _both(pair)

    def _sent_again(self, pair: Pair, at_ms: int) -> Iterator[SentRecord]:
        yield from self._as_it_was(pair, at_ms)
        yield from _both(self._random.choice(self._recent))

    def _refunded(self, pair: Pair, at_ms: int) -> Iterator[SentRecord]:
        yield from self._as_it_was(pair, at_ms)
        received = pair.payment["amount_received"]
        full, part = {"amount_refunded": received}, {"amount_refunded": received // 3}
        match self._random.randrange(6):
            case 0:
                yield _payment(pair, 2, **full)
            case 1:  # in full, then in part after all
                yield _payment(pair, 2, **full)
                yield _payment(pair, 3, **part)
            case 2:
                yield _payment(pair, 3, status="REFUNDED")
            case _:
                yield _payment(pair, 2, **part)

    def _taken_back(self, pair: Pair, at_ms: int) -> Iterator[SentRecord]:
        if self._random.random() < 0.5:
            yield from self._as_it_was(pair, at_ms)
            yield _session(pair, 2, status="INVALID")
        else:  # the newer version first
            yield _session(pair, 5, status="INVALID")
            yield from self._as_it_was(pair, at_ms)

    def _stale(self, pair: Pair, at_ms: int) -> Iterator[SentRecord]:
        yield from self._as_it_was(pair, at_ms)
        yield _session(pair, 0, status="ACTIVE")

    def _moved(self, pair: Pair, at_ms: int) -> Iterator[SentRecord]:
        yield from self._as_it_was(pair, at_ms)
        if self._random.random() < 0.5:
            yield _payment(pair, 2, paid_at=self._other_time(at_ms))
        else:
            yield _session(pair, 2, started_at=self._other_time(at_ms))

    def _of_another(self, pair: Pair, at_ms: int) -> Iterator[SentRecord]:
        yield from self._as_it_was(pair, at_ms)
        change = _payment if self._random.random() < 0.5 else _session
        yield change(pair, 2, customer_id=self._customer())

    def _in_another_currency(self, pair: Pair, at_ms: int) -> Iterator[SentRecord]:
        yield from self._as_it_was(pair, at_ms)
        yield _payment(pair, 2, currency="CHF", amount_received=pair.payment["amount_received"] + 100)

    def _contradicting(self, pair: Pair, at_ms: int) -> Iterator[SentRecord]:
        """Two payments of equal version: the later timestamp, the higher offset, the higher partition decides, in this order."""
        del at_ms
        yield SentRecord("sessions", orjson.dumps(pair.session))
        other = {
            **pair.payment,
            "amount_received": pair.payment["amount_received"] + 7,
            "customer_id": self._customer(),
        }
        first, second = self._random.sample(range(3), 2)
        same, earlier = (first, self._now_ms), (second, self._now_ms - 60_000)
        places = self._random.choice(((same, same), (same, earlier), (same, (second, self._now_ms))))
        for value, (partition, timestamp_ms) in zip((pair.payment, other), places, strict=True):
            yield SentRecord("payments", orjson.dumps(value), partition=partition, timestamp_ms=timestamp_ms)


Correction = Callable[[Network, Pair, int], Iterator[SentRecord]]
_PLAN: tuple[tuple[float, Correction], ...] = (
    (0.800, Network._as_it_was),  # noqa: SLF001  # the class's own plan
    (0.080, Network._sent_again),  # noqa: SLF001
    (0.035, Network._refunded),  # noqa: SLF001
    (0.015, Network._taken_back),  # noqa: SLF001
    (0.005, Network._stale),  # noqa: SLF001
    (0.030, Network._moved),  # noqa: SLF001
    (0.020, Network._of_another),  # noqa: SLF001
    (0.005, Network._in_another_currency),  # noqa: SLF001
    (0.010, Network._contradicting),  # noqa: SLF001
)
_WEIGHTS, _CORRECTIONS = [weight for weight, _ in _PLAN], [correct for _, correct in _PLAN]


def _record(kind: str, value: Json, *, usable: bool = True) -> SentRecord:
    return SentRecord(kind, orjson.dumps(value), usable)


def _session(pair: Pair, version: int, **change: object) -> SentRecord:
    return _record("sessions", {**pair.session, **change, "version": version})


def _payment(pair: Pair, version: int, **change: object) -> SentRecord:
    return _record("payments", {**pair.payment, **change, "version": version})


def _both(pair: Pair) -> Iterator[SentRecord]:
    yield _record("sessions", pair.session)
    yield _record("payments", pair.payment)

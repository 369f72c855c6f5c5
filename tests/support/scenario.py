"""A big deterministic scenario for the end-to-end test: everything that may happen to charging records, in disorder.

`build` makes what is sent, `send` moves it into Kafka, and the `diff_…` functions compare each output with the truth
about what was read back from the source topics. `python -m tests.support.scenario SEED N` prints what a scenario is made of.
"""

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from confluent_kafka import KafkaException, Producer

from tests.oracle import TOPICS, Truth, local, month_of, month_plus, truth
from tests.oracle_room.differences import (
    diff_clickhouse,
    diff_dead_letters,
    diff_http,
    diff_redis,
    diff_topics,
    versions_never_fall,
)
from tests.oracle_room.examples import Example, bad_examples, dumps, ocpi_time, odd_examples
from tests.oracle_room.reading import Record
from tests.support.kafka import flush

__all__ = [
    "PARTITIONS", "Send", "as_records", "build", "compacted", "diff_clickhouse", "diff_dead_letters", "diff_http", "diff_redis",
    "diff_topics", "earliest_ms", "interesting_times", "send", "versions_never_fall",
]  # fmt: skip

PARTITIONS = {
    TOPICS["session"]: 3,
    TOPICS["payment"]: 5,
    TOPICS["membership"]: 2,
    TOPICS["group"]: 1,
    TOPICS["operator"]: 1,
    TOPICS["cdr"]: 1,
}
HOUR, DAY = 3_600_000, 86_400_000


class Send(NamedTuple):
    """A record to be sent; without a timestamp Kafka gives one."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int | None


class Operator(NamedTuple):
    """An operator of the scenario: zones one after the other (none: never announced), and the currencies it is paid in."""

    id: str
    zones: tuple[str, ...]
    currency: str
    paid_in: tuple[str, ...]
    announced_at: float = 0.0  # when, from 0 to 1


OPERATORS = (
    Operator("M1", ("Europe/Berlin",), "EUR", ("EUR",) * 9 + ("CHF",)),
    Operator("M|2{%7C}+%", ("Asia/Kathmandu",), "EUR", ("EUR", "JPY")),
    Operator("大客户 \"'\\", ("America/St_Johns",), "CAD", ("CAD", "EUR", "KWD")),
    Operator("a b/c:d", ("Australia/Lord_Howe",), "JPY", ("JPY",)),
    Operator("⚡", ("Pacific/Chatham",), "KWD", ("KWD", "EUR")),
    Operator("moved", ("Europe/Berlin", "Asia/Kathmandu"), "EUR", ("EUR",)),
    Operator("moved-west", ("Pacific/Chatham", "America/St_Johns"), "EUR", ("EUR", "JPY")),
    Operator("late", ("America/St_Johns",), "JPY", ("EUR",), 0.99),
    Operator("never", (), "", ("JPY", "JPY", "EUR", "KWD")),
    Operator("NL-ALF", ("Europe/Amsterdam",), "EUR", ("EUR", "JPY")),
    Operator("DE-STW", (), "", ("CHF", "EUR")),
)
CDR_OPERATORS = {"NL-ALF", "DE-STW"}
GROUPS = ("vip", "fleet", "大客户", "a|b{c}%+", "all", "staff")


def earliest_ms(now_ms: int, zones: Iterable[str], retention_months: int = 13) -> int:
    """The first instant that is retained in each of the zones, whichever counts."""
    found = 0
    for zone in {"UTC", *zones}:
        first = month_plus(month_of(now_ms, zone), 1 - retention_months)
        day = datetime(int(first[:4]), int(first[5:]), 1, tzinfo=UTC) - timedelta(days=2)
        start = int(day.timestamp() * 1000)
        found = max(found, next(t for t in range(start, start + 5 * DAY, 900_000) if month_of(t, zone) >= first))
    return found


def interesting_times(zone: str, first_ms: int, last_ms: int) -> list[int]:
    """Instants between at which something turns: months, midnights and slots, both days on which clocks change, the kept days' edges."""
    edges = []
    for noon in range(first_ms // DAY * DAY + DAY // 2, last_ms + DAY, DAY):
        here, there = local(noon, zone), local(noon + DAY, zone)
        if here.utcoffset() != there.utcoffset():
            edges += range(noon, noon + DAY, 900_000)
        if here.month != there.month or last_ms - 94 * DAY < noon < last_ms - 90 * DAY or noon > last_ms - 2 * DAY:
            edges += [
                t for t in range(noon, noon + DAY, 900_000) if local(t, zone).date() != local(t - 900_000, zone).date()
            ]
    found = [edge + shift for edge in edges for shift in (-1, 0, 1, 900_000)]
    return [t for t in found if first_ms <= t <= last_ms]


class _Builder:
    def __init__(self, seed: int, now_ms: int) -> None:
        self.rng = random.Random(seed)
        self.now_ms = now_ms
        self.sends: list[tuple[float, Send]] = []
        zones = {zone for operator in OPERATORS for zone in operator.zones}
        # A minute is left: what is sent is not ahead of a stream clock that begins with it.
        self.first_ms, self.last_ms = earliest_ms(now_ms, zones), now_ms - 60_000
        self.edges = {
            operator.id: interesting_times(zone, self.first_ms, self.last_ms)
            for operator in OPERATORS
            for zone in (operator.zones or ("UTC",))[-1:]
        }

    def put(self, at: float, kind: str, value: bytes | None, timestamp_ms: int | None = None) -> None:
        """Send it about then (0: first, 1: last)."""
        topic, rng = TOPICS[kind], self.rng
        key = rng.choice((None, b"", str(rng.getrandbits(32)).encode(), rng.randbytes(5), "大{|}".encode()))
        one = Send(topic, rng.randrange(PARTITIONS[topic]), key, value, timestamp_ms)
        self.sends.append((at, one))

    def time(self, operator: Operator, *, near_ms: int | None = None) -> int:
        """An instant in the window; one in six where something turns, one in ten of the others in the last days."""
        rng = self.rng
        if near_ms is not None:
            return min(max(near_ms + rng.randrange(-40 * DAY, 40 * DAY), self.first_ms), self.last_ms)
        if rng.random() < 0.17 and self.edges[operator.id]:
            return rng.choice(self.edges[operator.id])
        return rng.randrange(self.last_ms - 3 * DAY if rng.random() < 0.1 else self.first_ms, self.last_ms)

    def text(self, at_ms: int) -> int | str:
        """The time as one of the ways to write it."""
        way = self.rng.randrange(4)
        if way < 2:
            return at_ms
        offset = self.rng.choice((0, 345, -210, 630, 765, 60)) if way == 3 else 0
        sign, minutes = "-" if offset < 0 else "+", abs(offset)
        shown = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms, minutes=offset)
        zone = "Z" if not offset else f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
        return shown.strftime("%Y-%m-%dT%H:%M:%S") + f".{at_ms % 1000:03d}{zone}"

    def energy(self) -> Any:
        """Kilowatt-hours: mostly as a decimal string or a number, of at times more digits than are kept, one in ten unknown."""
        kwh = self.rng.uniform(0, 90)
        known = (f"{kwh:.3f}", f"{kwh:.1f}", round(kwh, 4), int(kwh), f"{int(kwh)}.0005", 0)
        unknown = (None, "", "12,4", "-1", -0.5, 1e6, True, [kwh], {"kwh": kwh})
        return self.rng.choice(unknown if self.rng.random() < 0.1 else known)

    def end(self, start_ms: int) -> Any:
        """When a session ended, of which no result speaks: one in ten is no time."""
        no_time = (None, "", "later", -1, 1.5, True, [])
        return self.rng.choice(no_time) if self.rng.random() < 0.1 else self.text(start_ms + HOUR)

    def customer(self, pool: int) -> str | None:
        """One in twelve is anonymous; some customers come much more often than others."""
        return None if self.rng.random() < 0.08 else f"c-{int(pool * self.rng.random() ** 2)}"

    def versions(self, at: float, kind: str, first: dict[str, Any], changes: Sequence[dict[str, Any]]) -> None:
        """An entity's records: each change on top of the one before, in disorder."""
        rng, value = self.rng, dict(first)
        sent = []
        for version, change in enumerate(({}, *changes), start=rng.choice((0, 0, 1, 1, 1, 7))):
            value = {**value, **change, "version": version}
            if version == 0 and rng.random() < 0.5:
                del value["version"]
            if value.get("customer_id", "") is None and rng.random() < 0.5:
                del value["customer_id"]
            sent.append(dumps(value))
        if rng.random() < 0.3:
            rng.shuffle(sent)
        for number, one in enumerate(sent):
            self.put(at + number * rng.choice((0, 0.0001, 0.01)), kind, one)

    def equal_versions(self, at: float, kind: str, values: Sequence[dict[str, Any]]) -> None:
        """Values of one version: the timestamp decides, of equal ones the offset, then the partition."""
        base = self.now_ms - self.rng.randrange(60_000, 600_000)
        for value in values:
            self.put(at + self.rng.random() / 50, kind, dumps(value), base + self.rng.choice((0, 0, 1, -1, 1000)))

    def operator(self, operator: Operator) -> None:
        for version, zone in enumerate(operator.zones, start=1):
            data = {"operator_id": operator.id, "timezone": zone, "currency": operator.currency, "version": version}
            if operator.id != "⚡":
                data["name"] = f"Stadtwerke {operator.id} {version}"
            self.put(operator.announced_at if version == 1 else 0.5, "operator", dumps(data))
        for group in self.rng.sample(GROUPS, 3):
            names = [
                {"operator_id": operator.id, "group_id": group, "name": f"{group} 客户 {n}", "version": n}
                for n in (1, 2)
            ]
            self.rng.shuffle(names)
            for name in names:
                self.put(self.rng.random(), "group", dumps(name))
        self.put(
            self.rng.random(), "group", dumps({"operator_id": operator.id, "group_id": "named, empty", "name": "无"})
        )

    def membership(self, operator: Operator, customer: str) -> None:
        rng = self.rng
        first = {"operator_id": operator.id, "customer_id": customer, "group_ids": rng.sample(GROUPS, rng.randrange(4))}
        changes = [{"group_ids": rng.sample(GROUPS, rng.choice((0, 1, 1, 2)))} for _ in range(rng.choice((0, 0, 1, 2)))]
        if rng.random() < 0.1:
            self.equal_versions(
                rng.random() * 0.9, "membership", [{**first, **change, "version": 5} for change in ({}, *changes)]
            )
        else:
            self.versions(rng.random() * 0.9, "membership", first, changes)

    def session(self, operator: Operator, number: int, pool: int, at: float) -> None:
        rng, start = self.rng, self.time(operator)
        first = {
            "session_id": f"e-{number}", "operator_id": operator.id, "customer_id": self.customer(pool), "status": "COMPLETED",
            "started_at": self.text(start), "ended_at": self.end(start), "energy_kwh": self.energy(),
        }  # fmt: skip
        what = rng.random()
        if what < 0.1:
            first["status"] = "ACTIVE"
            self.versions(at, "session", first, [{"status": "COMPLETED"}])
        elif what < 0.14:
            self.versions(at, "session", first, [{"status": "INVALID"}])
        elif what < 0.16:
            self.versions(at, "session", first, [{"status": "INVALID"}, {"status": "COMPLETED"}])
        elif what < 0.2:
            self.versions(at, "session", first, [{"started_at": self.text(self.time(operator, near_ms=start))}])
        elif what < 0.23:
            self.versions(at, "session", first, [{"customer_id": self.customer(pool)}])
        elif what < 0.26:
            others = [{"status": "INVALID"}, {"started_at": start + HOUR // 2}, {"customer_id": self.customer(pool)}]
            self.equal_versions(at, "session", [{**first, "version": 3, **change} for change in ({}, *others)])
        elif what < 0.3:
            first["status"] = rng.choice(("PENDING", "RESERVATION", "INVALID", "ACTIVE"))
            self.versions(at, "session", first, [])
        elif what < 0.36:
            self.versions(at, "session", first, [{"energy_kwh": self.energy()} for _ in range(rng.choice((1, 2)))])
        else:
            self.versions(at, "session", first, [])

    def payment(self, operator: Operator, number: int, pool: int, at: float) -> None:
        rng, paid = self.rng, self.time(operator)
        received = rng.choice((0, 2**45 + rng.randrange(99))) if rng.random() < 0.06 else rng.randrange(1, 6000)
        first = {
            "payment_id": f"e-{number}", "session_id": rng.choice((f"e-{number}",) * 9 + (number,)), "operator_id": operator.id, "customer_id": self.customer(pool),
            "status": "SUCCEEDED", "amount_received": received, "currency": rng.choice(operator.paid_in), "paid_at": self.text(paid),
        }  # fmt: skip
        if rng.random() < 0.3:
            first["amount_discount"] = rng.choice((0, 150, 99))
        part, full = {"amount_refunded": received // 2}, {"amount_refunded": received}
        month_later = {"paid_at": self.text(min(paid + 31 * DAY, self.last_ms))}
        changes: dict[str, Sequence[dict[str, Any]]] = {
            "refunded in part": [part],
            "refunded in full": [full],
            "refunded in full, then in part after all": [full, part],
            "REFUNDED": [{"status": "REFUNDED"}],
            "over a month's end": [month_later],
            "elsewhen": [{"paid_at": self.text(self.time(operator, near_ms=paid))}],
            "another customer": [{"customer_id": self.customer(pool)}],
            "another amount": [{"amount_received": received + 7, "amount_discount": 1}],
            "another currency": [{"currency": rng.choice(("EUR", "JPY", "KWD"))}],
            "everything": [{"status": "FAILED"}, {**month_later, "status": "SUCCEEDED", "customer_id": self.customer(pool)}, part],
        }  # fmt: skip
        what = rng.random()
        if what < 0.3:
            self.versions(at, "payment", first, changes[rng.choice(list(changes))])
        elif what < 0.33:
            others = [rng.choice(list(changes.values()))[-1] for _ in range(3)]
            self.equal_versions(at, "payment", [{**first, "version": 3, **change} for change in ({}, *others)])
        elif what < 0.38:
            first["status"] = rng.choice(("PENDING", "FAILED", "CANCELED", "REFUNDED"))
            self.versions(at, "payment", first, [])
        else:
            self.versions(at, "payment", first, [])

    def cdr(self, operator: Operator, number: int, pool: int, at: float) -> None:
        """Of two ids each, so that a credit names a CDR in other letters than it has itself."""
        rng, start = self.rng, self.time(operator)
        end = min(start + rng.choice((HOUR, HOUR, 9 * HOUR)), self.last_ms)
        country, party = operator.id.split("-")
        token = {"contract_id": f"{country}-C{int(pool * rng.random() ** 2)}", "type": rng.choice(("APP_USER", "RFID"))}
        if rng.random() < 0.1:
            token["type"] = "AD_HOC_USER"
        price = rng.randrange(0, 5_000_000) / 100_000
        first = {
            "country_code": rng.choice((country, country.lower())), "party_id": party, "id": f"cdr-{number}", "session_id": f"s-{number}",
            "start_date_time": ocpi_time(start), "end_date_time": ocpi_time(end) + rng.choice(("", "Z", "+00:00")), "cdr_token": token,
            "currency": rng.choice(operator.paid_in), "total_energy": rng.choice((0, self.energy())),
            "total_cost": rng.choice((
                {"excl_vat": price}, {"excl_vat": 1, "incl_vat": price}, {"before_taxes": price, "taxes": [{"amount": 0.125}]},
            )),
        }  # fmt: skip
        if rng.random() < 0.1:
            del first["session_id"]
        what = rng.random()
        if what < 0.12:
            self.versions(at, "cdr", first, [{"total_cost": {"excl_vat": price + 1.5}, "currency": "EUR"}])
        else:
            self.versions(at, "cdr", first, [])
        if what > 0.7:
            credit = {
                **first, "id": f"CDR-{number}-credit", "credit": True, "credit_reference_id": f"Cdr-{number}",
                "total_cost": {"excl_vat": -price},
            }  # fmt: skip
            self.versions(at + rng.choice((-0.05, 0.05)), "cdr", credit, [])
            again = {**first, "id": f"cdr-{number}-new", "total_cost": {"excl_vat": price / 2}}
            if what > 0.8:
                self.versions(at + 0.06, "cdr", again, [])
            if what > 0.95:  # the credit is taken back in two ways: one that counts, and one that changes nothing
                self.versions(
                    at + 0.07, "cdr", {**credit, "credit": False, "total_cost": {"excl_vat": 3}, "version": 9}, [{}] * 9
                )
            elif what > 0.9:
                of_credit = {**credit, "id": f"cdr-{number}-credit-of-credit", "credit_reference_id": credit["id"]}
                self.versions(at + 0.07, "cdr", of_credit, [])

    def examples(self, examples: Iterable[Example]) -> None:
        for example in examples:
            self.put(self.rng.random(), example.kind, example.value)

    def duplicates(self, share: float) -> None:
        """So many of the records again, as they are, anywhere later."""
        for at, one in self.rng.sample(self.sends, int(len(self.sends) * share)):
            later = at + self.rng.choice((0.0, 0.001, self.rng.random()))
            self.sends.append((later, one._replace(partition=self.rng.randrange(PARTITIONS[one.topic]))))


def build(seed: int, entities: int, now_ms: int, *, late: bool = True) -> list[Send]:
    """About so many sessions, payments and CDRs, and all that belongs to them, in the order in which they are sent.

    `late`: with too-late records; leave them out where now is not known from the first record on (stream time).
    """
    builder = _Builder(seed, now_ms)
    rng = builder.rng
    pool = max(entities // len(OPERATORS) // 8, 3)
    for operator in OPERATORS:
        builder.operator(operator)
        for number in range(pool):
            if rng.random() < 0.4:
                customer = (
                    f"{operator.id[:2]}-C{number}"
                    if operator.id in CDR_OPERATORS and rng.random() < 0.7
                    else f"c-{number}"
                )
                builder.membership(operator, customer)
    for number in range(entities):
        operator = OPERATORS[int(len(OPERATORS) * rng.random() ** 1.5)]
        kinds: list[Callable[[Operator, int, int, float], None]] = [builder.session, builder.payment]
        make = builder.cdr if operator.id in CDR_OPERATORS and rng.random() < 0.8 else rng.choice(kinds)
        make(operator, number // 2, pool, number / entities)
    builder.duplicates(0.3)
    bad = bad_examples(now_ms, late=late)
    if entities < 5_000:  # one of each kind, topic and reason, and some more
        by_reason = {(example.kind, example.reason): example for example in bad}
        bad = [*by_reason.values(), *rng.sample(bad, 100)]
    builder.examples(bad)
    builder.examples(odd_examples(now_ms - 5 * DAY))
    jitter = 20 / max(entities, 20)
    ordered = sorted(((at + rng.random() * jitter, n) for n, (at, _) in enumerate(builder.sends)))
    return [builder.sends[n][1] for _, n in ordered]


def as_records(sends: Iterable[Send], first_timestamp_ms: int) -> list[Record]:
    """As Kafka would number them; those without a timestamp get one a millisecond later each."""
    offsets: Counter[tuple[str, int]] = Counter()
    records = []
    for number, one in enumerate(sends):
        place = one.topic, one.partition
        timestamp_ms = first_timestamp_ms + number if one.timestamp_ms is None else one.timestamp_ms
        records.append(Record(*place, offsets[place], timestamp_ms, one.key, one.value))
        offsets[place] += 1
    return records


def send(bootstrap: str, sends: Iterable[Send]) -> int:
    """Send them in order; returns when all are acknowledged. Raises KafkaException if one is not."""
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 20})
    failed: list[Any] = []
    number = 0
    for one in sends:
        how = {} if one.timestamp_ms is None else {"timestamp": one.timestamp_ms}
        while True:
            try:
                producer.produce(
                    one.topic, one.value, one.key, one.partition,
                    on_delivery=lambda error, _: failed.append(error) if error else None, **how,
                )  # fmt: skip
                break
            except BufferError:
                producer.poll(0.1)
        number += 1
        producer.poll(0)
    flush(producer)
    if failed:
        raise KafkaException(failed[0])
    return number


def compacted(records: Iterable[Record]) -> dict[bytes, tuple[bytes | None, tuple[tuple[str, bytes | None], ...]]]:
    """What compaction leaves: of each key the last (value, headers), for `diff_topics`."""
    return {record.key or b"": (record.value, record.headers) for record in records}


def summary(found: Truth, sends: Sequence[Send]) -> Iterator[str]:
    """What a scenario is made of."""
    yield f"{len(sends)} records: " + ", ".join(
        f"{n} {topic}" for topic, n in sorted(Counter(s.topic for s in sends).items())
    )
    yield f"{len(found.bad)} bad: " + ", ".join(
        f"{n} {reason}" for reason, n in sorted(Counter(found.bad.values()).items())
    )
    yield f"{len(found.monthly)} monthly rows, {len(found.half_hour)} half-hour rows of {len(found.operators)} operators"
    for operator in sorted(found.operators):
        now = found.monthly_index(operator)["months"][-1]
        groups = [group["groupId"] for group in found.groups(operator)["groups"]]
        yield f"  {found.operators[operator]} groups {groups}: {now}"


def main() -> None:
    """`python -m tests.support.scenario SEED N`."""
    seed, entities = int(sys.argv[1]), int(sys.argv[2])
    now_ms = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp() * 1000)
    sends = build(seed, entities, now_ms)
    print("\n".join(summary(truth(as_records(sends, now_ms - 1_000_000), now=now_ms), sends)))


if __name__ == "__main__":
    main()

"""How many source records a CPU-second `stream_app.sources.read` and the native library read: python bench/sources.py."""

import io
import json
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import fastavro

from bench.orders import (
    PAYMENT_MAP,
    REGISTERED,
    SESSION_MAP,
    as_avro,
    as_change,
    as_cloud_event,
    as_list,
    as_protobuf,
    topic_map,
)
from stream_app.kernel.source_records import SourceRecordsReader, Taken, new_reader
from stream_app.sources import read, wire
from stream_app.sources.maps.map_load import load_topic
from stream_app.sources.registry import CDRS, CUSTOMER_GROUPS, PAYMENTS, SESSIONS, MappedTopic, SourceTopic, mapped

NOW_MS = 1_793_700_000_000
BATCH, ROUNDS = 2_000, 40
LATEST_MS = NOW_MS + 86_400_000
SCHEMAS = {number: wire.schema(found["schemaType"], found["schema"]) for number, found in REGISTERED.items()}
random_ = random.Random(1)


def at_ms() -> int:
    """A time within the last 13 months."""
    return NOW_MS - random_.randrange(390 * 86_400_000)


def session(**change: object) -> dict[str, object]:
    """A session as in the contract."""
    return {
        "session_id": f"s-{random_.getrandbits(64):016x}", "operator_id": f"M{random_.randrange(20)}", "customer_id": f"c-{random_.randrange(10_000)}",
        "status": "COMPLETED", "started_at": at_ms(), "ended_at": at_ms(), "energy_kwh": f"{random_.uniform(2, 80):.3f}", "version": 1,
    } | change  # fmt: skip


def payment(**change: object) -> dict[str, object]:
    """A payment as in the contract."""
    return {
        "payment_id": f"p-{random_.getrandbits(64):016x}", "session_id": f"s-{random_.getrandbits(64):016x}", "operator_id": f"M{random_.randrange(20)}",
        "customer_id": f"c-{random_.randrange(10_000)}", "status": "SUCCEEDED", "amount_received": random_.randrange(5_000), "amount_discount": 150,
        "amount_refunded": 0, "currency": "EUR", "paid_at": at_ms(), "version": 1,
    } | change  # fmt: skip


def text(ms: int, timespec: str = "seconds") -> str:
    """A time as RFC 3339."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec=timespec)


def cdr() -> dict[str, object]:
    """A CDR of OCPI 2.2.1, without what no result uses."""
    ms = at_ms()
    return {
        "country_code": "NL", "party_id": "ALF", "id": f"{random_.getrandbits(64):016x}", "start_date_time": text(ms), "end_date_time": text(ms),
        "session_id": "1", "cdr_token": {"uid": "1", "type": "RFID", "contract_id": f"NL-TST-{random_.randrange(10_000)}"}, "currency": "EUR",
        "total_cost": {"excl_vat": 10.17, "incl_vat": 12.31}, "total_energy": round(random_.uniform(2, 80), 3),
    }  # fmt: skip


MEMBERS = """
[topic]
name = "people"
number = 4

[row]
operator_id = { path = "tenant" }
customer_id = { path = "person.no" }

[groups]
group_ids = { path = "tags" }
at = { path = "at", formats = ["epoch_ms"] }
"""


def order() -> dict[str, object]:
    """An order, with amounts in major units."""
    ms = at_ms()
    return {
        "merchant": f"M{random_.randrange(20)}", "driver": {"id": f"c-{random_.randrange(10_000)}"}, "state": "paid", "opened": text(ms),
        "order": {"id": f"p-{random_.getrandbits(64):016x}", "session": f"s-{random_.getrandbits(64):016x}"}, "closed": text(ms), "currency": "EUR",
        "wh": random_.randrange(80_000), "total": f"{random_.randrange(5_000) / 100:.2f}", "voucher": "1.50", "revision": 1,
    }  # fmt: skip


def order_of_numbers() -> dict[str, object]:
    """The same, with amounts that are numbers."""
    made = order()
    return made | {name: float(str(made[name])) for name in ("total", "voucher")}


def tags() -> list[str]:
    """The groups of a customer: up to three out of a dozen."""
    return random_.sample([f"group-{number}" for number in range(12)], random_.randrange(4))


def orders(sections: str, topic: str = "") -> SourceTopic:
    """A topic of orders with a map of these sections."""
    return mapped(load_topic(topic_map("shop.orders", 1, sections, topic).encode()))


def main() -> None:
    """Print a line a kind of traffic."""
    plans: dict[str, tuple[SourceTopic, Any]] = {
        "sessions, integer times": (SESSIONS, lambda _: session()),
        "payments, integer times": (PAYMENTS, lambda _: payment()),
        "sessions, RFC 3339": (SESSIONS, lambda _: session(started_at=text(at_ms()), ended_at=text(at_ms()))),
        "payments, RFC 3339": (PAYMENTS, lambda _: payment(paid_at=text(at_ms()))),
        "sessions by a map, RFC 3339": (orders(SESSION_MAP), lambda _: order()),
        "payments by a map, RFC 3339": (orders(PAYMENT_MAP), lambda _: order()),
        "the same, amounts as numbers": (orders(PAYMENT_MAP), lambda _: order_of_numbers()),
        "the same, in CloudEvents": (
            orders(PAYMENT_MAP, 'envelope = "cloudevents"'),
            lambda _: as_cloud_event(order()),
        ),
        "the same, changes of Debezium": (orders(PAYMENT_MAP, 'envelope = "debezium"'), lambda _: as_change(order())),
        "the same, alone in a list": (orders(PAYMENT_MAP, 'records = "$"'), lambda _: as_list(order())),
        "the same, in Avro": (orders(PAYMENT_MAP, 'format = "avro"'), lambda _: as_avro(order())),
        "the same, in Protobuf": (orders(PAYMENT_MAP, 'format = "protobuf"'), lambda _: as_protobuf(order())),
        "sessions by a map, in Avro": (orders(SESSION_MAP, 'format = "avro"'), lambda _: as_avro(order())),
        "sessions by a map, in Protobuf": (orders(SESSION_MAP, 'format = "protobuf"'), lambda _: as_protobuf(order())),
        "sessions and payments by a map": (orders(SESSION_MAP + PAYMENT_MAP), lambda _: order()),
        "sessions and payments by a map, in Avro": (
            orders(SESSION_MAP + PAYMENT_MAP, 'format = "avro"'),
            lambda _: as_avro(order()),
        ),
        "sessions and payments by a map, in Protobuf": (
            orders(SESSION_MAP + PAYMENT_MAP, 'format = "protobuf"'),
            lambda _: as_protobuf(order()),
        ),
        "CDRs by a map": (mapped(load_topic(b"[topic]\nname = 'cdrs'\nnumber = 2\n[cdr]")), lambda _: cdr()),
        "payments, RFC 3339 with milliseconds": (PAYMENTS, lambda _: payment(paid_at=text(at_ms(), "milliseconds"))),
        "payments, Chinese ids": (PAYMENTS, lambda _: payment(customer_id=f"大客户{random_.randrange(10_000)}")),
        "payments, one in 100 unusable": (PAYMENTS, lambda i: payment(status="?" if i % 100 == 3 else "SUCCEEDED")),
        "payments, all unusable": (PAYMENTS, lambda _: payment(status="?")),
        "memberships": (
            CUSTOMER_GROUPS,
            lambda i: {"operator_id": "M1", "customer_id": f"c-{i}", "group_ids": tags(), "version": 7},
        ),
        "memberships by a map": (
            mapped(load_topic(MEMBERS.encode())),
            lambda i: {"tenant": "M1", "person": {"no": f"c-{i}"}, "tags": tags(), "at": at_ms()},
        ),
        "CDRs": (CDRS, lambda _: cdr()),
    }
    calls = {name: reading(topic, make) for name, (topic, make) in plans.items()}
    calls["those in Avro, by fastavro alone"] = reading_by_fastavro()
    if (reader := new_reader()) is not None:
        for name, (topic, make) in plans.items():
            if (call := reading_natively(reader, topic, make)) is not None:
                calls[f"{name}, natively to frames"] = call
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):  # in turn: a machine changes its speed within seconds
        for name, call in calls.items():
            started = time.process_time()
            call()
            taken[name].append(time.process_time() - started)
    for name, times in taken.items():
        show(name, times)


def reading(topic: SourceTopic, make: Callable[[int], Any]) -> Callable[[], object]:
    """Reads a batch of what is made."""
    values, offsets, timestamps = batch(make)
    return lambda: read(topic, values, offsets, timestamps, 0, now_ms=NOW_MS, ocpi_operators={}, schemas=SCHEMAS)


def reading_natively(
    reader: SourceRecordsReader, topic: SourceTopic, make: Callable[[int], Any]
) -> Callable[[], object] | None:
    """Reads a batch as a worker with the native library does; None where that leaves most of it to Python."""
    values, offsets, timestamps = batch(make)
    program = topic.map_reader.program(SCHEMAS) if isinstance(topic, MappedTopic) else None
    if program is None and topic not in (SESSIONS, PAYMENTS, CUSTOMER_GROUPS):
        return None

    def call() -> Taken:
        of_values = values, offsets, timestamps, 0
        if program is None:
            return reader.read(topic.kind, *of_values, oldest_ms=0, latest_ms=LATEST_MS)
        return reader.read_mapped(program, *of_values, oldest_ms=0, latest_ms=LATEST_MS)

    return call if len(call().left) < BATCH // 2 else None


def batch(make: Callable[[int], Any]) -> tuple[list[bytes], list[int], list[int]]:
    """Values of what is made, their offsets and timestamps."""
    made = [make(i) for i in range(BATCH)]
    values = [each if isinstance(each, bytes) else json.dumps(each, ensure_ascii=False).encode() for each in made]
    return values, list(range(BATCH)), [NOW_MS] * BATCH


def reading_by_fastavro() -> Callable[[], object]:
    """Reads a batch of orders in Avro, and makes no rows of them."""
    values = [as_avro(order())[wire.HEADER :] for _ in range(BATCH)]
    schema = fastavro.parse_schema(json.loads(REGISTERED[1]["schema"]))
    return lambda: [fastavro.schemaless_reader(io.BytesIO(value), schema, None) for value in values]


def show(name: str, taken: list[float]) -> None:
    """A line of the seconds that batches took."""
    print(f"{name:66} {BATCH / sorted(taken)[ROUNDS // 2]:12,.0f} records per CPU-second")


if __name__ == "__main__":
    main()

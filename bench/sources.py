"""How many source records a CPU-second `stream_app.sources.read` reads: python bench/sources.py."""

import base64
import io
import json
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import fastavro
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory, timestamp_pb2

from stream_app.domain.events import PAYMENT, SESSION
from stream_app.kernel.source_records import SourceRecordsReader, new_reader
from stream_app.sources import read, wire
from stream_app.sources.maps.map_load import load_topic
from stream_app.sources.registry import CDRS, CUSTOMER_GROUPS, PAYMENTS, SESSIONS, SourceTopic, mapped

NOW_MS = 1_793_700_000_000
BATCH, ROUNDS = 2_000, 40
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


MAP = """
[topic]
name = "shop.orders"
number = 1

[row]
operator_id = { path = "merchant" }
customer_id = { path = "driver.id" }
"""
SESSION_MAP = """
[session]
session_id = { path = "order.id" }
status = { path = "state", values = { paid = "COMPLETED" } }
started_at = { path = "opened" }
ended_at = { path = "closed" }
energy_kwh = { path = "wh", unit = "Wh" }
version = { path = "revision" }
"""
PAYMENT_MAP = """
[payment]
payment_id = { path = "order.id" }
session_id = { path = "order.session" }
status = { path = "state", values = { paid = "SUCCEEDED" } }
amount_received = { path = "total" }
amount_discount = { path = "voucher" }
currency = { path = "currency" }
paid_at = { path = "closed" }
version = { path = "revision" }
"""


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


def order(make_amount: Any) -> dict[str, object]:
    """An order, with amounts in major units as `make_amount` writes them."""
    ms = at_ms()
    return {
        "merchant": f"M{random_.randrange(20)}", "driver": {"id": f"c-{random_.randrange(10_000)}"}, "state": "paid", "opened": text(ms),
        "order": {"id": f"p-{random_.getrandbits(64):016x}", "session": f"s-{random_.getrandbits(64):016x}"}, "closed": text(ms), "currency": "EUR",
        "wh": random_.randrange(80_000), "total": make_amount(random_.randrange(5_000) / 100), "voucher": make_amount(1.5), "revision": 1,
    }  # fmt: skip


def tags() -> list[str]:
    """The groups of a customer: up to three out of a dozen."""
    return random_.sample([f"group-{number}" for number in range(12)], random_.randrange(4))


EVENT = {"specversion": "1.0", "type": "paid", "source": "/shop", "id": "1"}
CHANGE = {"op": "c", "before": None, "source": {"lsn": 1}, "ts_ms": NOW_MS}


def _record(name: str, **types: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": each, "type": of} for each, of in types.items()]}


_AT: dict[str, Any] = {"type": "long", "logicalType": "timestamp-millis"}
_MONEY: list[Any] = ["null", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}]
ORDER = _record(
    "Order", merchant="string", driver=["null", _record("Driver", id="string")], state={"type": "enum", "name": "State", "symbols": ["open", "paid"]}, opened=_AT,
    order=_record("Of", id="string", session="string"), closed=["null", _AT], currency="string", wh="int", total=_MONEY, voucher=_MONEY, revision="long",
)  # fmt: skip
_PARSED = fastavro.parse_schema(ORDER)


def _message(name: str, **types: str) -> descriptor_pb2.DescriptorProto:
    """A message; `types`: of its fields, a name with a capital letter is one of another message."""
    made = descriptor_pb2.DescriptorProto(name=name)
    for number, (field, of) in enumerate(types.items(), 1):
        one = made.field.add(name=field, number=number, label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL)
        if of[0] == ".":
            one.type, one.type_name = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE, of
        else:
            one.type = getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{of.upper()}")
    return made


_ORDER_PROTO = descriptor_pb2.FileDescriptorProto(
    name="order.proto", syntax="proto3", dependency=[timestamp_pb2.DESCRIPTOR.name],
    message_type=[
        _message(
            "Order", merchant="string", driver=".Driver", state="string", opened=".google.protobuf.Timestamp", order=".Of", closed=".google.protobuf.Timestamp",
            currency="string", wh="int32", total="string", voucher="string", revision="int64",
        ),
        _message("Driver", id="string"), _message("Of", id="string", session="string"),
    ],
)  # fmt: skip
_pool = descriptor_pool.DescriptorPool()
_pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
_pool.AddSerializedFile(_ORDER_PROTO.SerializeToString())
_Order = message_factory.GetMessageClass(_pool.FindMessageTypeByName("Order"))
SCHEMAS = {
    1: wire.schema("AVRO", json.dumps(ORDER)),
    2: wire.schema("PROTOBUF", base64.b64encode(_ORDER_PROTO.SerializeToString()).decode()),
}


def avro_order() -> bytes:
    """The order in the wire format of schema registries."""
    made = order(lambda amount: Decimal(f"{amount:.2f}"))
    times = {name: datetime.fromisoformat(str(made[name])) for name in ("opened", "closed")}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, _PARSED, made | times)
    return wire.header(1) + out.getvalue()


def protobuf_order() -> bytes:
    """The same in Protobuf, with amounts as texts, as Protobuf has no decimals."""
    made = json_format.ParseDict(order(lambda amount: f"{amount:.2f}"), _Order(), descriptor_pool=_pool)
    return wire.header(2) + b"\0" + bytes(made.SerializeToString())


def orders(topic: str) -> SourceTopic:
    """A topic of orders with more said of it in its map."""
    return mapped(load_topic((MAP + PAYMENT_MAP).replace("[topic]", f"[topic]\n{topic}").encode()))


def main() -> None:
    """Print a line a kind of traffic."""
    plans: dict[str, tuple[SourceTopic, Any]] = {
        "sessions, integer times": (SESSIONS, lambda _: session()),
        "payments, integer times": (PAYMENTS, lambda _: payment()),
        "sessions, RFC 3339": (SESSIONS, lambda _: session(started_at=text(at_ms()), ended_at=text(at_ms()))),
        "payments, RFC 3339": (PAYMENTS, lambda _: payment(paid_at=text(at_ms()))),
        "sessions by a map, RFC 3339": (mapped(load_topic((MAP + SESSION_MAP).encode())), lambda _: order(str)),
        "payments by a map, RFC 3339": (mapped(load_topic((MAP + PAYMENT_MAP).encode())), lambda _: order(str)),
        "the same, amounts as numbers": (mapped(load_topic((MAP + PAYMENT_MAP).encode())), lambda _: order(float)),
        "the same, in CloudEvents": (orders('envelope = "cloudevents"'), lambda _: EVENT | {"data": order(str)}),
        "the same, changes of Debezium": (orders('envelope = "debezium"'), lambda _: CHANGE | {"after": order(str)}),
        "the same, alone in a list": (orders('records = "$"'), lambda _: [order(str)]),
        "the same, in Avro": (orders('format = "avro"'), lambda _: avro_order()),
        "sessions by a map, in Avro": (
            mapped(load_topic((MAP + SESSION_MAP).replace("[topic]", '[topic]\nformat = "avro"').encode())),
            lambda _: avro_order(),
        ),
        "the same, in Protobuf": (orders('format = "protobuf"'), lambda _: protobuf_order()),
        "sessions by a map, in Protobuf": (
            mapped(load_topic((MAP + SESSION_MAP).replace("[topic]", '[topic]\nformat = "protobuf"').encode())),
            lambda _: protobuf_order(),
        ),
        "sessions and payments by a map, in Protobuf": (
            mapped(
                load_topic(
                    (MAP + SESSION_MAP + PAYMENT_MAP).replace("[topic]", '[topic]\nformat = "protobuf"').encode()
                )
            ),
            lambda _: protobuf_order(),
        ),
        "sessions and payments by a map": (
            mapped(load_topic((MAP + SESSION_MAP + PAYMENT_MAP).encode())),
            lambda _: order(str),
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
        for name, kind, make in (("sessions", SESSION, session), ("payments", PAYMENT, payment)):
            calls[f"{name}, integer times, natively to frames"] = reading_natively(reader, kind, make)
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
    made = [make(i) for i in range(BATCH)]
    values = [each if isinstance(each, bytes) else json.dumps(each, ensure_ascii=False).encode() for each in made]
    offsets, timestamps = list(range(BATCH)), [NOW_MS] * BATCH
    return lambda: read(topic, values, offsets, timestamps, 0, now_ms=NOW_MS, ocpi_operators={}, schemas=SCHEMAS)


def reading_natively(reader: SourceRecordsReader, kind: int, make: Callable[[], object]) -> Callable[[], object]:
    """Reads a batch of records of the contract as a worker with the native library does."""
    values = [json.dumps(make()).encode() for _ in range(BATCH)]
    offsets, timestamps, latest_ms = list(range(BATCH)), [NOW_MS] * BATCH, NOW_MS + 86_400_000
    return lambda: reader.read(kind, values, offsets, timestamps, 0, oldest_ms=0, latest_ms=latest_ms)


def reading_by_fastavro() -> Callable[[], object]:
    """Reads a batch of orders in Avro, and makes no rows of them."""
    values = [avro_order()[wire.HEADER :] for _ in range(BATCH)]
    return lambda: [fastavro.schemaless_reader(io.BytesIO(value), _PARSED, None) for value in values]


def show(name: str, taken: list[float]) -> None:
    """A line of the seconds that batches took."""
    print(f"{name:45} {BATCH / sorted(taken)[ROUNDS // 2]:12,.0f} records per CPU-second")


if __name__ == "__main__":
    main()

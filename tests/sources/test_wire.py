"""Records in the wire format of schema registries: what is read of Avro and JSON Schema is what the same records in JSON say, and what can't be read has a reason."""

import json
import math
import struct
from base64 import b64encode
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import ROOT
from stream_app.domain.errors import Reason
from stream_app.sources import read, wire
from stream_app.sources.avro import Avro
from stream_app.sources.json_values import NotOfSchemaError
from stream_app.sources.maps.map_load import load_topic
from stream_app.sources.registry import mapped
from tests.support import avro_topics
from tests.support.own_topics import TOPICS
from tests.support.schema_registry import avro

MAPS = ROOT / "config" / "maps" / "topics"
NOW_MS = 1_793_700_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ORDERS = (MAPS / "orders.toml").read_text()
AS_AVRO = ORDERS.replace("[topic]", '[topic]\nformat = "avro"')


def reader(schema, others=()):
    return Avro(schema, others).to_json


def outcome(map_text, values, schemas=None):
    topic = mapped(load_topic(map_text.encode()))
    count, schemas = len(values), schemas or {}
    return read(
        topic, values, range(count), [NOW_MS] * count, 2, now_ms=NOW_MS, ocpi_operators={}, schemas=schemas
    )  # fmt: skip


def decimal(scale, precision=30):
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


def record(name, **types):
    return {"type": "record", "name": name, "fields": [{"name": each, "type": type_} for each, type_ in types.items()]}


INSTANT = {"type": "long", "logicalType": "timestamp-millis"}
ORDER = record(
    "Order",
    order=record("Of", id="long", state="string", created=INSTANT, closed=["null", INSTANT]),
    station=record("Station", owner="string"),
    driver=["null", record("Driver", id=["null", "int", "string"])],
    meter=record("Meter", begin_wh="int", end_wh="double"),
    total=["null", decimal(2)],
    voucher=["null", decimal(4), "string"],
    currency={"type": "enum", "name": "Currency", "symbols": ["EUR", "JPY", "KWD"]},
    revision="int",
)
MILLISECONDS = st.integers(NOW_MS - 300 * 86_400_000, NOW_MS)


@st.composite
def orders(draw):
    """An order, in plain values."""
    return {
        "order": {
            "id": draw(st.integers(0, 2**53)), "state": draw(st.sampled_from(["paid", "open", "void", "?"])), "created": draw(MILLISECONDS),
            "closed": draw(st.none() | MILLISECONDS),
        },
        "station": {"owner": draw(st.sampled_from(["M1", "大客户", "", "a\tb"]))},
        "driver": draw(st.none() | st.fixed_dictionaries({"id": st.none() | st.integers(0, 9) | st.text(max_size=3)})),
        "meter": {"begin_wh": draw(st.integers(0, 100)), "end_wh": draw(st.floats(0, 1e6))},
        "total": draw(st.none() | st.decimals(-1, 10**15, places=2)),
        "voucher": draw(st.none() | st.decimals(0, 10, places=4) | st.just("1.50")),
        "currency": draw(st.sampled_from(["EUR", "JPY", "KWD"])),
        "revision": draw(st.integers(-1, 5)),
    }  # fmt: skip


def as_json(order):
    """The order as its team would write it in JSON: amounts and times as texts."""

    def text(ms):
        return ms and (EPOCH + timedelta(milliseconds=ms)).isoformat()

    of = order["order"]
    times = {"created": text(of["created"]), "closed": text(of["closed"])}
    amounts = {name: None if order[name] is None else str(order[name]) for name in ("total", "voucher")}
    return json.dumps({**order, **amounts, "order": {**of, **times}}).encode()


def as_avro(order):
    def instant(ms):
        return None if ms is None else EPOCH + timedelta(milliseconds=ms)

    of = order["order"]
    times = {"created": instant(of["created"]), "closed": instant(of["closed"])}
    return avro(1, ORDER, {**order, "order": {**of, **times}})


@settings(deadline=None)
@given(st.lists(orders(), min_size=1, max_size=2))
def test_a_record_of_avro_says_what_the_same_in_json_does(some):
    """Rows, and which can't be used for what reason: money by its digits, whatever a schema calls it."""
    known = {1: wire.schema("AVRO", json.dumps(ORDER))}
    found = outcome(AS_AVRO, [as_avro(order) for order in some], known)
    expected = outcome(ORDERS, [as_json(order) for order in some])
    assert found.by_kind == expected.by_kind
    assert [(at, why.reason) for at, why in found.rejections] == [(at, why.reason) for at, why in expected.rejections]


@settings(deadline=None)
@given(st.integers(-(2**200), 2**200), st.integers(0, 40))
def test_a_decimal_keeps_all_its_digits(unscaled, scale):
    """However many: neither a float nor a context of 28 digits comes between, and what the schema says of the precision changes nothing."""
    schema = record(
        "R",
        a=decimal(scale, 90),
        b={"type": "fixed", "name": "F", "size": 32, "logicalType": "decimal", "precision": 9, "scale": scale},
    )
    value = unscaled.to_bytes(32, signed=True)
    written = avro(1, record("R", a="bytes", b={"type": "fixed", "name": "F", "size": 32}), {"a": value, "b": value})[
        5:
    ]
    made = json.loads(reader(json.dumps(schema))(written), parse_float=Decimal, parse_int=Decimal)
    exact = Decimal((unscaled < 0, tuple(map(int, str(abs(unscaled)))), -scale))
    assert made == {"a": exact, "b": exact}


@settings(deadline=None)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_is_the_shortest_number_that_it_is_the_nearest_to(found):
    made = json.loads(reader('{"type": "float"}')(struct.pack("<f", found)), parse_float=str)
    assert struct.pack("<f", float(made)) == struct.pack("<f", found)
    assert len(made) <= len(repr(found))


AT_US = 1_793_693_460_123_456
LONG = b"\x80" * 9 + b"\x01"
TYPES = {
    "timestamp-millis": ("long", AT_US // 1000, "2026-11-03T08:11:00.123000+00:00"),
    "timestamp-micros": ("long", AT_US, "2026-11-03T08:11:00.123456+00:00"),
    "timestamp-nanos": ("long", AT_US * 1000 + 999, "2026-11-03T08:11:00.123456+00:00"),
    "local-timestamp-millis": ("long", AT_US // 1000, "2026-11-03T08:11:00.123000"),
    "local-timestamp-micros": ("long", AT_US, "2026-11-03T08:11:00.123456"),
    "date": ("int", 20760, "2026-11-03"),
    "time-millis": ("int", 27_060_123, "07:31:00.123000"),
    "time-micros": ("long", 27_060_123_456, "07:31:00.123456"),
    "uuid": ("string", "5e4f6c1a-0000-4000-8000-000000000001", "5e4f6c1a-0000-4000-8000-000000000001"),
    "of-somebody": ("string", "as it is", "as it is"),
}


@pytest.mark.parametrize("logical", TYPES)
def test_a_logical_type_is_told_as_json_has_it(logical):
    kind, value, expected = TYPES[logical]
    schema = record("R", a=["null", {"type": kind, "logicalType": logical}])
    assert json.loads(reader(json.dumps(schema))(avro(1, record("R", a=["null", kind]), {"a": value})[5:])) == {
        "a": expected
    }


@pytest.mark.parametrize("logical", [name for name, (kind, *_) in TYPES.items() if kind != "string"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_time_beyond_what_text_can_say_stays_a_number(logical, sign):
    kind, value = TYPES[logical][0], sign * (2**31 - 1 if TYPES[logical][0] == "int" else 2**63 - 1)
    made = json.loads(reader(json.dumps({"type": kind, "logicalType": logical}))(avro(1, kind, value)[5:]))
    assert made == value or (logical.endswith("nanos") and abs(value) < 10**19)


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ("bytes", b"\xff\0", b64encode(b"\xff\0").decode()),
        ({"type": "fixed", "name": "F", "size": 2}, b"\xff\0", b64encode(b"\xff\0").decode()),
        ({"type": "array", "items": ["null", "float"]}, [None, 12.1], [None, 12.1]),
        ({"type": "map", "values": "double"}, {"大": 0.1}, {"大": 0.1}),
        (record("R", a={"type": "string", "avro.java.string": "String"}, b="boolean"), {"a": "大", "b": True}, {"a": "大", "b": True}),
        ({"type": "string", "logicalType": "decimal", "precision": 4}, "a logical type that does not fit is none", "a logical type that does not fit is none"),
        ({"type": "double"}, math.nan, "nan"),
        (record("L", of=["null", "L"]), {"of": {"of": None}}, {"of": {"of": None}}),
    ],
)  # fmt: skip
def test_a_type_is_told_as_json_has_it(schema, value, expected):
    assert json.loads(reader(json.dumps(schema))(avro(1, schema, value)[5:])) == expected


def test_a_schema_may_refer_to_others():
    money = {
        "type": "record",
        "name": "Money",
        "namespace": "com.shop",
        "fields": [{"name": "cents", "type": decimal(2)}],
    }
    order = record("Order", total="com.shop.Money")
    whole = record("Order", total=money)
    value = avro(1, whole, {"total": {"cents": Decimal("12.50")}})[5:]
    assert reader(json.dumps(order), (json.dumps(money),))(value) == b'{"total":{"cents":12.50}}'


@pytest.mark.parametrize(
    "schema", ["", "{", "[]x", '{"type": "nonsense"}', '{"fields": []}', '"com.shop.Money"', "7", "null"]
)
def test_a_schema_that_is_none_is_an_error(schema):
    with pytest.raises(NotOfSchemaError, match="it is no schema of Avro"):
        reader(schema)


ORDER_READER = reader(json.dumps(ORDER))


@pytest.mark.parametrize(
    "items",
    [
        "null",
        {"type": "null"},
        record("R"),
        record("R", a="null", b=record("Q")),
        {"type": "fixed", "name": "F", "size": 0},
    ],
)
def test_an_array_of_nothing_is_refused(items):
    """A record of ten bytes could ask for all memory."""
    with pytest.raises(NotOfSchemaError, match="an array of what takes no bytes"):
        reader(json.dumps(record("S", a={"type": "array", "items": items})))


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_an_error(value):
    with suppress(NotOfSchemaError):
        json.loads(ORDER_READER(value))


PLAIN = {
    "order": {"id": 1, "state": "paid", "created": NOW_MS - 10**6, "closed": NOW_MS - 10**5}, "station": {"owner": "M1"}, "driver": None,
    "meter": {"begin_wh": 1, "end_wh": 2.0}, "total": Decimal("1.50"), "voucher": None, "currency": "EUR", "revision": 1,
}  # fmt: skip
GOOD = as_avro(PLAIN)
KNOWN = {
    1: wire.schema("AVRO", json.dumps(ORDER)),
    2: None,
    3: wire.schema("JSON", "{}"),
    4: wire.schema("THRIFT", "struct M {}"),
    5: wire.schema("AVRO", "{"),
    6: wire.refusing("AVRO", "it refers to version 1 of money, which the registry does not have"),
}


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        (b"", Reason.NOT_WIRE_FORMAT, "the value is empty, must begin with a zero byte"),
        (b'{"order": {}}', Reason.NOT_WIRE_FORMAT, "the value begins with 0x7b, must begin with a zero byte"),
        (b"\0\0\0\1", Reason.NOT_WIRE_FORMAT, "the value has 4 bytes, must have a zero byte and four"),
        (b"\1" + GOOD[1:], Reason.NOT_WIRE_FORMAT, "begins with 0x01"),
        (GOOD[:-1], Reason.NOT_OF_SCHEMA, "schema 1 of the registry: the value is not of it"),
        (GOOD + b"\0", Reason.NOT_OF_SCHEMA, "1 bytes are left behind the record"),
        (b"\0\0\0\0\2" + GOOD[5:], Reason.UNKNOWN_SCHEMA, "the schema registry has no schema 2"),
        (
            b"\0\0\0\0\3{}",
            Reason.NOT_OF_SCHEMA,
            "schema 3 of the registry is of json-schema, and the map's format avro",
        ),
        (b"\0\0\0\0\4\0", Reason.NOT_OF_SCHEMA, "schema 4 of the registry is of THRIFT, and the map's format avro"),
        (b"\0\0\0\0\5\0", Reason.NOT_OF_SCHEMA, "schema 5 of the registry: it is no schema of Avro"),
        (b"\0\0\0\0\6\0", Reason.NOT_OF_SCHEMA, "schema 6 of the registry: it refers to version 1 of money"),
        (None, Reason.TOMBSTONE, "null"),
    ],
)
def test_what_cant_be_read_has_a_reason_and_leaves_its_neighbours(value, reason, detail):
    found = outcome(AS_AVRO, [GOOD, value, GOOD], KNOWN)
    ((at, rejection),) = found.rejections
    assert (at, rejection.reason) == (1, reason)
    assert detail in rejection.detail
    assert {tuple(part.indexes) for by in found.by_kind.values() for part in by.values()} == {(0, 2)}


def test_a_record_of_json_schema_is_json_behind_the_schemas_id():
    text = json.dumps({"order": {"id": 1, "state": "paid", "created": "2026-11-03T08:29:59Z", "closed": "2026-11-03T09:29:59Z"}, "station": {"owner": "M1"},
                       "total": 12.50, "currency": "EUR"}).encode()  # fmt: skip
    found = outcome(ORDERS.replace("[topic]", '[topic]\nformat = "json-schema"'), [b"\0\0\0\0\3" + text, text], KNOWN)
    assert found.by_kind == outcome(ORDERS, [text]).by_kind
    assert [(at, why.reason) for at, why in found.rejections] == [(1, Reason.NOT_WIRE_FORMAT)]


@pytest.mark.parametrize("seed", range(3))
def test_debeziums_changes_in_avro_say_what_those_in_json_do(seed):
    """By two versions of a schema in one topic: creations, changes, moves, deletions and what follows them."""
    text = (MAPS / "orders-postgresql.toml").read_text()
    messages = list(TOPICS["orders-postgresql"][1](seed, EPOCH + timedelta(milliseconds=NOW_MS) - timedelta(days=22)))
    known = {at: wire.schema("AVRO", json.dumps(schema)) for at, schema in enumerate(avro_topics.SCHEMAS)}
    values = [message.value for message in avro_topics.written(messages, (0, 1))]
    by_number = avro_topics.map_of(text).replace("number = 30", "number = 3")
    found = outcome(by_number, values, known)
    assert found == outcome(text, [message.value for message in messages])
    assert not found.rejections
    assert wire.ids(values) == {0, 1}


def test_the_exact_way_reads_avro_too():
    """A map that is not compiled: records of a list, with the customers' groups."""
    schema = record(
        "Batch",
        items={
            "type": "array",
            "items": record("Item", op="string", who="string", groups={"type": "array", "items": "string"}, at=INSTANT),
        },
    )
    item = {"op": "M1", "who": "c", "groups": ["vip"], "at": EPOCH + timedelta(milliseconds=NOW_MS)}
    text = """
[topic]
name = "members"
number = 5
format = "avro"
records = "items"
[row]
operator_id = { path = "op" }
customer_id = { path = "who" }
[groups]
group_ids = { path = "groups" }
at = { path = "at" }
"""
    found = outcome(text, [avro(1, schema, {"items": [item]})], {1: wire.schema("AVRO", json.dumps(schema))})
    plain = {**item, "at": item["at"].isoformat()}
    assert found == outcome(text.replace("avro", "json"), [json.dumps({"items": [plain]}).encode()])
    assert sum(len(part.ids) for by in found.by_kind.values() for part in by.values()) == 1


def test_fastavro_keeps_its_own_readers():
    """Whoever else reads Avro in this process gets what fastavro gives."""
    schema = record("R", a=decimal(2, 9))
    value = avro(1, schema, {"a": Decimal("1.50")})[5:]
    reader(json.dumps(schema))
    assert fastavro.schemaless_reader(BytesIO(value), schema, None) == {"a": Decimal("1.50")}

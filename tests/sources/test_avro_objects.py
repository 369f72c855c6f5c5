"""The fast way of Avro makes of a record what msgspec makes of its JSON, or is in doubt: by any schema, for any paths, of any bytes."""

import functools
import json
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.domain.errors import Reason
from stream_app.sources import wire
from stream_app.sources.avro import Avro
from stream_app.sources.compiled_values import UncompiledError
from stream_app.sources.exact import Fractional
from stream_app.sources.json_values import NotOfSchemaError
from stream_app.sources.lookups import DOUBTS
from stream_app.sources.mapped import TopicReader
from stream_app.sources.maps.map_load import load_topic
from stream_app.sources.objects import GROUPS, Moment, Node
from stream_app.sources.times import LAST_MS
from tests.sources.test_wire import AS_AVRO, GOOD, KNOWN, MAPS, NOW_MS, ORDERS, PLAIN, as_avro, as_json, outcome, record
from tests.support import avro_topics
from tests.support.own_topics import TOPICS

HEADER = b"\0\0\0\0\1"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LOGICAL = [
    ("long", "timestamp-millis"), ("long", "timestamp-micros"), ("long", "timestamp-nanos"), ("long", "local-timestamp-millis"), ("long", "local-timestamp-micros"),
    ("int", "date"), ("int", "time-millis"), ("long", "time-micros"), ("string", "uuid"), ("string", "of-somebody"), ("int", "timestamp-millis"),
]  # fmt: skip
NAMES = ["a", "b", "c", "大"]


@st.composite
def schemas(draw, depth=3):  # noqa: PLR0911
    """A schema, which a place may have."""
    name = f"N{draw(st.integers(0, 2**62))}"  # of a named type
    kind = draw(st.sampled_from(["plain", "logical", "decimal", "enum", "fixed", "record", "array", "map", "union"]))
    if kind == "logical":
        of, logical = draw(st.sampled_from(LOGICAL))
        return {"type": of, "logicalType": logical}
    if kind == "decimal":
        return {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": draw(st.sampled_from([0, 2, 9]))}
    if kind == "enum":
        return {"type": "enum", "name": name, "symbols": [f"S{n}" for n in range(draw(st.sampled_from([1, 3, 70])))]}
    if kind == "fixed":
        return {"type": "fixed", "name": name, "size": draw(st.integers(1, 3))}
    if not depth or kind == "plain":
        return draw(st.sampled_from(["null", "boolean", "int", "long", "float", "double", "bytes", "string"]))
    below = schemas(depth - 1)
    if kind == "record":
        fields = draw(st.dictionaries(st.sampled_from(NAMES[:3]), below, max_size=3))
        return record(name, **fields)
    if kind == "union":
        other = draw(below.filter(lambda found: not isinstance(found, list) and found != "null"))
        return draw(st.permutations(["null", other]))
    return {"type": kind, "items" if kind == "array" else "values": draw(below)}


def varint(number):
    number = number << 1 if number >= 0 else (-number << 1) - 1
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


LONGS = st.one_of(
    st.integers(-3, 70), st.integers(-(2**63), 2**63 - 1), st.integers(NOW_MS - 10**10, NOW_MS), st.integers(0, 2**53),
    st.integers(NOW_MS - 10**10, NOW_MS).map(lambda ms: ms * 1000 + 7),
)  # fmt: skip


def encoded(draw, schema):  # noqa: PLR0911
    """The bytes of a value of a schema."""
    if isinstance(schema, list):
        index = draw(st.integers(0, len(schema) - 1))
        return varint(index) + encoded(draw, schema[index])
    kind = schema if isinstance(schema, str) else schema["type"]
    match kind:
        case "null":
            return b""
        case "boolean":
            return draw(st.sampled_from([b"\0", b"\1", b"\2"]))
        case "int" | "long":
            return varint(draw(LONGS if kind == "long" else st.integers(-(2**31), 2**31 - 1) | st.integers(0, 10**5)))
        case "float" | "double":
            size, form = (4, "<f") if kind == "float" else (8, "<d")
            return draw(
                st.floats(width=8 * size).map(lambda found: struct.pack(form, found))
                | st.binary(min_size=size, max_size=size)
            )
        case "bytes":
            found = draw(st.binary(max_size=20))
            return varint(len(found)) + found
        case "string":
            found = draw(st.text(max_size=3) | st.sampled_from(["x" * 63, "x" * 64, "é" * 40])).encode()
            return varint(len(found)) + found
        case "enum":
            return varint(draw(st.integers(0, len(schema["symbols"]) - 1)))
        case "fixed":
            return draw(st.binary(min_size=schema["size"], max_size=schema["size"]))
        case "record":
            return b"".join(encoded(draw, field["type"]) for field in schema["fields"])
    of = schema["items" if kind == "array" else "values"]
    out = b""
    for _ in range(draw(st.integers(0, 2))):
        count = draw(st.integers(1, 2))
        items = b""
        for _ in range(count):
            key = draw(st.sampled_from(NAMES)).encode() if kind == "map" else None
            items += b"" if key is None else varint(len(key)) + key
            items += encoded(draw, of)
        out += varint(-count) + varint(len(items)) + items if draw(st.booleans()) else varint(count) + items
    return out + varint(0)


def node(draw, schema):
    """Some of the places of a record, and some that it does not have."""
    fields = {field["name"]: field["type"] for field in schema["fields"]}
    wanted = Node()
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True)):
        branches = fields[name] if isinstance(fields.get(name), list) else [fields.get(name)]
        (below,) = [found for found in branches if found != "null"] or [None]
        if isinstance(below, dict) and below["type"] == "record" and draw(st.integers(0, 3)):
            wanted.fields[name] = node(draw, below)
        else:
            wanted.fields[name] = draw(st.sampled_from([Any, Moment.ANY, Moment.ANY, GROUPS, Node({"a": Any})]))
    return wanted


def plain(found, of):
    """An object, and all that it holds with its type; times of which the schema knows as `objects` has them."""
    if isinstance(of, Node):
        if not isinstance(found, msgspec.Struct):
            return found
        return [
            plain(each, below) for each, below in zip(msgspec.structs.astuple(found), of.fields.values(), strict=True)
        ]
    if of in (Moment.UTC, Moment.LOCAL) and found is not None:
        if isinstance(found, str):  # in JSON; what is beyond all texts is a number there
            found = (datetime.fromisoformat(found).replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
        return min(found, LAST_MS + 1)
    if isinstance(found, dict):
        return {name: plain(each, None) for name, each in found.items()}
    if isinstance(found, list | tuple):
        return type(found), [plain(each, None) for each in found]
    return type(found), found


@settings(deadline=None, max_examples=800)
@given(st.data())
def test_objects_are_those_of_the_json(data):
    """Of what a schema says, and of any bytes: what is taken is what JSON says, to the types."""
    schema = data.draw(
        st.dictionaries(st.sampled_from(NAMES), schemas(), min_size=1).map(lambda fields: record("R", **fields))
    )
    try:
        avro = Avro(json.dumps(schema))
    except NotOfSchemaError:
        return  # an array of nothing
    root = node(data.draw, schema)
    try:
        read = avro.objects(root)
    except UncompiledError:
        return
    value = encoded(data.draw, schema)
    if data.draw(st.integers(0, 2)) == 0:
        at = data.draw(st.integers(0, len(value)))
        value = value[:at] + data.draw(st.binary(max_size=3)) + value[at + data.draw(st.integers(0, 2)) :]
    try:
        found = read(HEADER + value)
    except DOUBTS:
        return
    expected = msgspec.json.Decoder(root.type(), float_hook=Fractional).decode(avro.to_json(value))
    assert plain(found, root) == plain(expected, root)


def fast(text, schemas):
    """The fast way of a map for each schema."""
    return TopicReader(load_topic(text.encode())).by_schema(schemas)


def test_what_is_usual_is_not_in_doubt():
    """Of an order, and of two versions of a table in Debezium's Avro: only a change that takes something back is, and a null value."""
    assert len(fast(AS_AVRO, KNOWN)[GOOD[:5]](GOOD, NOW_MS, 1, 2, NOW_MS)) == 2
    known = {at: wire.schema("AVRO", json.dumps(schema)) for at, schema in enumerate(avro_topics.SCHEMAS)}
    name = "orders-postgresql"
    messages = list(TOPICS[name][1](1, EPOCH + timedelta(milliseconds=NOW_MS) - timedelta(days=22)))
    values = [message.value for message in avro_topics.written(messages, (0, 1)) if message.value]
    reads, doubtful = fast(avro_topics.map_of((MAPS / f"{name}.toml").read_text()), known), 0
    for value in values:
        try:
            assert reads[value[:5]](value, NOW_MS, 1, 2, NOW_MS)
        except DOUBTS:
            doubtful += 1
    assert doubtful <= len(values) / 3


@pytest.mark.parametrize(
    "schema",
    [
        record("R", a="string", more=["null", "R"]),  # it holds itself
        record("R", a="string", b=record("S0", **{f"f{n}": "int" for n in range(5000)})),
        record("R", a="string", b=functools.reduce(lambda of, _: {"type": "array", "items": of}, range(30), "int")),
    ],
)
def test_a_schema_that_is_not_compiled_is_read_all_the_same(schema):
    known = {1: wire.schema("AVRO", json.dumps(schema))}
    with pytest.raises(UncompiledError):
        known[1].objects(Node({"a": Any}))
    assert fast(AS_AVRO, known) is None


@pytest.mark.parametrize("owner", ["a\tb", "\u00a0M1", "大客户", "x" * 201])
def test_an_id_is_looked_at(owner):
    """One with a control character is refused, one that only looks odd is not."""
    order = PLAIN | {"station": {"owner": owner}}
    found, expected = outcome(AS_AVRO, [as_avro(order)], KNOWN), outcome(ORDERS, [as_json(order)])
    assert found.by_kind == expected.by_kind
    assert [why.reason for _, why in found.rejections] == [why.reason for _, why in expected.rejections]


def test_a_time_of_the_schema_is_a_text_to_a_map_that_expects_a_number():
    """As in JSON: the way that reads most records does not take what the exact way refuses."""
    created = 'started_at = { path = "order.created"'
    numbers = AS_AVRO.replace(f"{created} }}", f'{created}, formats = ["epoch_ms"] }}')
    assert numbers != AS_AVRO
    assert fast(numbers, KNOWN) is None
    ((_, why),) = outcome(numbers, [GOOD], KNOWN).rejections
    assert why.reason == Reason.BAD_TIME

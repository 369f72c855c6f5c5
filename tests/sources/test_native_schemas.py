"""The native library reads Avro, Protobuf and JSON by schemas as Python does: records of any schema near a good one, of any bytes near good ones."""

import json
import struct
from base64 import b64encode
from contextlib import suppress

import pytest
from google.protobuf import descriptor_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.sources import wire
from stream_app.sources.wire import header
from tests.sources.samples import NOW_MS
from tests.sources.test_avro_objects import encoded, schemas, varint
from tests.sources.test_native_maps import NUMBERS, ORDER, PAYMENTS, SESSIONS, check, disturbed, topic
from tests.sources.test_protobuf_objects import IMPORTS, message_class, scalar
from tests.sources.test_wire import decimal, record
from tests.support.protobuf_files import field, file

MAPS = {
    "plain": (SESSIONS + PAYMENTS, ""),
    "sessions": (SESSIONS, ""),
    "numbers": (NUMBERS, ""),
    "condition": (
        SESSIONS,
        '[[where]]\npath = "live"\nis = ["true", "1"]\n[[where]]\npath = "currency"\nis_not = ["KWD", "x"]\n',
    ),
    "debezium": (SESSIONS + PAYMENTS, 'envelope = "debezium"'),
    "cloudevents": (SESSIONS + PAYMENTS, 'envelope = "cloudevents"'),
}
AVRO = {name: topic(text, f'format = "avro"\n{more}') for name, (text, more) in MAPS.items()}
PROTOBUF = {name: topic(text, f'format = "protobuf"\n{more}') for name, (text, more) in MAPS.items()}
MS = NOW_MS - 10**7
# What is drawn most is what is least, so that the seldom lies in the middle.
CHANCE, MISSING, UNUSUAL = st.integers(0, 100), 37, 53


def logical(kind, of):
    return {"type": kind, "logicalType": of}


def enum(*words):
    return {"type": "enum", "name": f"E{abs(hash(words))}", "symbols": list(words)}


MILLIS, MICROS, NANOS = (logical("long", f"timestamp-{unit}") for unit in ("millis", "micros", "nanos"))
FIXED = {"type": "fixed", "name": "F", "size": 6, "logicalType": "decimal", "precision": 12, "scale": 2}
AMOUNTS = [decimal(2), decimal(0), decimal(3), FIXED, "double", "string", "long", decimal(30)]
# Of each place the schemas that it usually has, and the texts and integers that it then holds.
PLACES = {
    "merchant": (["string", enum("M1"), "long"], ["M1", "", "大", "a b", 'a"b', "a\\b", "\x7f", "x" * 201], [7]),
    "driver": ([], [], []),
    "state": (["string", enum("paid"), enum("open", "paid", "void")], ["paid", "open", "COMPLETED", "?"], [1]),
    "opened": (
        [MILLIS, MICROS, NANOS, "string", "long", logical("long", "local-timestamp-millis")],
        ["2026-10-03T08:29:59+02:00", "", "x"],
        [],
    ),
    "closed": ([MILLIS, MICROS, NANOS, "string", "long"], ["2026-10-03T09:29:59.5Z", "2999-01-01T00:00:00Z"], []),
    "order": ([], [], []),
    "currency": (["string", enum("EUR")], ["EUR", "eur", "Euro", "JPY", "XXX"], []),
    "wh": (["int", "long", "double", decimal(0), decimal(3)], ["12.4"], [12_400, 0, 999_999_999]),
    "total": (AMOUNTS, ["12.50", "12.505", "99999999999.99", "BOI=", ""], [1250, 0, 5]),
    "voucher": (AMOUNTS, ["1.5", "0"], [150, 0]),
    "back": (["int", "long", decimal(2), "double"], [], [5, 0, 1251]),
    "revision": (["int", "long"], [], [3, 0, 2**53]),
    "live": (["boolean", "string"], ["true", "1"], [1]),
}
# What holds other places.
INNER = {"driver": {"id": (["string", "long"], ["c-1", "guest", "", "大"], [17])}, "order": {"id": (["string", "long"], ["p-1"], [81]), "session": (["string"], ["s-1", ""], [])}}  # fmt: skip


@st.composite
def row_schemas(draw, of, name="Row"):
    """The schema of a row: mostly as it usually is, in any order."""
    fields = {}
    for place, (usual, *_) in draw(st.permutations(sorted(of.items()))):
        chance = draw(CHANCE)
        if chance == MISSING:
            continue
        if chance == UNUSUAL:
            fields[place] = draw(schemas(2))
        elif place in INNER:
            fields[place] = draw(row_schemas(INNER[place], f"{name}{place}"))
        else:
            fields[place] = draw(st.sampled_from(usual[:2] * 9 + usual))
        if not isinstance(fields[place], list) and fields[place] != "null" and draw(st.booleans()):
            fields[place] = ["null", fields[place]]
    if draw(st.booleans()):
        fields["else"] = draw(schemas(2))
    return renamed(record(name, **fields), {})


def renamed(schema, names):
    """With each named type defined once, as Avro asks for."""
    if isinstance(schema, list):
        return [renamed(each, names) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "name" in schema and "type" in schema:
        names[schema["name"]] = names.get(schema["name"], 0) + 1
        schema = {**schema, "name": f"{schema['name']}x{names[schema['name']]}"}
        if schema["type"] == "record":
            fields = [{**each, "type": renamed(each["type"], names)} for each in schema["fields"]]
            return {**schema, "fields": fields}
        return schema
    return {key: renamed(each, names) if key in ("items", "values") else each for key, each in schema.items()}


def as_bytes(text):
    return varint(len(text)) + text


def usual(draw, schema, of):  # noqa: PLR0911  # a case a kind
    """The bytes of a value that a place may usually have; `of`: texts and integers, or what it holds."""
    if isinstance(schema, list):
        index = draw(st.sampled_from([len(schema) - 1] * 9 + [*range(len(schema))]))
        return varint(index) + usual(draw, schema[index], of)
    if isinstance(schema, dict) and schema["type"] == "record":
        places = of if isinstance(of, dict) else {}
        out = b""
        for each in schema["fields"]:
            below = places.get(each["name"])
            known = INNER.get(each["name"]) if below is not None and not below[0] else below
            out += encoded(draw, each["type"]) if known is None else usual(draw, each["type"], known)
        return out
    if isinstance(of, dict) or draw(CHANCE) == UNUSUAL:
        return encoded(draw, schema)
    _, texts, integers = of
    texts, integers = [texts[0]] * 30 + texts if texts else [], [integers[0]] * 30 + integers if integers else []
    kind = schema if isinstance(schema, str) else schema["type"]
    logical_ = schema.get("logicalType", "") if isinstance(schema, dict) else ""
    if logical_ == "decimal" and integers:
        found = draw(st.sampled_from(integers))
        if kind == "fixed":
            return found.to_bytes(schema["size"], signed=True)
        return as_bytes(found.to_bytes(draw(st.integers(found.bit_length() // 8 + 1, 8)), signed=True))
    if kind == "string" and texts:
        return as_bytes(draw(st.sampled_from(texts)).encode())
    if kind == "double":
        return struct.pack(
            "<d", draw(st.sampled_from([12.5] * 20 + [0.0, 1250.0, 12.505, 1e11, -0.0, 0.1, float("nan")]))
        )
    if kind == "long" and "timestamp" in logical_:
        return varint(
            MS * {"millis": 1, "micros": 1000, "nanos": 10**6}[logical_.rpartition("-")[2]] + draw(st.integers(0, 9))
        )
    if kind in ("int", "long") and integers:
        return varint(draw(st.sampled_from(integers)))
    if kind == "long":
        return varint(draw(st.sampled_from([MS, MS // 1000])))
    return encoded(draw, schema)


OF_NUMBERS = {
    **PLACES, "opened": (["long", MILLIS], [], [MS]), "closed": (["long", MICROS], [], [MS // 1000]), "total": (["long", "int"], ["12.50"], [1250]), "wh": (["double", decimal(3)], ["12.4"], [12_400]),
}  # fmt: skip
ENVELOPES = {
    "cloudevents": lambda row: record("Event", specversion="string", id="string", data=row),
    "debezium": lambda row: record("Envelope", before=["null", row], after=["null", row["name"]], op="string", source=record("Source", lsn="long")),
}  # fmt: skip


def enveloped(draw, name, row):
    """The bytes of a whole value, whose row is of this schema."""
    if name == "cloudevents":
        return as_bytes(b"1.0") + as_bytes(b"7") + usual(draw, row, PLACES)
    if name != "debezium":
        return usual(draw, row, OF_NUMBERS if name == "numbers" else PLACES)
    after = usual(draw, row, PLACES)
    before = draw(st.sampled_from([b"\0", b"\2" + after, b"\2" + usual(draw, row, PLACES)]))
    op = draw(st.sampled_from([b"c", b"u", b"u", b"r"] * 3 + [b"d", b"t"]))
    return before + draw(st.sampled_from([b"\2"] * 9 + [b"\0"])) + after + as_bytes(op) + varint(9)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_avro_that_is_taken_is_what_python_makes_of_it(data):
    name = data.draw(st.sampled_from(sorted(MAPS)))
    rows = [
        data.draw(row_schemas(OF_NUMBERS if name == "numbers" else PLACES)) for _ in range(data.draw(st.integers(1, 2)))
    ]
    known = {
        number: wire.schema("AVRO", json.dumps(ENVELOPES.get(name, lambda row: row)(row)))
        for number, row in enumerate(rows, 5)
    } | {4: None}
    values = [header(4), None]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(rows) - 1))
        value = enveloped(data.draw, name, rows[at])
        values.append(header(at + 5) + disturbed(data.draw, value) if value else header(at + 5))
    if AVRO[name].map_reader.program(known) is not None:
        check(AVRO[name], values, known)


# -- Protobuf

AT = ".google.protobuf.Timestamp"
WHOLE = ["INT64", "UINT64", "INT32", "SINT32", "SINT64", "UINT32", ".google.protobuf.Int64Value"]
# Of each place the types that it usually has, and the texts and numbers that it then holds.
FIELDS = {
    "merchant": (["STRING", ".google.protobuf.StringValue", "@State", "INT32"], *PLACES["merchant"][1:]),
    "driver": ([".Driver"], [], []),
    "state": (["STRING", "@State"], *PLACES["state"][1:]),
    "opened": ([AT, AT, "STRING", "INT64"], *PLACES["opened"][1:]),
    "closed": ([AT, AT, "STRING", "INT64"], *PLACES["closed"][1:]),
    "order": ([".Of"], [], []),
    "currency": (["STRING", ".google.protobuf.StringValue"], *PLACES["currency"][1:]),
    "wh": ([*WHOLE, "DOUBLE", ".google.protobuf.DoubleValue"], *PLACES["wh"][1:]),
    "total": (["STRING", "DOUBLE", *WHOLE], *PLACES["total"][1:]),
    "voucher": (["STRING", "DOUBLE", *WHOLE], *PLACES["voucher"][1:]),
    "back": (WHOLE, *PLACES["back"][1:]),
    "revision": (WHOLE, *PLACES["revision"][1:]),
    "live": (["BOOL", "STRING", ".google.protobuf.BoolValue"], *PLACES["live"][1:]),
}
FIELDS_OF_NUMBERS = {
    **FIELDS, "opened": (["INT64", "UINT64", AT], [], [MS]), "closed": (["INT64", "SINT64", AT], [], [MS // 1000]), "total": (WHOLE, [], [1250]), "wh": (["DOUBLE", "STRING"], ["12.4"], []),
}  # fmt: skip
FIELDS_WITHIN = {
    "Driver": {"id": (["STRING", "INT64", ".google.protobuf.StringValue"], ["c-1", "guest", "", "大"], [17])},
    "Of": {"id": (["STRING", "UINT32"], ["p-1"], [81]), "session": (["STRING"], ["s-1", ""], [])},
}
OTHERS = [
    "DOUBLE", "FLOAT", "FIXED32", "SFIXED64", "STRING", "BYTES", "BOOL", "SINT64", "@State", ".Driver", ".Order", ".Extra", AT, *(f".google.protobuf.{each}" for each in ("Duration", "Struct", "Empty", "FloatValue")),
]  # fmt: skip


@st.composite
def message_fields(draw, of):
    """The fields of a message: mostly as they usually are, in any order."""
    fields = []
    for number, (name, (kinds, *_)) in enumerate(draw(st.permutations(sorted(of.items()))), 1):
        chance = draw(CHANCE)
        if chance == MISSING:
            continue
        kind = draw(st.sampled_from(OTHERS if chance == UNUSUAL else kinds[:2] * 5 + kinds))
        fields.append(
            field(name, number, kind, optional=kind[0] != "." and draw(st.booleans()), repeated=chance == UNUSUAL + 1)
        )
    return [one for one in fields if not (one.proto3_optional and one.label == one.LABEL_REPEATED)]


@st.composite
def files(draw, of, name):
    extra = [
        field(f"x{number}", 100 * number, draw(st.sampled_from(OTHERS)), repeated=draw(st.booleans()))
        for number in range(1, draw(st.integers(1, 4)))
    ]
    messages = {"Order": [*draw(message_fields(of)), *extra[:1]], **{each: draw(message_fields(fields)) for each, fields in FIELDS_WITHIN.items()}, "Extra": extra}  # fmt: skip
    if name == "debezium":
        messages["Change"] = [field("before", 1, ".Order"), field("after", 2, ".Order"), field("op", 3, "STRING"), field("ts_ms", 4, "INT64")]  # fmt: skip
    if name == "cloudevents":
        messages["Event"] = [field("specversion", 1, "STRING"), field("id", 2, "STRING"), field("data", 3, ".Order")]
    enums = {"State": ["none", "paid", "open"]}
    return file("any", messages=messages, enums=enums, imports={**dict.fromkeys(IMPORTS), "google/protobuf/empty.proto": None})  # fmt: skip


def filled_in(draw, made, of):
    """Some items of a repeated field of a message."""
    for _ in range(draw(st.integers(0, 2))):
        if of.message_type is not None:
            getattr(made, of.name).add()
        elif (item := scalar(draw, of)) is not None:
            with suppress(ValueError, TypeError):  # beyond the range of the type
                getattr(made, of.name).append(item)


def usually(draw, made, of):
    """A message of a type that holds what it may usually hold; `of`: as FIELDS."""
    for one in made.DESCRIPTOR.fields:
        texts, numbers = of[one.name][1:] if one.name in of else ([], [])
        if draw(CHANCE) == MISSING:
            continue
        if one.is_repeated:
            filled_in(draw, made, one)
            continue
        kind = "" if one.message_type is None else one.message_type.full_name
        if kind in FIELDS_WITHIN:
            inner = getattr(made, one.name)
            inner.SetInParent()
            usually(draw, inner, FIELDS_WITHIN[kind])
        elif kind == "google.protobuf.Timestamp":
            getattr(made, one.name).FromMilliseconds(MS + draw(st.integers(0, 9)))
        elif kind == "google.protobuf.Duration":
            getattr(made, one.name).seconds = draw(st.sampled_from([5, 5, 5, -1, 10**12]))
        elif kind and not kind.endswith("Value"):
            if draw(st.booleans()):
                getattr(made, one.name).SetInParent()
        else:
            target, named = (getattr(made, one.name), "value") if kind else (made, one.name)
            as_told = target.DESCRIPTOR.fields_by_name[named]
            if as_told.cpp_type == as_told.CPPTYPE_STRING and as_told.type == as_told.TYPE_STRING:
                setattr(target, named, draw(st.sampled_from([texts[0]] * 20 + texts)) if texts else "x")
            elif as_told.cpp_type == as_told.CPPTYPE_DOUBLE:
                setattr(
                    target, named, draw(st.sampled_from([12.5] * 20 + [0.0, 1250.0, 12.505, 1e11, -0.0, float("nan")]))
                )
            elif as_told.type != as_told.TYPE_BYTES:
                with suppress(ValueError, TypeError):  # beyond the range of the type
                    setattr(target, named, draw(st.sampled_from([numbers[0]] * 20 + numbers)) if numbers else 1)
    return made


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_protobuf_that_is_taken_is_what_python_makes_of_it(data):
    name = data.draw(st.sampled_from(sorted(MAPS)))
    of = FIELDS_OF_NUMBERS if name == "numbers" else FIELDS
    schema = data.draw(files(of, name))
    known = {6: wire.schema("PROTOBUF", b64encode(schema.SerializeToString()).decode())}
    order = message_class(schema, "Order")
    values = [b"", header(6)]
    for _ in range(data.draw(st.integers(1, 4))):
        row = usually(data.draw, order(), of).SerializeToString()
        index = b"\0"
        if name == "debezium":
            index, made = b"\x02\x08", message_class(schema, "Change")()
            made.op = data.draw(st.sampled_from(["c", "u", "u", "r", "d"]))
            made.after.ParseFromString(row)
            if data.draw(st.booleans()):
                again = data.draw(st.booleans())
                made.before.ParseFromString(row if again else usually(data.draw, order(), of).SerializeToString())
            row = made.SerializeToString()
        if name == "cloudevents":
            index, made = b"\x02\x08", message_class(schema, "Event")(specversion="1.0")
            made.data.ParseFromString(row)
            row = made.SerializeToString()
        if data.draw(CHANCE) == UNUSUAL:
            index = data.draw(st.sampled_from([b"\2\2", b"\2\0", b"\2\x80", b"\4\0\0", b""]))
        values.append(header(6) + index + (disturbed(data.draw, row) if row else b""))
    if PROTOBUF[name].map_reader.program(known) is not None:
        check(PROTOBUF[name], values, known)


# -- by hand

OF = record("Of", id="string", session="string")
ROW = record(
    "Row", merchant="string", driver=["null", record("Driver", id="string")], state=enum("open", "paid"), opened=MILLIS, closed=["null", MICROS], order=OF, currency="string",
    wh="long", total=["null", decimal(2)], voucher="double", back="int", revision="int", live="boolean", more=["null", {"type": "array", "items": {"type": "map", "values": "string"}}],
)  # fmt: skip
GOOD = {
    "merchant": as_bytes(b"M1"), "driver": b"\2" + as_bytes(b"c-1"), "state": varint(1), "opened": varint(MS), "closed": b"\2" + varint(MS * 1000 + 999), "order": as_bytes(b"p-1") + as_bytes(b"s-1"),
    "currency": as_bytes(b"EUR"), "wh": varint(12_400), "total": b"\2" + as_bytes(b"\4\xe2"), "voucher": struct.pack("<d", 1.5), "back": varint(5), "revision": varint(3), "live": b"\1", "more": b"\0",
}  # fmt: skip


def avro_left(name="plain", schema=ROW, value=None, **parts):
    """Whether a value of a schema is left: a row, with other parts."""
    known = {5: wire.schema("AVRO", json.dumps(schema))}
    value = b"".join((GOOD | parts).values()) if value is None else value
    return check(AVRO[name], [header(5) + value], known) == [0]


@pytest.mark.parametrize(
    ("parts", "is_left"),
    [
        ({}, False), ({"driver": b"\0"}, False), ({"closed": b"\2" + varint(0)}, True), ({"closed": b"\4"}, True), ({"closed": b"\1"}, True), ({"state": varint(0)}, False), ({"state": varint(2)}, True),
        ({"merchant": as_bytes(b"")}, True), ({"merchant": as_bytes("大".encode())}, True), ({"merchant": b"\xff"}, True), ({"wh": varint(-1)}, True), ({"wh": b"\x80" * 9 + b"\1"}, True),
        ({"wh": b"\x80\x00"}, False),  # a zero in two bytes
        ({"total": b"\2" + as_bytes(b""), "back": b"\0"}, False), ({"total": b"\2" + as_bytes(b"\xff")}, True), ({"total": b"\2" + as_bytes(b"\0" * 8)}, True), ({"total": b"\0", "back": b"\0"}, False),
        *(({"voucher": struct.pack("<d", found)}, is_left) for found, is_left in ((0.0, False), (1.25, False), (12.0, False), (0.125, True), (-1.5, True), (float("inf"), True), (float("nan"), True), (1e11, True))),
        ({"live": b"\2"}, True), ({"more": b"\2" + varint(-1) + varint(9) + varint(1) + as_bytes(b"k") + as_bytes("大".encode()) + b"\0\0"}, False),
        ({"more": b"\2" + varint(1) + varint(1) + as_bytes(b"k") + as_bytes(b"\xff") + b"\0\0"}, True), ({"more": b"\2" + varint(9)}, True), ({"more": b"\0\0"}, True), ({"revision": b""}, True),
    ],
)  # fmt: skip
def test_which_records_of_avro_are_taken(parts, is_left):
    assert avro_left(**parts) == is_left


def test_changes_in_avro_are_taken_as_far_as_they_move_nothing():
    schema, row = ENVELOPES["debezium"](ROW), b"".join(GOOD.values())
    other = b"".join((GOOD | {"merchant": as_bytes(b"M2")}).values())
    rest = as_bytes(b"u") + varint(9)
    assert not avro_left("debezium", schema, b"\2" + row + b"\2" + row + rest)
    assert not avro_left("debezium", schema, b"\0\2" + row + rest)
    assert avro_left("debezium", schema, b"\2" + other + b"\2" + row + rest)
    assert avro_left("debezium", schema, b"\2" + row + b"\0" + as_bytes(b"d") + varint(9))


def test_a_schema_that_holds_itself_where_no_path_leads_is_read():
    tree = record("Tree", title="string", below={"type": "array", "items": "Tree"})
    schema = {**ROW, "fields": [*ROW["fields"], {"name": "tree", "type": tree}]}
    value = as_bytes(b"a") + varint(1) + as_bytes(b"b") + b"\0" + b"\0"
    deep = (as_bytes(b"a") + varint(1)) * 70 + as_bytes(b"b") + b"\0" * 71
    assert not avro_left(schema=schema, value=b"".join(GOOD.values()) + value)
    assert avro_left(schema=schema, value=b"".join(GOOD.values()) + deep)


@pytest.mark.parametrize(
    "fields",
    [
        {"merchant": "bytes"}, {"merchant": "float"}, {"merchant": OF}, {"merchant": {"type": "map", "values": "string"}}, {"opened": logical("long", "local-timestamp-millis")}, {"driver": "string"},
        {"driver": record("Driver", id=record("Again", id="string"))}, {"total": {"type": "fixed", "name": "Fx", "size": 3}}, {"opened": logical("int", "date")},
    ],
)  # fmt: skip
def test_a_schema_of_which_a_place_is_nothing_that_the_library_knows_has_no_program(fields):
    schema = {**ROW, "fields": [{**each, "type": fields.get(each["name"], each["type"])} for each in ROW["fields"]]}
    schema = renamed(schema, {})
    source = topic(SESSIONS + PAYMENTS, 'format = "avro"')
    assert source.map_reader.program({5: wire.schema("AVRO", json.dumps(schema))}) is None


def test_schemas_are_told_apart_by_their_ids_and_more_are_known_later():
    """The second one has its fields in another order; a value of one that is not there, of another format or of no map's use is left."""
    source = topic(SESSIONS + PAYMENTS, 'format = "avro"')
    turned = {**ROW, "fields": ROW["fields"][::-1]}
    known = {5: wire.schema("AVRO", json.dumps(ROW)), 8: None, 9: wire.schema("JSON", "{}")}
    row, back = b"".join(GOOD.values()), b"".join(list(GOOD.values())[::-1])
    values = [
        header(5) + row,
        header(6) + back,
        header(8) + row,
        header(9) + b"{}",
        b"\1" + header(5)[1:] + row,
        header(5)[:4],
    ]
    assert source.map_reader.program({}) is None
    assert check(source, values[:1] + values[2:], known) == [1, 2, 3, 4]
    known[6] = wire.schema("AVRO", json.dumps(turned))
    assert check(source, values, known) == [2, 3, 4, 5]


def test_json_by_a_schema_is_read_as_other_json():
    source = topic(SESSIONS + PAYMENTS, 'format = "json-schema"')
    known = {5: wire.schema("JSON", "{}"), 6: wire.schema("AVRO", json.dumps(ROW))}
    raw = json.dumps(ORDER).encode()
    assert check(source, [header(5) + raw, raw, header(6) + raw, header(5), header(5) + b"[]"], known) == [1, 2, 3, 4]


MESSAGES = {
    "Order": [
        field("merchant", 1, "STRING"), field("driver", 2, ".Driver"), field("state", 3, "@State"), field("opened", 4, AT), field("closed", 5, AT), field("order", 6, ".Of"), field("currency", 7, "STRING"),
        field("wh", 8, "SINT64"), field("total", 9, "STRING"), field("voucher", 10, "DOUBLE"), field("back", 11, "UINT32"), field("revision", 12, "INT32"), field("lines", 13, "INT32", repeated=True),
        field("at", 14, AT, repeated=True), field("site", 15, "STRING"), field("any", 16, ".google.protobuf.Struct"),
    ],
    "Driver": [field("id", 1, ".google.protobuf.StringValue")],
    "Of": [field("id", 1, "STRING"), field("session", 2, "STRING", optional=True)],
}  # fmt: skip
ORDERS = file("any", messages=MESSAGES, enums={"State": ["none", "paid"]}, imports=dict.fromkeys(IMPORTS))


def tagged(number, value):
    return bytes([number << 3 | 2, len(value)]) + value


SET = {
    1: tagged(1, b"M1"), 2: tagged(2, tagged(1, tagged(1, b"c-1"))), 3: b"\x18\1", 4: tagged(4, b"\x08" + (MS // 1000).to_bytes(1) if MS < 0 else b"\x08\x80\xc8\x9b\xd7\x06"), 5: tagged(5, b"\x08\x80\xc8\x9b\xd7\x06\x10\1"),
    6: tagged(6, tagged(1, b"p-1") + tagged(2, b"s-1")), 7: tagged(7, b"EUR"), 8: b"\x40\x90\3", 9: tagged(9, b"12.50"), 12: b"\x60\3",
}  # fmt: skip


def protobuf_left(schema=ORDERS, name="plain", index=b"\0", **parts):
    """Whether an order is left: with other parts, by number."""
    known = {5: wire.schema("PROTOBUF", b64encode(schema.SerializeToString()).decode())}
    value = b"".join((SET | {int(number[1:]): part for number, part in parts.items()}).values())
    return check(PROTOBUF[name], [header(5) + index + value], known) == [0]


@pytest.mark.parametrize(
    ("parts", "is_left"),
    [
        ({}, False), ({"n2": b""}, False), ({"n2": tagged(2, b"")}, False), ({"n2": tagged(2, tagged(1, b""))}, False), ({"n5": b""}, True),  # paid at no time
        ({"n9": b""}, True), ({"n8": b""}, False), ({"n8": b"\x40\1"}, True), ({"n3": b""}, True), ({"n3": b"\x18\7"}, True), ({"n12": b"\x60" + b"\xff" * 9 + b"\1"}, True), ({"n12": b"\x60" + b"\x80" * 9 + b"\2"}, True),
        ({"n12": b"\x60\x83\x80\0"}, False), ({"n1": tagged(1, b"M1") * 2}, True), ({"n6": tagged(6, tagged(1, b"p-1")) + tagged(6, tagged(2, b"s"))}, False), ({"n6": tagged(6, b"")}, True),
        ({"n10": b"\x51" + struct.pack("<d", 1.5)}, False), ({"n10": b"\x50\1"}, True), ({"n13": b"\x68\1\x68\2"}, False), ({"n13": tagged(13, b"\1\2")}, False), ({"n13": tagged(13, b"\x80")}, True),
        ({"n14": tagged(14, b"\x08\1") * 2}, False), ({"n14": tagged(14, b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\1")}, True), ({"n15": tagged(15, "大".encode())}, False), ({"n15": tagged(15, b"\xff")}, True),
        ({"n16": b"\x82\1\0"}, True), ({"n17": b"\x88\1\5"}, False), ({"n17": b"\x8a\1\1x"}, False), ({"n17": b"\x89\1" + b"x" * 8}, False), ({"n17": b"\x8d\1" + b"x" * 4}, False), ({"n17": b"\x8b\1\x8c\1"}, True),
        ({"n17": b"\0\0"}, True), ({"n17": b"\x88"}, True), ({"n17": b"\x88\x81\0\5"}, False), ({"n4": tagged(4, b"\x08\1\x08\2")}, True), ({"n4": tagged(4, b"\x0a\0")}, True),
    ],
)  # fmt: skip
def test_which_messages_of_protobuf_are_taken(parts, is_left):
    assert protobuf_left(**parts) == is_left


@pytest.mark.parametrize("index", [b"\2\2", b"\2\6", b"\2\1", b"\2\x80\0", b"\4\0\0", b"\1", b"\2"])
def test_another_message_is_left(index):
    assert protobuf_left(index=index)


def test_of_the_members_of_a_oneof_one_is_read():
    """That of two the last one counts is left to Python."""
    schema = descriptor_pb2.FileDescriptorProto.FromString(ORDERS.SerializeToString())
    order = schema.message_type[0]
    order.oneof_decl.add(name="of")
    for at in (0, 14):
        order.field[at].oneof_index = 0
    assert not protobuf_left(schema)
    assert protobuf_left(schema, n15=tagged(15, b"site"))


def test_what_a_message_that_is_not_known_holds_is_not_known_to_others():
    """The first one of the file has more oneofs than the library tells apart; so has, by what it holds, the order behind it."""
    wide = [field(f"w{number}", number + 1, "INT32") for number in range(124)] + [field("at", 200, AT)]
    messages = {"First": [field("wide", 1, ".Wide")], **MESSAGES, "Wide": wide}
    messages["Order"] = [*messages["Order"], field("wide", 18, ".Wide")]
    schema = file("any", messages=messages, enums={"State": ["none", "paid"]}, imports=dict.fromkeys(IMPORTS))
    for number in range(62):
        schema.message_type[-1].oneof_decl.add(name=f"of{number}")
        for at in (2 * number, 2 * number + 1):
            schema.message_type[-1].field[at].oneof_index = number
    assert protobuf_left(schema, index=b"\2\2", n18=b"\x92\1" + bytes([6]) + b"\xc2\x0c\3\x10\x81\x01")
    assert protobuf_left(schema, index=b"\2\2", n18=b"\x92\1\x0e\xc2\x0c\x0b\x10" + b"\xff" * 9 + b"\1")


def test_a_message_that_holds_itself_is_read_as_deep_as_anybody_would_have_it():
    schema = descriptor_pb2.FileDescriptorProto.FromString(ORDERS.SerializeToString())
    schema.message_type[0].field.append(field("again", 18, ".Order"))

    def holding(depth):
        value = b"\x60\3"
        for _ in range(depth):
            value = b"\x92\1" + bytes([len(value) & 0x7F | 0x80, len(value) >> 7]) + value
        return value

    assert not protobuf_left(schema, n18=holding(50))
    assert protobuf_left(schema, n18=holding(61))


@pytest.mark.parametrize(
    "fields",
    [
        {"merchant": field("merchant", 1, "BYTES")}, {"merchant": field("merchant", 1, "STRING", repeated=True)}, {"merchant": field("merchant", 1, "FLOAT")}, {"merchant": field("merchant", 1, "FIXED64")},
        {"merchant": field("merchant", 1, ".Driver")}, {"driver": field("driver", 2, AT)}, {"total": field("total", 9, ".google.protobuf.Struct")}, {"total": field("total", 9, ".google.protobuf.BytesValue")},
        {"opened": field("opened", 4, ".google.protobuf.Duration")}, {"driver": field("driver", 2, "STRING")},
    ],
)  # fmt: skip
def test_a_message_of_which_a_place_is_nothing_that_the_library_knows_is_left(fields):
    messages = MESSAGES | {"Order": [fields.get(one.name, one) for one in MESSAGES["Order"]]}
    schema = file("any", messages=messages, enums={"State": ["none", "paid"]}, imports=dict.fromkeys(IMPORTS))
    assert protobuf_left(schema)


def test_texts_of_proto2_are_left():
    schema = descriptor_pb2.FileDescriptorProto.FromString(ORDERS.SerializeToString())
    schema.syntax = "proto2"
    known = {5: wire.schema("PROTOBUF", b64encode(schema.SerializeToString()).decode())}
    assert topic(SESSIONS, 'format = "protobuf"').map_reader.program(known) is None


def test_many_values_with_long_texts_find_room():
    """What is written of each lies within what is set aside for it."""
    schema = record("Row", merchant="string", driver=record("Driver", id="long"), state="string", opened=MILLIS, closed=NANOS, order=OF, currency="string", total=decimal(3))  # fmt: skip
    known = {5: wire.schema("AVRO", json.dumps(schema))}
    values = [
        header(5) + as_bytes(b"m" * 200) + varint(10**16 + n) + as_bytes(b"paid") + varint(MS) + varint(MS * 10**6)
        + as_bytes(b"%0200d" % n) + as_bytes(b"s" * 200) + as_bytes(b"KWD") + as_bytes(b"\0\4\xe2")
        for n in range(4000)
    ]  # fmt: skip
    assert check(topic(SESSIONS + PAYMENTS, 'format = "avro"'), values, known) == []

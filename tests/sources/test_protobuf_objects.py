"""The fast way of Protobuf makes of a message what msgspec makes of its JSON, or is in doubt: by any schema, for any paths, of any bytes."""

from base64 import b64encode
from typing import Any

import msgspec
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2, timestamp_pb2, wrappers_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.sources import wire
from stream_app.sources.compiled_values import UncompiledError
from stream_app.sources.exact import Fractional
from stream_app.sources.json_values import NotOfSchemaError
from stream_app.sources.lookups import DOUBTS
from stream_app.sources.mapped import TopicReader
from stream_app.sources.maps.map_load import load_topic
from stream_app.sources.objects import GROUPS, Moment, Node
from stream_app.sources.protobuf import Protobuf
from tests.sources.test_avro_objects import plain
from tests.sources.test_protobuf import AS_PROTOBUF, KNOWN, ORDER, text, wired
from tests.sources.test_wire import NOW_MS, outcome
from tests.support.protobuf_files import field, file

HEADER = b"\0\0\0\0\1"
NAMES = ["a", "b", "is", "of_it"]
SCALARS = ["DOUBLE", "FLOAT", "INT64", "UINT64", "INT32", "FIXED64", "BOOL", "STRING", "BYTES", "UINT32", "SINT64"]
WELL_KNOWN = ["Timestamp", "Timestamp", "Duration", "StringValue", "Int64Value", "DoubleValue", "FloatValue", "Struct", "Value", "FieldMask"]  # fmt: skip
IMPORTS = [
    f"google/protobuf/{name}.proto" for name in ("timestamp", "duration", "wrappers", "struct", "field_mask", "any")
]
TYPES = ["M0", "M1", "M2"]


@st.composite
def schemas(draw):
    """A file of three types of messages, which may hold each other and themselves, and an enum."""
    messages = {}
    for of in TYPES:
        fields = []
        for number, name in enumerate(draw(st.lists(st.sampled_from(NAMES), unique=True)), 1):
            kind = draw(
                st.sampled_from(SCALARS)
                | st.sampled_from([f".google.protobuf.{each}" for each in WELL_KNOWN])
                | st.sampled_from([*(f".{each}" for each in TYPES), "@E"])
            )
            repeated = draw(st.integers(0, 5)) == 0
            optional = kind[0] != "." and not repeated and draw(st.booleans())
            fields.append(field(name, number, kind, repeated=repeated, optional=optional))
        messages[of] = fields
    return file("any", messages=messages, enums={"E": ["NONE", "SOME"]}, imports=dict.fromkeys(IMPORTS))


def node(draw, depth=2):
    """Places that messages may have."""
    wanted = Node()
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True)):
        if depth and draw(st.integers(0, 3)) == 0:
            wanted.fields[name] = node(draw, depth - 1)
        else:
            wanted.fields[name] = draw(st.sampled_from([Any, Any, Moment.ANY, Moment.ANY, GROUPS]))
    return wanted


INTEGERS = st.integers(-3, 70) | st.integers(-(2**63), 2**64 - 1)
OF_SECONDS = st.sampled_from([0, 1, NOW_MS // 1000, -1, 253_402_300_799, 253_402_300_800])
OF_NANOS = st.sampled_from([0, 1, 999_999_999, 123_456_000, 5_000_000, -1, 10**9])


def filled(draw, made, depth=3):
    """A message with some of its fields set."""
    for one in made.DESCRIPTOR.fields:
        if draw(st.integers(0, 3)) == 0:
            continue
        if one.message_type is not None:
            if not depth:
                continue
            of = getattr(made, one.name)
            for each in [of.add(), of.add()] if one.is_repeated else [of]:
                if one.message_type.name in ("Struct", "Value"):
                    each.ParseFromString(
                        draw(st.sampled_from([b"", struct_pb2.Value(number_value=float("nan")).SerializeToString()]))
                    )
                elif one.message_type.name in ("Timestamp", "Duration"):
                    each.seconds, each.nanos = draw(OF_SECONDS), draw(OF_NANOS)
                else:
                    each.SetInParent()
                    filled(draw, each, depth - 1)
            continue
        values = [value for value in (scalar(draw, one) for _ in range(2)) if value is not None]
        for value in values:
            try:
                if one.is_repeated:
                    getattr(made, one.name).append(value)
                else:
                    setattr(made, one.name, value)
            except ValueError:  # beyond the range of the type
                continue
    return made


def scalar(draw, one):
    """A value for a field."""
    match one.cpp_type:
        case one.CPPTYPE_STRING if one.type == one.TYPE_BYTES:
            return draw(st.binary(max_size=4))
        case one.CPPTYPE_STRING:
            return draw(st.text(max_size=3))
        case one.CPPTYPE_BOOL:
            return draw(st.booleans())
        case one.CPPTYPE_DOUBLE | one.CPPTYPE_FLOAT:
            return draw(st.floats() | st.sampled_from([12.1, 1e16, 1e-7, -0.0, 5.0]))
        case one.CPPTYPE_ENUM:
            return draw(st.integers(0, 3))
    return draw(INTEGERS)


def message_class(of, name):
    """The type of a message of a file, without any code of the product."""
    pool, default = descriptor_pool.DescriptorPool(), descriptor_pool.Default()
    for imported in of.dependency:
        pool.AddSerializedFile(default.FindFileByName(imported).serialized_pb)
    pool.AddSerializedFile(of.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_objects_are_those_of_the_json(data):
    """Of what a schema says, and of any bytes: what is taken is what JSON says, to the types."""
    schema = data.draw(schemas())
    protobuf = Protobuf(text(schema))
    root = node(data.draw)
    try:
        read = protobuf.objects(root)
    except UncompiledError:
        return
    index = data.draw(st.integers(0, 2))
    value = filled(data.draw, message_class(schema, TYPES[index])()).SerializeToString()
    if data.draw(st.integers(0, 2)) == 0:
        at = data.draw(st.integers(0, len(value)))
        value = value[:at] + data.draw(st.binary(max_size=3)) + value[at + data.draw(st.integers(0, 2)) :]
    value = (b"\0" if index == 0 and data.draw(st.booleans()) else bytes([2, 2 * index])) + value
    try:
        found = read(HEADER + value)
    except DOUBTS:
        return
    expected = msgspec.json.Decoder(root.type(), float_hook=Fractional).decode(protobuf.to_json(value))
    assert plain(found, root) == plain(expected, root)


def fast(schemas_):
    """The fast way of the map of orders for each schema."""
    return TopicReader(load_topic(AS_PROTOBUF.encode())).by_schema(schemas_)


def test_what_is_usual_is_not_in_doubt():
    of = {"id": 7, "state": "paid", "created": "2026-10-02T08:00:00.123456Z", "closed": "2026-10-02T08:30:00Z"}
    value = wired(order=of, station={"owner": "M1"}, meter={"end_wh": 2.5}, total="12.50", currency="EUR", revision=3)
    events = fast(KNOWN)[HEADER](value, NOW_MS, 1, 2, NOW_MS)
    assert len(events) == 2
    found = outcome(AS_PROTOBUF, [value], KNOWN)
    assert not found.rejections
    assert {(kind, operator, id_) for kind, operator, id_, _ in events} == {
        (kind, operator, id_) for kind, by in found.by_kind.items() for operator, made in by.items() for id_ in made.ids
    }


TIMES = [field("t", 1, ".google.protobuf.Timestamp")]
IMPORTED = {timestamp_pb2.DESCRIPTOR.name: None, wrappers_pb2.DESCRIPTOR.name: None}


def times(**messages):
    return file("times", imports=IMPORTED, messages=messages)


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        (times(A=TIMES, B=[field("t", 1, "STRING")]), Moment.ANY),  # a time in one, a text in the other
        (times(A=TIMES), Node({"seconds": Any})),
        (times(A=[field("t", 1, ".google.protobuf.StringValue")]), GROUPS),
        (times(A=[field("t", 1, "BOOL")]), GROUPS),
        (times(**{f"M{number}": TIMES for number in range(65)}), Any),
    ],
)
def test_a_schema_that_is_not_compiled_is_read_as_json(schema, wanted):
    with pytest.raises(UncompiledError):
        Protobuf(text(schema)).objects(Node({"t": wanted}))


def test_texts_of_proto2_may_be_none_and_are_read_as_json():
    """A parser of proto3 refuses bytes that are no text, in fields that no path names, too."""
    of = descriptor_pb2.FileDescriptorProto.FromString(times(A=[*TIMES, field("s", 2, "STRING")]).SerializeToString())
    assert Protobuf(text(of)).objects(Node({"t": Any}))(HEADER + b"\0").f0 is None
    with pytest.raises(LookupError):
        Protobuf(text(of)).objects(Node({"t": Any}))(HEADER + b"\0\x12\x01\xff")
    of.syntax = "proto2"
    schema = wire.schema("PROTOBUF", b64encode(of.SerializeToString()).decode())
    with pytest.raises(UncompiledError):
        schema.objects(Node({"t": Any}))
    assert fast({1: schema}) is None


def test_a_time_that_is_none_is_refused_where_no_path_names_it():
    schema = times(A=[field("of", 1, ".B"), field("x", 2, "INT32")], B=TIMES)
    read = Protobuf(text(schema))
    at = timestamp_pb2.Timestamp(nanos=-1).SerializeToString()
    inner = b"\x0a" + bytes([len(at)]) + at
    value = b"\0\x0a" + bytes([len(inner)]) + inner
    with pytest.raises(NotOfSchemaError):
        read.to_json(value)
    with pytest.raises(DOUBTS):
        read.objects(Node({"x": Any}))(HEADER + value)


def test_types_that_all_hold_each_other_are_looked_at_once():
    names = [f"M{number}" for number in range(40)]
    holding = {name: [field(f"f{at}", at + 1, f".{other}") for at, other in enumerate(names)] for name in names}
    read = Protobuf(text(file("holding", messages=holding))).objects(Node({"x": Any}))
    assert read(HEADER + b"\0").f0 is None


def test_the_second_message_is_found_by_its_index_and_others_are_in_doubt():
    root = Node({"x": Any, "order": Node({"id": Any})})
    read = Protobuf(text(ORDER)).objects(root)
    assert read(HEADER + b"\x02\0\x08\x05").f0 == 5
    assert read(HEADER + b"\0\x08\x05").f0 == 5
    assert read(HEADER + b"\x02\x02\x0a\x02\x08\x07").f1.f0 == 7
    for indexes in (b"\x02\x04", b"\x04\x02\x02", b"\x01", b""):
        with pytest.raises(DOUBTS):
            read(HEADER + indexes)

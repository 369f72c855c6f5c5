"""Protobuf in the wire format: what is read of a message is what the same in JSON says."""

import json
import struct
from base64 import b64encode

import pytest
from google.protobuf import timestamp_pb2, wrappers_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.domain.errors import Reason
from stream_app.sources import wire
from stream_app.sources.json_values import NotOfSchemaError
from stream_app.sources.protobuf import Protobuf
from tests.sources.test_wire import MAPS, NOW_MS, outcome
from tests.support.protobuf_files import field, file, message

assert (
    timestamp_pb2.DESCRIPTOR.name == "google/protobuf/timestamp.proto"
)  # it is known to the pool that messages are made by
ORDERS = (MAPS / "orders.toml").read_text()
KNOWN_FILES = {"google/protobuf/timestamp.proto": None, wrappers_pb2.DESCRIPTOR.name: None}
ORDER = file(
    "default",
    package="shop",
    imports=KNOWN_FILES,
    messages={
        "Other": [field("x", 1, "INT32")],
        "Order": [
            field("order", 1, ".shop.Order.Of"), field("station", 2, ".shop.Order.Station"), field("driver", 3, ".shop.Order.Driver"),
            field("meter", 4, ".shop.Order.Meter"), field("total", 5, "STRING"), field("voucher", 6, ".google.protobuf.StringValue"),
            field("currency", 7, "@shop.Currency"), field("revision", 8, "INT64"),
        ],
    },
    nested={
        "Order": {
            "Of": [
                field("id", 1, "UINT64"), field("state", 2, "STRING"), field("created", 3, ".google.protobuf.Timestamp"),
                field("closed", 4, ".google.protobuf.Timestamp"),
            ],
            "Station": [field("owner", 1, "STRING")], "Driver": [field("id", 1, "INT32")], "Meter": [field("begin_wh", 1, "INT32"), field("end_wh", 2, "DOUBLE")],
        }
    },
    enums={"Currency": ["EUR", "JPY"]},
)  # fmt: skip
INDEX = b"\x02\x02"  # one index: the second message of the file


def text(of):
    return b64encode(of.SerializeToString()).decode()


def wired(**fields):
    return b"\0\0\0\0\1" + INDEX + message(ORDER, "Order", **fields)


KNOWN = {1: wire.schema("PROTOBUF", text(ORDER))}
AS_PROTOBUF = ORDERS.replace("[topic]", '[topic]\nformat = "protobuf"')
TIMES = st.integers(NOW_MS // 1000 - 10**6, NOW_MS // 1000).map(
    lambda s: f"2026-11-0{1 + s % 3}T08:29:59.{s % 1000:03d}Z"
)


@settings(deadline=None)
@given(
    st.fixed_dictionaries({"id": st.integers(0, 2**53), "state": st.sampled_from(["paid", "open"]), "created": TIMES, "closed": TIMES}),
    st.sampled_from(["M1", "大客户", ""]), st.none() | st.integers(0, 9), st.sampled_from(["", "12.50", "0"]), st.none() | st.sampled_from(["", "1.5"]),
    st.sampled_from(["EUR", "JPY"]), st.integers(0, 9),
)  # fmt: skip
def test_a_message_says_what_the_same_in_json_does(of, owner, driver, total, voucher, currency, revision):
    """A field without presence that is 0 or empty is not in the message, and is said all the same; a message or wrapper that is not set is missing."""
    fields = {
        "order": of,
        "station": {"owner": owner},
        "meter": {"begin_wh": 0, "end_wh": 1.5},
        "total": total,
        "currency": currency,
        "revision": revision,
    }
    fields |= {} if driver is None else {"driver": {"id": driver}}
    fields |= {} if voucher is None else {"voucher": voucher}
    found = outcome(AS_PROTOBUF, [wired(**fields)], KNOWN)
    expected = outcome(ORDERS, [json.dumps(fields).encode()])
    assert found.by_kind == expected.by_kind
    assert [why.reason for _, why in found.rejections] == [why.reason for _, why in expected.rejections]


ALL = file(
    "a",
    messages={
        "A": [
            field("i", 1, "INT64"), field("u", 2, "FIXED64"), field("f", 3, "FLOAT"), field("d", 4, "DOUBLE"), field("b", 5, "BYTES"), field("is", 6, "BOOL"),
            field("e", 7, "@E"), field("many", 8, "SINT32", repeated=True), field("maybe", 9, "INT32", optional=True), field("a", 10, ".A"),
        ]
    },
    enums={"E": ["NONE", "SOME"]},
)  # fmt: skip


def test_each_type_is_told_as_json_has_it():
    read = Protobuf(text(ALL)).to_json
    value = message(
        ALL,
        "A",
        i=-(2**63),
        u=2**64 - 1,
        f=12.1,
        d=0.1,
        b="/wA=",
        **{"is": True},
        e="SOME",
        many=[1, -2],
        maybe=0,
        a={},
    )
    nothing = {"i": 0, "u": 0, "f": 0.0, "d": 0.0, "b": "", "is": False, "e": "NONE", "many": []}
    found = {
        "i": -(2**63),
        "u": 2**64 - 1,
        "f": 12.1,
        "d": 0.1,
        "b": "/wA=",
        "is": True,
        "e": "SOME",
        "many": [1, -2],
        "maybe": 0,
        "a": nothing,
    }
    assert json.loads(read(b"\0" + value)) == found
    assert json.loads(read(b"\x02\0" + value)) == found  # the same index, written out
    assert json.loads(read(b"\0")) == nothing
    assert json.loads(read(b"\0" + b"\x38\x07"))["e"] == 7  # of a later version of the enum
    assert json.loads(read(b"\0" + b"\x1d" + struct.pack("<f", float("inf"))))["f"] == "inf"


def test_a_message_within_a_message_is_found_by_its_indexes():
    assert (
        Protobuf(text(ORDER)).to_json(b"\x04\x02\x02" + message(ORDER, "Order.Station", owner="M1"))
        == b'{"owner":"M1"}'
    )


AT = file(
    "at", imports=KNOWN_FILES, messages={"At": [field("t", 1, ".google.protobuf.Timestamp"), field("of", 2, ".At")]}
)
AT_READER = Protobuf(text(AT)).to_json


@settings(deadline=None)
@given(
    st.integers(-(2**40), 2**40) | st.integers(253_402_300_000, 253_402_300_801) | st.integers(-2, 1),
    st.integers(-(2**31), 2**31 - 1) | st.integers(0, 999).map(lambda ms: ms * 1_000_000) | st.integers(0, 10**9),
)
def test_a_time_is_told_as_protobuf_tells_it(seconds, nanos):
    """In a message within its own type; what is none is refused."""
    found = timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos)
    at = found.SerializeToString()
    inner = b"\x0a" + bytes([len(at)]) + at
    value = b"\0" + b"\x12" + bytes([len(inner)]) + inner
    try:
        expected = found.ToJsonString()
    except ValueError:
        with pytest.raises(NotOfSchemaError):
            AT_READER(value)
    else:
        assert json.loads(AT_READER(value)) == {"of": {"t": expected}}


@pytest.mark.parametrize(
    "value",
    [b"", b"\x01", b"\x02\x20", b"\x02\x03", b"\x80", b"\x02\x02\x08", b"\x02\x02\xff\xff", b"\xfe\xff\xff\xff\x0f"],
)
def test_bytes_that_are_no_message_are_an_error(value):
    with pytest.raises(NotOfSchemaError, match="the value is not of it"):
        Protobuf(text(ORDER)).to_json(value)


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_json_or_an_error(value):
    found = outcome(AS_PROTOBUF, [b"\0\0\0\0\1" + value], KNOWN)
    assert [why.reason for _, why in found.rejections]


@pytest.mark.parametrize(
    "schema", ["", "?", b64encode(b"\xff").decode(), text(file("b", imports={"c": ORDER}, messages={"B": []}))]
)
def test_a_schema_that_is_none_reads_nothing(schema):
    found = outcome(AS_PROTOBUF, [wired()], {1: wire.schema("PROTOBUF", schema)})
    ((_, why),) = found.rejections
    assert why.reason == Reason.NOT_OF_SCHEMA
    assert "schema 1 of the registry: " in why.detail

"""Dead letters keep what came, byte by byte, and are read back through a real topic."""

import uuid

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from stream_app.domain.errors import Reason, Rejection
from stream_app.formats.limits import KEY_BYTES_MAX, RECORD_BYTES_MAX, VALUE_BYTES_MAX
from stream_app.sinks.dead_letters import DeadLetter, dead_letter, read_dead_letter

BAD = Rejection(Reason.WRONG_TYPE, "operator_id is 7 大 \ud800")


def test_the_record_is_the_contract_s():
    record = dead_letter("charging.sessions", 2, 17, b"k\xff", b"\xff{", BAD, 1_795_507_200_000)
    assert (record.key, record.value) == (b"charging.sessions/2/17", b"\xff{")
    assert dict(record.headers) == {
        "reason": b"wrong_type",
        "detail": "operator_id is 7 大 ?".encode(),
        "source-topic": b"charging.sessions",
        "source-partition": b"2",
        "source-offset": b"17",
        "source-key": b"k\xff",
        "failed-at": b"2026-11-24T08:00:00.000Z",
    }


def test_a_null_value_is_an_empty_one_and_comes_back_as_null():
    record = dead_letter("t", 0, 0, None, None, Rejection(Reason.TOMBSTONE, ""), 0)
    assert record.value == b""
    assert read_dead_letter(record.value, record.headers).value is None
    empty = dead_letter("t", 0, 0, None, b"", Rejection(Reason.NOT_JSON, ""), 0)
    assert read_dead_letter(empty.value, empty.headers).value == b""


@pytest.mark.parametrize(
    ("key", "value", "cuts"),
    [
        (b"k", b"x" * (VALUE_BYTES_MAX - 1), set()),
        (b"k", b"x" * VALUE_BYTES_MAX, {"value-cut-at"}),
        (b"k", b"x" * (8 << 20), {"value-cut-at"}),
        (b"k" * (KEY_BYTES_MAX - 1), b"x", set()),
        (b"k" * (1 << 20), None, {"source-key-cut-at"}),
        (b"k" * (1 << 20), b"x" * (1 << 20) * 3, {"source-key-cut-at", "value-cut-at"}),
    ],
)
def test_what_is_too_large_is_cut_and_said_so(key, value, cuts):
    """The record fits its topic, and holds the beginning as it came."""
    record = dead_letter("t", 0, 7, key, value, BAD, 0)
    headers = dict(record.headers)
    assert {name for name in headers if name.endswith("cut-at")} == cuts
    assert (value or b"").startswith(record.value)
    assert key.startswith(headers["source-key"])
    if "value-cut-at" in cuts:
        assert headers["value-cut-at"] == b"%d" % len(record.value)
    if "source-key-cut-at" in cuts:
        assert headers["source-key-cut-at"] == b"%d" % len(headers["source-key"])
    size = len(record.key) + len(record.value) + sum(len(name) + len(header or b"") for name, header in record.headers)
    assert size < RECORD_BYTES_MAX - 4096
    read = read_dead_letter(record.value, record.headers)
    assert (read.is_value_cut, read.is_key_cut) == ("value-cut-at" in cuts, "source-key-cut-at" in cuts)


@pytest.mark.parametrize("headers", [[], [("reason", b"x")], [("source-partition", b"x")]])
def test_what_is_no_letter_is_none(headers):
    assert read_dead_letter(b"x", headers) is None


def test_a_removed_letter_is_none():
    record = dead_letter("t", 0, 0, None, b"x", BAD, 0)
    assert read_dead_letter(None, record.headers) is None


async def test_through_kafka(kafka):
    topic = f"dead-letters-{uuid.uuid4()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    sent = dead_letter("charging.sessions", 2, 17, None, b"\xff{", BAD, 1_795_507_200_000)
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        await producer.send_and_wait(topic, key=sent.key, value=sent.value, headers=sent.headers)
    async with AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest") as consumer:
        found = await consumer.getone()
    assert read_dead_letter(found.value, found.headers) == DeadLetter(
        "charging.sessions",
        2,
        17,
        None,
        b"\xff{",
        "wrong_type",
        "operator_id is 7 大 ?",
        "2026-11-24T08:00:00.000Z",
    )

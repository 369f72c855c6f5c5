"""Dead letters keep what came, byte by byte, and are read back through a real topic."""

import uuid

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from stream_app.domain.errors import Reason, Rejection
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
        "charging.sessions", 2, 17, None, b"\xff{", "wrong_type", "operator_id is 7 大 ?", "2026-11-24T08:00:00.000Z"
    )

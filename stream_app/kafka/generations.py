"""The topic of generations, as it is read and written. One partition, compacted; one that does not exist yet is empty."""

import asyncio
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from stream_app.access.kafka import KafkaAccess
from stream_app.formats import generations
from stream_app.formats.generations import Generation
from stream_app.ports.records import Batch

_POLL_MS: Final = 1000
_FETCH_MS: Final = 20
_LOOK_S: Final = 5.0  # between two looks for a topic that does not exist yet


async def read(kafka: KafkaAccess, topic: str) -> list[Generation]:
    """All generations that the topic tells of. `Raises` KafkaError."""
    # A fetch that finds nothing holds up what is asked behind it on its connection, half a second by default, and each start waits for that.
    consumer = AIOKafkaConsumer(**kafka.aiokafka(), enable_auto_commit=False, fetch_max_wait_ms=_FETCH_MS)
    try:
        await consumer.start()
        if topic not in await consumer.topics():
            return []
        at = TopicPartition(topic, 0)
        consumer.assign([at])
        await consumer.seek_to_beginning(at)
        end = (await consumer.end_offsets([at]))[at]
        values: list[bytes | None] = []
        while await consumer.position(at) < end:
            values += await _values(consumer, at, 200)
        return generations.read(values)
    finally:
        await consumer.stop()


async def write(kafka: KafkaAccess, topic: str, generation: Generation) -> None:
    """Tell of a generation; back when Kafka has it. `Raises` KafkaError."""
    producer = AIOKafkaProducer(**kafka.aiokafka(), acks="all", enable_idempotence=True)
    try:
        await producer.start()
        key, value = generations.record_of(generation)
        await producer.send_and_wait(topic, value, key, partition=0)
    finally:
        await producer.stop()


async def until_newer(kafka: KafkaAccess, topic: str, number: int) -> Generation:
    """Wait until a generation above that number serves. `Raises` KafkaError."""
    consumer = AIOKafkaConsumer(**kafka.aiokafka(), enable_auto_commit=False)
    try:
        await consumer.start()
        while topic not in await consumer.topics():  # noqa: ASYNC110  # Kafka tells nobody
            await asyncio.sleep(_LOOK_S)
        at = TopicPartition(topic, 0)
        consumer.assign([at])
        await consumer.seek_to_beginning(at)
        while True:
            for generation in generations.read(await _values(consumer, at, _POLL_MS)):
                if generation.number > number and generation.state == "serving":
                    return generation
    finally:
        await consumer.stop()


async def _values(consumer: AIOKafkaConsumer, at: TopicPartition, timeout_ms: int) -> list[bytes | None]:
    """Of what comes next. A consumer gives batches in a process in which stream_app.kafka.batches is installed, else records."""
    found = (await consumer.getmany(at, timeout_ms=timeout_ms)).get(at, [])
    return [value for each in found for value in (each.values if isinstance(each, Batch) else [each.value])]

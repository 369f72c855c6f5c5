"""Topics of one test, made, written and read by librdkafka; what is tested is mostly the other client.

The fixtures are there for every room: tests/conftest.py names this module among its plugins.
"""

import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from stream_app.access.kafka import KafkaAccess
from stream_app.kafka import batches
from stream_app.observing.observer import Observer
from tests.oracle_room.reading import Record
from tests.support.waiting import SECONDS_MAX


@pytest.fixture
def whole_batches() -> Iterator[None]:
    """Consumers give whole batches, in this test only."""
    before = fetcher.PartitionRecords, fetcher.MemoryRecords
    batches.install()
    yield
    fetcher.PartitionRecords, fetcher.MemoryRecords = before


@pytest.fixture
def admin(kafka: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka})


def flush(producer: Producer) -> None:
    """Wait until Kafka has answered for each record that a producer was given. Fails with the number of those that it has not."""
    if left := producer.flush(SECONDS_MAX):
        raise AssertionError(f"after {SECONDS_MAX:.0f} s Kafka has not answered for {left} records")


@pytest.fixture
async def observe() -> AsyncIterator[Callable[[str], Observer]]:
    """Makes observers of a cluster; disconnected with the test."""
    made: list[Observer] = []

    def make(servers: str) -> Observer:
        made.append(Observer(KafkaAccess(servers)))
        return made[-1]

    yield make
    for observer in made:
        await observer.close()


@pytest.fixture
def new_topic(admin: AdminClient) -> Callable[..., str]:
    """Makes a topic, usable at once, and gives its name."""

    def make(partitions: int = 1, name: str | None = None, **config: str) -> str:
        name = name or f"t-{uuid.uuid4().hex[:12]}"
        config = {key.replace("_", "."): value for key, value in config.items()}
        admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(SECONDS_MAX)
        latest = {TopicPartition(name, partition): OffsetSpec.latest() for partition in range(partitions)}
        deadline = time.monotonic() + 60
        while True:  # a leader is named before it knows that it is one
            admin.list_topics(timeout=10)  # of a topic made anew librdkafka knows the old leader
            try:
                for end in admin.list_offsets(latest, request_timeout=10).values():
                    end.result(SECONDS_MAX)
            except KafkaException:
                assert time.monotonic() < deadline, f"{name} got no leaders"
                time.sleep(0.05)
            else:
                return name

    return make


@pytest.fixture
def producer(kafka: str) -> Callable[..., Producer]:
    """Makes producers; one with `transactional_id` is ready for its first transaction."""

    def make(**settings: Any) -> Producer:
        settings = {key.replace("_", "."): value for key, value in settings.items()}
        made = Producer({"bootstrap.servers": kafka, "linger.ms": 0, **settings})
        if "transactional.id" in settings:
            made.init_transactions(20)
        return made

    return make


@pytest.fixture
def read(kafka: str) -> Callable[..., list[Record]]:
    """Reads the records of one partition: those of committed transactions, up to the last stable offset."""

    def read_(topic: str, partition: int = 0) -> list[Record]:
        return read_topic(kafka, topic, partitions=[partition])

    return read_


def read_topic(
    bootstrap: str, topic: str, isolation: str = "read_committed", *, partitions: Collection[int] | None = None
) -> list[Record]:
    """All records of a topic, or of some of its partitions, from its start to its present end, by partition and offset."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "tests-read-topic", "enable.auto.commit": False, "auto.offset.reset": "earliest",
        "isolation.level": isolation, "enable.partition.eof": True,
    })  # fmt: skip
    try:
        return sorted(_read(consumer, topic, partitions), key=lambda record: (record.partition, record.offset))
    finally:
        consumer.close()


def _read(consumer: Consumer, topic: str, partitions: Collection[int] | None) -> Iterator[Record]:
    found = consumer.list_topics(topic, timeout=10).topics[topic]
    if found.error is not None:
        raise KafkaException(found.error)
    open_partitions = set(found.partitions if partitions is None else partitions)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in open_partitions])
    deadline = time.monotonic() + 120
    while open_partitions:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no end of {topic} {open_partitions}")
        message: Any
        for message in consumer.consume(10_000, 0.5):
            error = message.error()
            if error is None:
                headers = tuple((name, value) for name, value in message.headers() or ())
                yield Record(
                    topic, message.partition(), message.offset(), message.timestamp()[1], message.key(), message.value(), headers
                )  # fmt: skip
            elif error.name() == "_PARTITION_EOF":
                open_partitions.discard(message.partition())
            else:
                raise KafkaException(error)

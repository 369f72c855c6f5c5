"""Topics of one test, read and written by librdkafka: what is tested here is the other client."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from stream_app.kafka import batches
from stream_app.observing.client import ClusterError
from stream_app.observing.observer import Observer


@pytest.fixture
def admin(kafka: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka})


@pytest.fixture
async def observe() -> AsyncIterator[Callable[[str], Observer]]:
    """Makes observers of a cluster; disconnected with the test."""
    made: list[Observer] = []

    def make(servers: str) -> Observer:
        made.append(Observer(servers))
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
        admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(20)
        latest = {TopicPartition(name, partition): OffsetSpec.latest() for partition in range(partitions)}
        deadline = time.monotonic() + 60
        while True:  # a leader is named before it knows that it is one
            admin.list_topics(timeout=10)  # of a topic made anew librdkafka knows the old leader
            try:
                for end in admin.list_offsets(latest, request_timeout=10).values():
                    end.result(20)
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
def read(kafka: str) -> Callable[..., list[Message]]:
    """All records of a partition, by another client: those of committed transactions, up to the last stable offset."""

    def read_(topic: str, partition: int = 0) -> list[Message]:
        settings = {
            "bootstrap.servers": kafka,
            "group.id": "unused",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
        consumer = Consumer(settings)
        consumer.assign([TopicPartition(topic, partition, 0)])
        found: list[Message] = []
        try:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                message = consumer.poll(1)
                if message is None:
                    continue
                if message.error() is not None:
                    assert message.error().name() == "_PARTITION_EOF", message.error()
                    return found
                found.append(message)
        finally:
            consumer.close()
        raise AssertionError(f"{topic}/{partition} has no end")

    return read_


@pytest.fixture
def whole_batches() -> Iterator[None]:
    """Consumers give whole batches, in this test only."""
    before = fetcher.PartitionRecords
    batches.install()
    yield
    fetcher.PartitionRecords = before


async def until(what: str, condition: Callable[[], Any], seconds: float = 20) -> None:
    """Until a condition (plain, or a coroutine) holds; fails with its name after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if await found if asyncio.iscoroutine(found) else found:
            return
        assert time.monotonic() < deadline, f"after {seconds} s still waiting until {what}"
        await asyncio.sleep(0.05)


async def answer(ask: Callable[[], Any], seconds: float = 60) -> Any:
    """What a cluster answers, once it does: a broker that has just started, or has much to do, refuses or is late."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await ask()
        except ClusterError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)

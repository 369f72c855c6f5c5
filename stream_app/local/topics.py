"""Creation of the topics that a local Kafka lacks.

Invariant: a topic that is there stays as it is, whatever its partitions and configuration. Must not know what the topics mean.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, NoError, TopicAlreadyExistsError, for_code

from stream_app.access.kafka import KafkaAccess
from stream_app.local.errors import LocalError


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to create. `config`: topic setting -> value."""

    name: str
    partitions: int
    replication_factor: int = 1
    config: Mapping[str, str] = field(default_factory=dict)


def create_missing(kafka: KafkaAccess, topics: Sequence[TopicSpec]) -> list[str]:
    """Make the topics that are missing, usable at once, and return their names. `Raises` LocalError when Kafka refuses."""
    try:
        return asyncio.run(_create_missing(kafka, topics))
    except KafkaError as error:
        raise LocalError(f"Kafka at {kafka.servers} did not make the topics: {error}") from error


async def _create_missing(kafka: KafkaAccess, topics: Sequence[TopicSpec]) -> list[str]:
    client = AIOKafkaAdminClient(**kafka.aiokafka())
    try:
        await client.start()
        there = set(await client.list_topics())
        missing = [topic for topic in topics if topic.name not in there]
        if not missing:
            return []
        new = [NewTopic(t.name, t.partitions, t.replication_factor, topic_configs=dict(t.config)) for t in missing]
        for answer in (await client.create_topics(new)).topic_errors:
            error = for_code(answer[1])
            if error not in (NoError, TopicAlreadyExistsError):
                raise LocalError(f"Kafka did not make the topic {answer[0]}: {error.__name__}")
    finally:
        await client.close()
    await _wait_for_leaders(kafka, missing)
    return [topic.name for topic in missing]


async def _wait_for_leaders(kafka: KafkaAccess, topics: Sequence[TopicSpec]) -> None:
    """Return when every partition tells its end, so that nobody who starts next finds a topic half made."""
    consumer = AIOKafkaConsumer(**kafka.aiokafka())
    try:
        await consumer.start()
        await consumer.end_offsets([TopicPartition(topic.name, p) for topic in topics for p in range(topic.partitions)])
    finally:
        await consumer.stop()

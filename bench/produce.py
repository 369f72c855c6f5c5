"""Sends records to source topics, as fast as they are taken."""

import random
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, Message, Producer

from bench.records import SentRecord
from stream_app.local.errors import LocalError


class Produced(NamedTuple):
    """What was sent; Kafka had taken all of it before `done_ms`, epoch milliseconds."""

    records: int
    size: int
    done_ms: int


def produce(servers: str, topics: Mapping[str, str], records: Iterable[SentRecord]) -> Produced:
    """Send records to topic by kind, those without a key with keys of no meaning. `Raises` LocalError when Kafka refuses one."""
    failed: list[str] = []

    def told(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failed.append(f"{message.topic()}: {error}")

    producer = Producer(
        {
            "bootstrap.servers": servers,
            "linger.ms": 50,
            "batch.size": 1_000_000,
            "compression.type": "lz4",
            "acks": "all",
        }
    )
    keys, count, size = random.Random(2), 0, 0
    for record in records:
        how: dict[str, Any] = {"key": record.key or f"{keys.getrandbits(32)}"}
        if record.partition is not None:
            how["partition"] = record.partition
        if record.timestamp_ms is not None:
            how["timestamp"] = record.timestamp_ms
        while True:
            try:
                producer.produce(topics[record.kind], record.value, on_delivery=told, **how)
                break
            except BufferError:
                producer.poll(0.1)
        count, size = count + 1, size + len(record.value)
        producer.poll(0)
    if producer.flush(60) or failed:
        raise LocalError(f"Kafka did not take all records: {failed[:3] or 'no answer'}")
    return Produced(count, size, int(time.time() * 1000) + 1)

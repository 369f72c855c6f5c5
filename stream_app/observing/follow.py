"""Following a topic: its newest records first, then each one that comes. For small topics of ours, and those of which only the end matters.

Begins so many offsets before the end of each partition, whatever the topic holds. The first call gives all records up to the end of then, however
long a broker that has much to do takes for them: what they say together is no news, and a part of it would be wrong. Blocking calls are made in a
thread. Bounded: so many seconds a call.
"""

import asyncio
import time
from typing import Any, NamedTuple

from confluent_kafka import Consumer, TopicPartition

from stream_app.access.kafka import KafkaAccess
from stream_app.clients.waiting import ClusterError
from stream_app.observing.client import cluster_errors, reader_settings

_SECONDS_MAX = 2.0
_TIMEOUT_S = 5.0
_BATCH = 500


class FollowedRecord(NamedTuple):
    """A record of the followed topic. `is_new`: it came after the follower began."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    time_ms: int
    is_new: bool


class Follower:
    """A consumer of one topic that joins no group and commits nothing. `tail`: offsets of each partition to begin with."""

    def __init__(self, kafka: KafkaAccess, topic: str, tail: int) -> None:
        self._topic, self._tail = topic, tail
        self._began: dict[int, int] = {}  # by partition, the end when the follower began
        self._behind: set[int] = set()  # partitions of which not all is read that was there then
        self._kept: list[FollowedRecord] = []  # of the others, till then
        self._consumer = Consumer(
            reader_settings(kafka)
            | {
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 100,
                "fetch.message.max.bytes": 262_144,
            }
        )

    async def drain(self) -> list[FollowedRecord]:
        """Records that came since the last call, in the order of each partition; what takes too long waits for the next call.

        `Raises` ClusterError, also while not all has come that was there when it began. A topic that does not exist yet has no records.
        """
        with cluster_errors():
            return await asyncio.to_thread(self._drain)

    def _drain(self) -> list[FollowedRecord]:
        if not self._began and not self._begin():
            return []
        deadline = time.monotonic() + _SECONDS_MAX
        while time.monotonic() < deadline:
            messages = self._consumer.consume(_BATCH, timeout=0.2)
            for message in messages:
                if message.error() is None:
                    self._kept.append(self._record(message))
                else:  # its end, or a right that is missing
                    self._behind.discard(message.partition())
            if len(messages) < _BATCH and not self._behind:
                break
        if self._behind:
            raise ClusterError(f"{self._topic} is not read up to its end yet")
        found, self._kept = self._kept, []
        return found

    def _record(self, message: Any) -> FollowedRecord:
        is_new = message.offset() >= self._began.get(message.partition(), 0)
        return FollowedRecord(message.key(), message.value(), message.headers() or [], message.timestamp()[1], is_new)

    def _begin(self) -> bool:
        topic = self._consumer.list_topics(self._topic, timeout=_TIMEOUT_S).topics[self._topic]
        if topic.error is not None or not topic.partitions:
            return False
        began, wanted = {}, []
        for partition in topic.partitions:
            first, end = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), _TIMEOUT_S)
            began[partition] = end
            wanted.append(TopicPartition(self._topic, partition, max(first, end - self._tail)))
        self._consumer.assign(wanted)
        self._began, self._behind = began, set(began)
        return True

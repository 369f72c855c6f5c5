"""Source records to Kafka: idempotent, acknowledged, by a partitioner that is not ours, as with the sources of other teams.

After `plan`, `live` and `payment`. Invariant: a call returns when the brokers have what it was given. Makes no topic.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from itertools import count
from types import TracebackType
from typing import Self
from zlib import crc32

from aiokafka.errors import KafkaError

from stream_app.access.kafka import KafkaAccess
from stream_app.clients.waiting import ClusterError
from stream_app.kafka.log import Appender
from stream_app.observing.observer import Observer
from stream_app.ports.records import RecordFields
from stream_app.simulator.records import SourceRecord
from stream_app.sources.registry import SourceTopic


class SendError(Exception):
    """Kafka can't be used; the message is one sentence."""


class Sender:
    """A sender to the source topics; to be used as a context. `Raises` SendError."""

    def __init__(self, kafka: KafkaAccess, topics: Mapping[SourceTopic, str], ack_seconds_max: float = 60) -> None:
        """`ack_seconds_max`: an idempotent producer retries for ever; this is more than a broker's restart takes."""
        self._kafka, self._topics, self._ack_seconds_max = kafka, topics, ack_seconds_max
        self._appender = Appender(kafka)
        self._partitions: dict[SourceTopic, int] = {}
        self._anywhere = count()

    async def __aenter__(self) -> Self:
        try:
            await self._appender.start()
            found = await Observer(self._kafka).topics(list(self._topics.values()))
        except (KafkaError, ClusterError):
            await self._appender.stop()
            raise SendError(f"Kafka does not answer at {self._kafka.servers}: start it by make up") from None
        missing = sorted(set(self._topics.values()) - set(found))
        if missing:
            await self._appender.stop()
            raise SendError(f"Kafka at {self._kafka.servers} lacks {', '.join(missing)}, which make up creates")
        self._partitions = {topic: found[name].partitions for topic, name in self._topics.items()}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # What was not acknowledged would be retried for ever.
            await asyncio.wait_for(self._appender.stop(), None if kind is None else 1)
        except TimeoutError:
            return

    async def send(self, some: Sequence[SourceRecord]) -> int:
        """Send, and wait for the brokers; epoch milliseconds of a moment at which they had all of it."""
        by_partition: dict[tuple[str, int], list[RecordFields]] = {}
        for topic, key, value in some:
            number = next(self._anywhere) if key is None else crc32(key)
            by_partition.setdefault((self._topics[topic], number % self._partitions[topic]), []).append(
                (key, value, [])
            )
        try:
            async with asyncio.timeout(self._ack_seconds_max):
                await self._appender.append(by_partition)
        except TimeoutError:
            raise SendError(f"Kafka at {self._kafka.servers} stopped answering; what it took is safe") from None
        except KafkaError as error:
            raise SendError(f"Kafka at {self._kafka.servers} took only a part ({error})") from None
        return int(time.time() * 1000) + 1

"""Records -> Kafka: the second half of an import's I/O.

Invariant: a call returns when the brokers have what it was given (acks = all, idempotent producer), in its order by operator. Sending again
is harmless, for ids and versions are the same; so there is no transaction.
"""

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Protocol, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from stream_app.access.kafka import KafkaAccess
from stream_app.importer.mapping import SourceRecord
from stream_app.sources.registry import SourceTopic

_REQUEST_BYTES_MAX: Final = 1 << 30  # how large a record may be is the topic's to say


class SendError(Exception):
    """Kafka can't be used; the message is one sentence."""


class Sender(Protocol):
    """Where an import's records go."""

    async def send(self, records: Sequence[SourceRecord]) -> None:
        """Return when all are safe."""


class Nowhere:
    """The sender of a dry run."""

    async def send(self, records: Sequence[SourceRecord]) -> None:
        """Do nothing."""


class KafkaSender:
    """A sender to the source topics. To be used as a context. `Raises` SendError."""

    def __init__(self, kafka: KafkaAccess, topics: Mapping[SourceTopic, str], ack_seconds_max: float = 60) -> None:
        """`ack_seconds_max`: an idempotent producer retries for ever; this is more than a broker's restart takes."""
        self._kafka = kafka
        self._topics = topics
        self._ack_seconds_max = ack_seconds_max

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(
            **self._kafka.aiokafka(),
            enable_idempotence=True,
            acks="all",
            compression_type="zstd",
            max_request_size=_REQUEST_BYTES_MAX,
        )
        try:
            await self._producer.start()
            known = (await self._producer.client.fetch_all_metadata()).topics()
        except KafkaError:
            await self._producer.stop()
            raise SendError(f"Kafka does not answer at {self._kafka.servers}") from None
        missing = sorted(set(self._topics.values()) - known)
        if missing:
            await self._producer.stop()
            raise SendError(f"Kafka at {self._kafka.servers} lacks {', '.join(missing)}, which `make up` creates")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # What was acknowledged is safe; what was not is retried no longer, and the client can't be told so.
            await asyncio.wait_for(self._producer.stop(), None if kind is None else 1)
        except TimeoutError:
            await self._producer.client.close()

    async def send(self, records: Sequence[SourceRecord]) -> None:
        """Send, and wait for the brokers."""
        try:
            async with asyncio.timeout(self._ack_seconds_max):
                sent = [await self._producer.send(self._topics[topic], value, key) for topic, key, value in records]
                await asyncio.gather(*sent)
        except TimeoutError:
            raise SendError(
                f"Kafka at {self._kafka.servers} stopped answering; what it took is safe, and the import can be repeated"
            ) from None
        except KafkaError as error:
            raise SendError(
                f"Kafka at {self._kafka.servers} took only a part ({error}); the import can be repeated"
            ) from None

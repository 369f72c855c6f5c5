"""Writing to Kafka: the transactions of an events partition, and appends outside of transactions.

`TransactionLog.open` fences: it ends what an earlier owner of the transactional id had open and refuses what it may still send.
Records are packed into Kafka's batches by us, since a call per record costs six times as much.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalOperation, InvalidProducerEpoch, KafkaError, ProducerFenced
from aiokafka.structs import OffsetAndMetadata

from stream_app.access.kafka import KafkaAccess
from stream_app.ports.kafka import Fenced
from stream_app.ports.records import RecordFields, Records

REQUEST_BYTES_MAX = 16 << 20  # a source record travels whole to the dead letters
_BATCH_BYTES = 900_000
_COMPRESSION = "zstd"  # 744 MB/s here; lz4 at aiokafka's level 228


async def _send(producer: AIOKafkaProducer, records: Records) -> dict[tuple[str, int], tuple[Any, int]]:
    """Hand records to the producer: by (topic, partition) the delivery of the last batch, and its number of records."""
    sent: list[Any] = []
    last: dict[tuple[str, int], tuple[Any, int]] = {}
    now = int(time.time() * 1000)
    try:
        for (topic, partition), some in records.items():
            batch = None
            for key, value, headers in some:
                if batch is not None and batch.append(timestamp=now, key=key, value=value, headers=headers) is None:
                    sent.append(await producer.send_batch(batch, topic, partition=partition))
                    batch = None
                if batch is None:
                    batch = producer.create_batch()
                    batch.append(timestamp=now, key=key, value=value, headers=headers)
            if batch is not None:
                sent.append(await producer.send_batch(batch, topic, partition=partition))
                last[topic, partition] = sent[-1], batch.record_count()
    except (IllegalOperation, KafkaError) as exc:
        raise (await _cause(sent) or exc) from exc
    await asyncio.gather(*sent)
    return last


async def _cause(sent: list[Any]) -> BaseException | None:
    """Why a producer takes no more records, when it failed while some were on their way: to the next it says only that no transaction is open."""
    if not sent:
        return None
    done, _ = await asyncio.wait(sent, timeout=1.0)
    return next((found for delivery in done if (found := delivery.exception())), None)


def _settings(kafka: KafkaAccess) -> dict[str, Any]:
    return kafka.aiokafka() | {
        "acks": "all",
        "compression_type": _COMPRESSION,
        "max_batch_size": _BATCH_BYTES,
        "max_request_size": REQUEST_BYTES_MAX,
        "linger_ms": 0,  # delays whole batches, too
        "retry_backoff_ms": 20,  # a transaction that begins right after a commit is told to come back
    }


class Appender:
    """Idempotent appends, acknowledged by all replicas when `append` returns.

    What is asked for while an append is on its way goes together with the next one: aiokafka takes one batch of a partition at a time, and
    counts the waiting of several callers against each of them many times over.
    """

    def __init__(self, kafka: KafkaAccess) -> None:
        self._kafka = kafka
        self._started: AIOKafkaProducer | None = None
        self._waiting: list[tuple[Records, asyncio.Future[int | None]]] = []
        self._sending: asyncio.Task[None] | None = None

    @property
    def _producer(self) -> AIOKafkaProducer:
        assert self._started is not None, "start comes first"
        return self._started

    async def start(self) -> None:
        """Connect."""
        self._started = AIOKafkaProducer(enable_idempotence=True, **_settings(self._kafka))
        await self._started.start()

    async def stop(self) -> None:
        """Disconnect."""
        if self._started is not None:
            await self._started.stop()

    async def append(self, records: Records) -> int | None:
        """Append; the broker's time of the append in epoch milliseconds, where a topic keeps log append time. `Raises` KafkaError."""
        records = {at: kept for at, some in records.items() if (kept := list(some))}
        if not records:
            return None
        done: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((records, done))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_waiting())
        return await done

    async def _send_waiting(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            together: dict[tuple[str, int], list[RecordFields]] = {}
            for records, _ in waiting:
                for at, some in records.items():
                    together.setdefault(at, []).extend(some)
            try:
                last = await _send(self._producer, together)
            except Exception as exc:  # noqa: BLE001  # each caller hears of it
                for _, done in waiting:
                    if not done.done():
                        done.set_exception(exc)
                continue
            for records, done in waiting:
                if not done.done():
                    done.set_result(max(int(last[at][0].result().timestamp) for at in records))

    async def partitions(self, topic: str) -> int:
        """Number of partitions of a topic. `Raises` KafkaError where the topic does not exist."""
        return len(await self._producer.partitions_for(topic))


class TransactionLog:
    """The transactions of one events partition, by a producer of its own. `source`: the events partition, `changelog`: of the rows."""

    def __init__(
        self,
        kafka: KafkaAccess,
        transactional_id: str,
        consumer_group: str,
        source: tuple[str, int],
        changelog: tuple[str, int],
    ) -> None:
        self._producer = AIOKafkaProducer(
            transactional_id=transactional_id, transaction_timeout_ms=30_000, **_settings(kafka)
        )
        self._consumer_group, self._source, self._changelog = consumer_group, TopicPartition(*source), changelog

    async def open(self) -> None:
        """Become the owner of the transactional id: abort what an earlier owner had open, and fence that owner."""
        await self._producer.start()

    async def commit(self, rows: Mapping[bytes, bytes | None], records: Records, offset: int) -> int:
        """One transaction: changelog rows, records of other topics, and the source's next offset (for tools that show lag).

        Gives the changelog position behind the rows. `Raises` Fenced, KafkaError.
        """
        try:
            await self._producer.begin_transaction()
            changes: list[RecordFields] = [(key, value or None, []) for key, value in rows.items()]
            last = await _send(self._producer, {self._changelog: changes, **records})
            await self._producer.send_offsets_to_transaction(
                {self._source: OffsetAndMetadata(offset, "")}, self._consumer_group
            )
            await self._producer.commit_transaction()
        except (ProducerFenced, InvalidProducerEpoch) as exc:
            raise Fenced(str(exc)) from exc
        delivery, count = last[self._changelog]
        return int(delivery.result().offset) + count

    async def partitions(self, topic: str) -> int:
        """Number of partitions of a topic."""
        return len(await self._producer.partitions_for(topic))

    async def close(self) -> None:
        """Disconnect; the broker aborts an open transaction after its timeout."""
        await self._producer.stop()

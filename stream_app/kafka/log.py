"""Writing to Kafka: the transactions of an events partition, and appends outside of transactions.

`TransactionLog.open` fences: it ends what an earlier owner of the transactional id had open and refuses what it may still send.
Records are packed into Kafka's batches by us, since a call per record costs six times as much.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.codec import zstd_encode
from aiokafka.errors import IllegalOperation, InvalidProducerEpoch, KafkaError, ProducerFenced
from aiokafka.structs import OffsetAndMetadata

from stream_app.access.kafka import KafkaAccess
from stream_app.clients.waiting import passes, until_kafka_answers
from stream_app.formats.limits import PACKED_BYTES_MAX, RECORD_BYTES_MAX
from stream_app.ports.kafka import Fenced, Interrupted
from stream_app.ports.records import Headers, RecordFields, Records

_GAP_S = 0.02  # between two appends: what comes meanwhile goes together
_CLOSE_S = 3.0  # a producer flushes when it stops, which a broker that is away would hold up for ever
_TRANSACTION_MS = 30_000
_COMPRESSION = "zstd"
_LEVEL = 1  # 1.75 times as fast as 3 on our records, for 4 to 9 % more bytes

# aiokafka has no setting for the level: this is the one that its builders of batches use where none is named.
zstd_encode.__defaults__ = (_LEVEL,)


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
        if (cause := await _cause(sent)) is None or cause is exc:
            raise
        raise cause from cause.__cause__  # not from the refusal, which says nothing of what will pass
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
        "max_batch_size": PACKED_BYTES_MAX,
        "max_request_size": RECORD_BYTES_MAX,
        "request_timeout_ms": 12_000,
        "linger_ms": 0,  # delays whole batches, too
        "retry_backoff_ms": 20,  # a transaction that begins right after a commit is told to come back
    }


async def _start(producer: AIOKafkaProducer, what: str) -> None:
    """Connect, and get a producer id; a Kafka that is away is waited for."""
    try:
        await until_kafka_answers(producer.start, what)
    except BaseException:
        await _stop(producer)
        raise


async def _stop(producer: AIOKafkaProducer) -> None:
    """Disconnect, in bounded time: what is not delivered by then is given up."""
    stopping = asyncio.ensure_future(producer.stop())
    done, _ = await asyncio.wait({stopping}, timeout=_CLOSE_S)
    if not done:
        stopping.cancel()
        kept = producer._message_accumulator  # noqa: SLF001  # its flush waits for deliveries that nobody awaits any more
        waiting = kept._pending_batches  # noqa: SLF001  # aiokafka takes each that is done out of these, one to be sent again, too
        waiting.update(chain.from_iterable(kept._batches.values()))  # noqa: SLF001
        for batch in waiting:
            batch.future.cancel()
        sender = producer._sender  # noqa: SLF001  # so does its task
        if sender is not None and sender.sender_task is not None:
            sender.sender_task.cancel()
        await producer.client.close()


class Appender:
    """Idempotent appends, acknowledged by all replicas when `append` returns. A Kafka that is away is waited for.

    A producer that can't go on is replaced, and what it had not delivered is appended again: at least once.
    What is asked for while an append is on its way, or within 20 ms of it, goes together with the next one: aiokafka takes one batch of a partition
    at a time, and counts the waiting of several callers against each of them many times over; each batch is a fetch for who reads it, too.
    """

    def __init__(self, kafka: KafkaAccess) -> None:
        self._kafka = kafka
        self._started: AIOKafkaProducer | None = None
        self._waiting: list[tuple[Records, asyncio.Future[int | None]]] = []
        self._sending: asyncio.Task[None] | None = None
        self._due = 0.0  # of the next append

    @property
    def _producer(self) -> AIOKafkaProducer:
        assert self._started is not None, "start comes first"
        return self._started

    async def start(self) -> None:
        """Connect."""
        self._started = AIOKafkaProducer(enable_idempotence=True, **_settings(self._kafka))
        await _start(self._started, "appends")

    async def stop(self) -> None:
        """Disconnect. What is on its way may have been appended, or not."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait({self._sending})
        if self._started is not None:
            await _stop(self._started)

    async def _append(self, records: Records) -> dict[tuple[str, int], tuple[Any, int]]:
        failed = False

        async def attempt() -> dict[tuple[str, int], tuple[Any, int]]:
            nonlocal failed
            if failed:
                await _stop(self._producer)
                await self.start()
            failed = True
            return await _send(self._producer, records)

        return await until_kafka_answers(attempt, "appends")

    async def append(self, records: Records) -> int | None:
        """Append; the broker's time of the append in epoch milliseconds, where a topic keeps log append time.

        `Raises` KafkaError of what does not pass by itself.
        """
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
            await asyncio.sleep(self._due - time.monotonic())
            self._due = time.monotonic() + _GAP_S
            waiting, self._waiting = self._waiting, []
            together: dict[tuple[str, int], list[RecordFields]] = {}
            for records, _ in waiting:
                for at, some in records.items():
                    together.setdefault(at, []).extend(some)
            try:
                last = await self._append(together)
            except (Exception, asyncio.CancelledError) as exc:  # each caller hears of it
                for _, done in waiting:
                    if not done.done():
                        done.set_exception(exc)
                if isinstance(exc, asyncio.CancelledError):
                    raise
                continue
            for records, done in waiting:
                if not done.done():
                    done.set_result(max(int(last[at][0].result().timestamp) for at in records))

    async def partitions(self, topic: str) -> int:
        """Number of partitions of a topic; one that does not exist is waited for."""
        return await _partitions(self._producer, topic)


async def _partitions(producer: AIOKafkaProducer, topic: str) -> int:
    return len(await until_kafka_answers(lambda: producer.partitions_for(topic), f"the topic {topic}"))


class TransactionLog:
    """The transactions of one events partition, by a producer of its own. `source`: the events partition, `changelog`: of the rows.

    `timeout_ms`: after which Kafka aborts a transaction that nobody ends.
    """

    def __init__(
        self,
        kafka: KafkaAccess,
        transactional_id: str,
        consumer_group: str,
        source: tuple[str, int],
        changelog: tuple[str, int],
        timeout_ms: int = _TRANSACTION_MS,
    ) -> None:
        self._producer = AIOKafkaProducer(
            transactional_id=transactional_id, transaction_timeout_ms=timeout_ms, **_settings(kafka)
        )
        self._consumer_group, self._source, self._changelog = consumer_group, TopicPartition(*source), changelog

    async def open(self) -> None:
        """Become the owner of the transactional id: abort what an earlier owner had open, and fence that owner."""
        await _start(self._producer, f"transactions of {self._source.topic}")

    async def commit(self, rows: Mapping[bytes, bytes | None], records: Records, offset: int) -> int:
        """One transaction: changelog rows, records of other topics, and the source's next offset (for tools that show lag).

        Gives the changelog position behind the rows. `Raises` Fenced, Interrupted; KafkaError of what does not pass by itself.
        """
        try:
            await self._producer.begin_transaction()
            none: Headers = []
            changes: Iterable[RecordFields] = ((key, value or None, none) for key, value in rows.items())
            last = await _send(self._producer, {self._changelog: changes, **records})
            await self._producer.send_offsets_to_transaction(
                {self._source: OffsetAndMetadata(offset, "")}, self._consumer_group
            )
            await self._producer.commit_transaction()
        except (ProducerFenced, InvalidProducerEpoch) as exc:
            raise Fenced(str(exc)) from exc
        except KafkaError as exc:
            if not passes(exc):
                raise
            raise Interrupted(f"{exc!r}, {exc.__cause__!r}") from exc
        delivery, count = last[self._changelog]
        return int(delivery.result().offset) + count

    async def partitions(self, topic: str) -> int:
        """Number of partitions of a topic."""
        return await _partitions(self._producer, topic)

    async def close(self) -> None:
        """Disconnect; the broker aborts an open transaction after its timeout."""
        await _stop(self._producer)

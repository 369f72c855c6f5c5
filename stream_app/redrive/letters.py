"""The letters that stand in the topic of dead letters, and the source records that some of them are the beginning of.

Reads committed records only, up to the ends that the topic has when reading begins, open transactions included: what the last redrive did to a
letter is never missed. Writes nothing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from stream_app.access.kafka import KafkaAccess
from stream_app.kafka.readers import new_reader
from stream_app.observing.observer import Observer
from stream_app.ports.records import Headers
from stream_app.sinks.dead_letters import DeadLetter, read_dead_letter

_TRANSACTIONS_S_MAX: Final = 60.0  # longer than the broker keeps a transaction of ours open that nobody ends
_FETCH_S_MAX: Final = 10.0
_RECORDS: Final = 500  # of a fetch


class LetterError(Exception):
    """A letter can't be read, sent again or dropped. The message is a sentence for who asked."""


class Letter(NamedTuple):
    """A letter that stands. `partition`, `offset`: of its record in the topic of dead letters; the value is left there."""

    key: str
    partition: int
    offset: int
    value_bytes: int
    letter: DeadLetter


class WholeLetter(NamedTuple):
    """A letter with its value. `stored`, `headers`: the value and the headers of its record in the topic of dead letters."""

    letter: DeadLetter
    stored: bytes
    headers: Headers


class Letters:
    """A reader of the topic of dead letters, and of source topics. To be used as a context.

    Every call may raise LetterError, KafkaError, ClusterError.
    """

    def __init__(self, kafka: KafkaAccess, topic: str) -> None:
        self._topic = topic
        self._consumer: AIOKafkaConsumer = new_reader(kafka)
        self._observer = Observer(kafka)

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()
        await self._observer.close()

    async def read(self) -> Mapping[str, Letter]:
        """The letters that stand, by key, in the order in which their records came."""
        found: dict[str, Letter] = {}
        async for record in self._records():
            key = (record.key or b"").decode(errors="replace")
            found.pop(key, None)
            letter = read_dead_letter(record.value, record.headers)
            if letter is not None:
                kept = letter._replace(value=None)
                found[key] = Letter(key, record.partition, record.offset, len(record.value), kept)
        return found

    async def _records(self) -> AsyncIterator[Any]:
        count = await self.partitions(self._topic)
        if not count:
            raise LetterError(f"there is no topic {self._topic}")
        tps = [TopicPartition(self._topic, partition) for partition in range(count)]
        ends = await self._observer.ends([(self._topic, tp.partition) for tp in tps])
        self._consumer.assign(tps)
        await self._consumer.seek_to_beginning(*tps)
        deadline = time.monotonic() + _TRANSACTIONS_S_MAX
        left = tps
        while left := [tp for tp in left if await self._consumer.position(tp) < ends[self._topic, tp.partition]]:
            for records in (await self._consumer.getmany(*left, timeout_ms=200, max_records=_RECORDS)).values():
                deadline = time.monotonic() + _TRANSACTIONS_S_MAX
                for record in records:
                    yield record
            if time.monotonic() > deadline:
                raise LetterError(f"a transaction is open in {self._topic}: try again when it has ended")

    async def open(self, found: Letter) -> WholeLetter:
        """The letter with its value, as far as it has it."""
        record = await self._record(self._topic, found.partition, found.offset)
        letter = None if record is None else read_dead_letter(record.value, record.headers)
        if letter is None:
            raise LetterError(f"{found.key} was written anew or removed meanwhile: try again")
        return WholeLetter(letter, record.value, list(record.headers))

    async def original(self, letter: DeadLetter) -> tuple[bytes | None, bytes | None]:
        """(key, value) of the source record, out of its topic where the letter has the beginning only."""
        if not (letter.is_value_cut or letter.is_key_cut):
            return letter.key, letter.value
        source = await self._record(letter.topic, letter.partition, letter.offset)
        if source is None or not _begins(source.value, letter.value) or not _begins(source.key, letter.key):
            raise LetterError(
                f"{letter.name} holds the beginning of its record only, and the record is no longer in its topic"
            )
        return source.key, source.value

    async def _record(self, topic: str, partition: int, offset: int) -> Any:
        """The record at an offset; None where it is gone."""
        at = topic, partition
        if not await self.partitions(topic) > partition:
            return None
        starts, ends = await self._observer.starts([at]), await self._observer.ends([at])
        if not starts[at] <= offset < ends[at]:
            return None
        tp = TopicPartition(topic, partition)
        self._consumer.assign([tp])
        self._consumer.seek(tp, offset)
        try:
            async with asyncio.timeout(_FETCH_S_MAX):
                record = await self._consumer.getone(tp)
        except TimeoutError:  # nothing is left from the offset on
            return None
        return record if record.offset == offset else None

    async def partitions(self, topic: str) -> int:
        """The number of partitions of a topic, 0 of one that does not exist."""
        found = await self._observer.topics([topic])
        return found[topic].partitions if topic in found else 0


def _begins(whole: bytes | None, beginning: bytes | None) -> bool:
    """Whether a part is the beginning of the whole; of nothing the beginning is nothing."""
    return whole == beginning if whole is None or beginning is None else whole.startswith(beginning)

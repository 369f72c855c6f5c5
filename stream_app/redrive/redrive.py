"""Letters sent again, or dropped: once only, whatever interrupts.

One Kafka transaction sends records to their source topics and writes their letters anew, with what became of them. So a kill at any step leaves
both or neither, and a letter that has its note is never sent again. All redrives have one transactional id: who comes next ends what was open, and
only then reads the letters; who was overtaken is refused.

    1. start the producer             killed before: nothing was done. The open transaction of an earlier redrive is ended here
    2. read the letters to the end    nothing was done
    3. begin, send records and notes  killed: the broker aborts it, no reader of committed records sees any of it
    4. commit                         killed before the answer: the next one's step 1 ends it, either way, and its step 2 sees which
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidProducerEpoch, MessageSizeTooLargeError, ProducerFenced

from stream_app.access.kafka import KafkaAccess
from stream_app.ports.records import RecordFields
from stream_app.redrive.letters import Letter, LetterError, Letters
from stream_app.sinks.dead_letters import DeadLetter, dropped, redriven

_AT_ONCE: Final = 100  # letters of a transaction
_AT_ONCE_BYTES: Final = 8 << 20
_REQUEST_BYTES_MAX: Final = 1 << 30  # what a record may be is the source topic's to say
_TRANSACTION_MS: Final = 10_000  # after which the broker aborts what a killed redrive left open: until then readers of the source topics wait

Choose = Callable[[Mapping[str, Letter]], Sequence[Letter]]  # of the letters that stand; may raise LetterError
Told = Callable[[Letter, str], None]  # a letter, and what became of it
RecordOf = Callable[[Letters, DeadLetter], Awaitable[RecordFields | None]]  # what to send, None: nothing


class Edit(NamedTuple):
    """What is done to a record's value before it is sent. `replaces`: whatever the value was.

    `value` may raise LetterError.
    """

    value: Callable[[bytes | None], bytes]
    replaces: bool = False


class _Prepared(NamedTuple):
    """A letter to be written anew. `record`: what to send before, None for a letter that is dropped."""

    found: Letter
    letter: DeadLetter
    stored: RecordFields
    record: RecordFields | None


class Redrive:
    """One run. `told` is called for each letter once its transaction is committed.

    A letter that is not open any more is left alone. Every call may raise LetterError, KafkaError, ClusterError.
    """

    def __init__(self, kafka: KafkaAccess, topic: str, transactional_id: str, told: Told) -> None:
        self._kafka, self._topic, self._id, self._told = kafka, topic, transactional_id, told

    async def send(self, choose: Choose, edit: Edit | None = None) -> None:
        """Send the records of letters again, as they came, or after an edit."""

        async def record(letters: Letters, letter: DeadLetter) -> RecordFields:
            if not await letters.partitions(letter.topic) > letter.partition:
                raise LetterError(f"{letter.name}: there is no partition {letter.partition} of {letter.topic} any more")
            if edit is not None and edit.replaces and not letter.is_key_cut:
                return letter.key, edit.value(None), []
            key, value = await letters.original(letter)
            return key, value if edit is None else edit.value(value), []

        await self._run(choose, record, edited=edit is not None)

    async def drop(self, choose: Choose) -> None:
        """Note that letters need nothing."""

        async def none(_letters: Letters, _letter: DeadLetter) -> None:
            return None

        await self._run(choose, none, edited=False)

    async def _run(self, choose: Choose, record_of: RecordOf, *, edited: bool) -> None:
        producer = AIOKafkaProducer(
            **self._kafka.aiokafka(),
            transactional_id=self._id,
            transaction_timeout_ms=_TRANSACTION_MS,
            compression_type="zstd",
            max_request_size=_REQUEST_BYTES_MAX,
        )
        await producer.start()
        try:
            async with Letters(self._kafka, self._topic) as letters:
                waiting = [found for found in choose(await letters.read()) if found.letter.is_open]
                while waiting:
                    prepared: list[_Prepared] = []
                    size = 0
                    while waiting and len(prepared) < _AT_ONCE and size < _AT_ONCE_BYTES:
                        found = waiting.pop(0)
                        letter, stored, headers = await letters.open(found)
                        record = await record_of(letters, letter)
                        prepared.append(_Prepared(found, letter, (found.key.encode(), stored, headers), record))
                        size += found.value_bytes
                    await self._commit(producer, prepared, edited=edited)
        finally:
            await producer.stop()

    async def _commit(self, producer: AIOKafkaProducer, prepared: Sequence[_Prepared], *, edited: bool) -> None:
        try:
            async with producer.transaction():
                at_ms = int(time.time() * 1000)
                places = [await self._send(producer, each, at_ms) for each in prepared]
                for each, place in zip(prepared, places, strict=True):
                    key, value, headers = each.stored
                    note = dropped(headers, at_ms) if place is None else redriven(headers, at_ms, place, edited=edited)
                    await _append(producer, self._topic, each.found.partition, (key, value, note), at_ms)
        except (ProducerFenced, InvalidProducerEpoch):
            raise LetterError("somebody else redrives, or drops, since: what is not told here was not done") from None
        for each, place in zip(prepared, places, strict=True):
            self._told(each.found, "dropped" if place is None else place)

    async def _send(self, producer: AIOKafkaProducer, each: _Prepared, at_ms: int) -> str | None:
        """Send the record of a letter; topic/partition/offset of it."""
        if each.record is None:
            return None
        try:
            sent = await _append(producer, each.letter.topic, each.letter.partition, each.record, at_ms)
        except MessageSizeTooLargeError:
            raise LetterError(f"{each.found.key} is larger than {each.letter.topic} takes") from None
        return f"{each.letter.topic}/{each.letter.partition}/{sent.offset}"


async def _append(producer: AIOKafkaProducer, topic: str, partition: int, record: RecordFields, at_ms: int) -> Any:
    """Append one record as a batch of its own: aiokafka's `send` takes none without key and value."""
    key, value, headers = record
    batch = producer.create_batch()
    batch.append(timestamp=at_ms, key=key, value=value, headers=headers)
    return await (await producer.send_batch(batch, topic, partition=partition))

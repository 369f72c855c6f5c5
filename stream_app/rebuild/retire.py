"""The end of the serving generation: its owners are fenced, its positions marked, its last offsets known."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from aiokafka import TopicPartition

from stream_app.access.kafka import KafkaAccess
from stream_app.clients.waiting import until_kafka_answers
from stream_app.formats.rows import FORMAT, POSITION, Position, decode_position, encode_position
from stream_app.kafka.log import TransactionLog
from stream_app.kafka.readers import new_reader
from stream_app.ports.kafka import Fenced, Interrupted
from stream_app.ports.records import Batch

_WINDOW = 2_000  # records at the end of a changelog; each transaction ends with the position


class Retired(NamedTuple):
    """Up to which offset of an events partition a generation came: `applied` with anything, `complete` with all of its operators."""

    applied: int
    complete: int


async def retire(
    kafka: KafkaAccess, consumer_group: str, changelog: str, events: str, partitions: Sequence[int], by: int
) -> dict[int, Retired]:
    """Fence the owners of a generation's partitions, and mark the generation as superseded by another one.

    Gives how far the generation came, by partition. Idempotent. `Raises` KafkaError.
    """
    found = await asyncio.gather(*(_retire(kafka, consumer_group, (changelog, p), (events, p), by) for p in partitions))
    return dict(zip(partitions, found, strict=True))


async def _retire(
    kafka: KafkaAccess, consumer_group: str, changelog: tuple[str, int], source: tuple[str, int], by: int
) -> Retired:
    while True:
        log = TransactionLog(kafka, f"{consumer_group}-{source[1]}", consumer_group, source, changelog)
        await log.open()
        try:
            found = await until_kafka_answers(lambda: last_position(kafka, *changelog), f"the changelog {changelog[0]}")
            position = found or Position(FORMAT, "", 0, 0, -1, 0, 0)
            marked = msgspec.structs.replace(position, format=FORMAT, superseded_by=by)
            await log.commit({POSITION: encode_position(marked)}, {}, position.offset)
        except Fenced:
            # The owner, which was fenced, has taken its partition over again before it could see the mark. It waits the
            # longer, the more often that happens.
            continue
        except Interrupted:
            continue  # it may be committed, or not
        else:
            return Retired(position.applied, position.offset)
        finally:
            await log.close()


async def last_position(kafka: KafkaAccess, changelog: str, partition: int) -> Position | None:
    """The last committed row of a partition's position.

    Reads from the end, further and further back, until it is found.
    """
    consumer = new_reader(kafka)
    await consumer.start()
    try:
        at = TopicPartition(changelog, partition)
        consumer.assign([at])
        end = (await consumer.end_offsets([at]))[at]
        first = (await consumer.beginning_offsets([at]))[at]
        window = _WINDOW
        while True:
            start = max(first, end - window)
            consumer.seek(at, start)
            found: bytes | None = None
            while await consumer.position(at) < end:
                for batch in (await consumer.getmany(at, timeout_ms=200)).get(at, []):
                    assert isinstance(batch, Batch)
                    for key, value in zip(batch.keys, batch.values, strict=True):
                        found = value if key == POSITION else found
            if found is not None:
                return decode_position(found)
            if start == first:
                return None
            window *= 8
    finally:
        await consumer.stop()

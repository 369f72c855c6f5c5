"""The last records of a topic, for people to look at. Committed ones only; no offset is kept."""

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition

from stream_app.access.kafka import KafkaAccess
from stream_app.kafka.readers import new_reader

_SECONDS_MAX = 20.0


Latest = list[tuple[int, int, int, bytes | None, bytes | None]]


async def latest(kafka: KafkaAccess, topic: str, partitions: int, count: int) -> Latest:
    """Partition, offset, timestamp, key and value of about the last so many records, by partition and offset. `Raises` KafkaError, TimeoutError."""
    consumer = new_reader(kafka)
    await consumer.start()
    try:
        tps = [TopicPartition(topic, partition) for partition in range(partitions)]
        return await asyncio.wait_for(_latest(consumer, tps, count), _SECONDS_MAX)
    finally:
        await consumer.stop()


async def _latest(consumer: AIOKafkaConsumer, tps: list[TopicPartition], count: int) -> Latest:
    consumer.assign(tps)
    starts, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
    filled = [tp for tp in tps if starts[tp] < ends[tp]]
    for tp in filled:
        consumer.seek(tp, max(starts[tp], ends[tp] - -(-count // len(filled))))
    out: Latest = []
    left = set(filled)
    while left:
        for tp, records in (await consumer.getmany(*left, timeout_ms=200)).items():
            out += [(tp.partition, r.offset, r.timestamp, r.key, r.value) for r in records if r.offset < ends[tp]]
        left = {tp for tp in left if await consumer.position(tp) < ends[tp]}
    return sorted(out, key=lambda record: record[:2])

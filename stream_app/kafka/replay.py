"""Replay of a changelog into stores: from the changelog position of each store to the last stable offset of its partition."""

from collections.abc import Mapping
from typing import Final

from aiokafka import TopicPartition

from stream_app.access.kafka import KafkaAccess
from stream_app.clients.waiting import until_kafka_answers
from stream_app.kafka.readers import new_reader
from stream_app.ports.kafka import ChangelogLost, Replayed

_FETCH_BYTES: Final = 4 << 20


async def replay(kafka: KafkaAccess, topic: str, stores: Mapping[int, Replayed]) -> int:
    """Bring stores, by partition, up to the end of a changelog; the number of records.

    A Kafka that is away is waited for. `Raises` ChangelogLost. Needs batches.install.
    """
    return await until_kafka_answers(lambda: _replay(kafka, topic, stores), f"the replay of {topic}")


async def _replay(kafka: KafkaAccess, topic: str, stores: Mapping[int, Replayed]) -> int:
    consumer = new_reader(kafka, partition_bytes=_FETCH_BYTES)
    try:
        await consumer.start()
        tps = {TopicPartition(topic, p): store for p, store in stores.items()}
        consumer.assign(list(tps))
        ends = await consumer.end_offsets(list(tps))  # read committed: the last stable offsets
        for tp, store in tps.items():
            if store.log > ends[tp]:
                detail = f"{tp.topic}/{tp.partition} ends at {ends[tp]}, the store stands for {store.log}"
                raise ChangelogLost(tp.partition, detail)
            consumer.seek(tp, store.log)
        todo, count = {tp for tp, store in tps.items() if store.log < ends[tp]}, 0
        while todo:
            for tp, batches in (await consumer.getmany(*todo, timeout_ms=100)).items():
                rows: dict[bytes, bytes | None] = {}
                for batch in batches:
                    rows.update(zip(batch.keys, batch.values, strict=True))
                    count += len(batch)
                tps[tp].write(rows, batches[-1].next_offset)
            todo = {tp for tp in todo if await consumer.position(tp) < ends[tp]}
        return count
    finally:
        await consumer.stop()

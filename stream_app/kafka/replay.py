"""Replay of a changelog into stores: from the changelog position of each store to the last stable offset of its partition."""

from collections.abc import Mapping
from typing import Final

from aiokafka import TopicPartition

from stream_app.access.kafka import KafkaAccess
from stream_app.clients.waiting import until_kafka_answers
from stream_app.kafka.readers import new_reader
from stream_app.ports.kafka import ChangelogLost, Replayed
from stream_app.ports.records import Batch

_FETCH_BYTES: Final = 4 << 20


async def replay(kafka: KafkaAccess, topic: str, stores: Mapping[int, Replayed]) -> int:
    """Bring stores, by partition, up to the end of a changelog; the number of records.

    A Kafka that is away is waited for. `Raises` ChangelogLost. Needs batches.install.
    """
    return await until_kafka_answers(lambda: _replay(kafka, topic, stores), f"the changelog {topic}")


def _compare(tp: TopicPartition, store: Replayed, batch: Batch) -> None:
    """Raise ChangelogLost if the store holds another row than the last record that it has taken, which begins the batch.

    Kafka may lose records that it had acknowledged, and give their offsets to others. Where compaction has removed the record, nothing is known.
    """
    key, value = batch.keys[0] or b"", batch.values[0]
    if (store.load([key])[0] or None) != value:
        detail = f"at offset {batch.offsets[0]} of {tp.topic}/{tp.partition} stands another record than the store has taken there"
        raise ChangelogLost(tp.partition, detail)


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
            consumer.seek(tp, max(0, store.log - 1))  # from the record on that it has taken last
        todo, count = {tp for tp, store in tps.items() if store.log < ends[tp]}, 0
        while todo:
            for tp, batches in (await consumer.getmany(*todo, timeout_ms=100)).items():
                store = tps[tp]
                rows: dict[bytes, bytes | None] = {}
                for batch in batches:
                    known = sum(offset < store.log for offset in batch.offsets[:1])
                    if known:
                        _compare(tp, store, batch)
                    rows.update(zip(batch.keys[known:], batch.values[known:], strict=True))
                    count += len(batch) - known
                store.write(rows, max(store.log, batches[-1].next_offset))
            todo = {tp for tp in todo if await consumer.position(tp) < ends[tp]}
        return count
    finally:
        await consumer.stop()

"""Whole record batches: what a consumer sees of transactions, control records and compaction."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from stream_app.kafka import batches
from stream_app.kafka.batches import BatchesWithEpochs
from stream_app.ports.records import NO_TIMESTAMP, Batch
from tests.support.kafka import flush
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("whole_batches")


@pytest.fixture
async def consumer(kafka):
    """Makes consumers of one partition, from an offset on."""
    made = []

    async def make(topic, offset=0, isolation_level="read_committed"):
        consumer = AIOKafkaConsumer(
            bootstrap_servers=kafka,
            isolation_level=isolation_level,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=50,
        )
        made.append(consumer)
        await consumer.start()
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek(TopicPartition(topic, 0), offset)
        return consumer

    yield make
    for each in made:
        await each.stop()


async def fetched(consumer, topic, end):
    """All batches until the position is `end`; the position is never behind what was returned."""
    tp, batches = TopicPartition(topic, 0), []
    async with asyncio.timeout(20):
        while await consumer.position(tp) < end:
            for some in (await consumer.getmany(tp, timeout_ms=50)).values():
                batches += some
                assert await consumer.position(tp) >= some[-1].next_offset
    return batches


def values(batches):
    return [value for batch in batches for value in batch.values]


def offsets(batches):
    return [offset for batch in batches for offset in batch.offsets]


async def test_aborted_transactions_and_control_records_are_stepped_over(consumer, new_topic, producer, read):
    """Two producers' transactions interleaved, one of them aborted, and plain records between; the position goes past the last marker."""
    topic = new_topic()
    good, bad, plain = (
        producer(transactional_id=f"good-{topic}"),
        producer(transactional_id=f"bad-{topic}"),
        producer(),
    )

    def send(who, value):
        who.produce(topic, value, b"k")
        flush(who)

    good.begin_transaction()
    bad.begin_transaction()
    send(good, b"g1")
    send(bad, b"b1")
    send(plain, b"p1")
    send(bad, b"b2")
    bad.abort_transaction(20)
    send(good, b"g2")
    bad.begin_transaction()  # the same producer, committed this time
    send(bad, b"c1")
    bad.commit_transaction(20)
    good.commit_transaction(20)
    bad.begin_transaction()
    send(bad, b"b3")
    bad.abort_transaction(20)  # control record at the tail

    committed = [b"g1", b"p1", b"g2", b"c1"]
    as_read = read(topic)  # by another client; where control records lie is for the broker to say
    assert [m.value for m in as_read] == committed
    found = await fetched(await consumer(topic), topic, 11)
    assert values(found) == committed
    assert offsets(found) == [m.offset for m in as_read]
    assert all(batch.keys == [b"k"] and batch.timestamps[0] > 1_600_000_000_000 for batch in found)
    everything = await fetched(await consumer(topic, isolation_level="read_uncommitted"), topic, 11)
    assert values(everything) == [b"g1", b"b1", b"p1", b"b2", b"g2", b"c1", b"b3"]


async def test_nothing_is_read_of_an_open_transaction_nor_past_it(consumer, new_topic, producer):
    """The last stable offset: a plain record behind the open transaction waits for its end."""
    topic = new_topic()
    open_, plain = producer(transactional_id=f"open-{topic}"), producer()
    plain.produce(topic, b"before")
    flush(plain)
    open_.begin_transaction()
    open_.produce(topic, b"open")
    flush(open_)
    plain.produce(topic, b"behind")
    flush(plain)
    reader, tp = await consumer(topic), TopicPartition(topic, 0)
    assert values(await fetched(reader, topic, 1)) == [b"before"]
    assert await reader.getmany(tp, timeout_ms=500) == {}
    assert await reader.position(tp) == 1
    open_.commit_transaction(20)
    assert values(await fetched(reader, topic, 4)) == [b"open", b"behind"]


async def test_a_position_inside_a_batch_cuts_it(consumer, new_topic, producer):
    """Parallel lists begin at the position, not at the batch's first record; a null stays a null."""
    topic = new_topic()
    sender = producer(linger_ms=500)
    for n in range(10):
        sender.produce(topic, None if n == 8 else b"%d" % n, b"k%d" % n)
    flush(sender)
    (batch,) = await fetched(await consumer(topic, 7), topic, 10)
    assert (batch.offsets, batch.values) == ([7, 8, 9], [b"7", None, b"9"])
    assert batch.keys == [b"k7", b"k8", b"k9"]
    assert (len(batch), batch.next_offset, batch.leader_epoch) == (3, 10, 0)


def test_the_leader_epoch_of_each_batch_is_told():
    """It stands in the batch's head."""
    fetched = b""
    for epoch in (4, 70_000):
        builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1000)
        builder.append(0, 7, b"key", b"value" * (epoch % 10 + 1), [])
        batch = bytearray(builder.build())
        batch[12:16] = epoch.to_bytes(4, "big")
        fetched += batch
    records, epochs = BatchesWithEpochs(fetched), []
    while records.has_next():
        assert [record.key for record in records.next_batch()] == [b"key"]
        epochs.append(records.leader_epoch)
    assert epochs == [4, 70_000]
    assert records.size_in_bytes() == len(fetched)


async def test_compacted_gaps_are_stepped_over(consumer, new_topic, producer, read):
    """Offsets inside and between batches are gone; what is left is read once, and the position goes past all."""
    topic = new_topic(cleanup_policy="compact", min_cleanable_dirty_ratio="0.001", segment_ms="200")
    sender = producer(linger_ms=200)
    for round_ in range(3):
        for n in range(20):
            sender.produce(topic, b"%d" % round_, b"k%d" % (n if round_ else n * 2))
        flush(sender)

    async def compacted():
        sender.produce(topic, b"roll", b"roll")  # the active segment is never compacted
        flush(sender)
        await asyncio.sleep(0.5)
        return len(await asyncio.to_thread(read, topic)) < 60

    await until("Kafka has compacted the topic", compacted)
    left = [(m.offset, m.key, m.value) for m in await asyncio.to_thread(read, topic)]
    end = left[-1][0] + 1
    assert len(left) < end
    found = await fetched(await consumer(topic), topic, end)
    assert list(zip(offsets(found), [k for b in found for k in b.keys], values(found), strict=True)) == left
    assert all(b.next_offset > b.offsets[-1] for b in found)


def test_a_record_of_kafka_s_first_format_has_the_lowest_timestamp():
    """From before timestamps: Kafka serves old segments as they are. None would compare with no other record's stamp."""
    builder = LegacyRecordBatchBuilder(magic=0, compression_type=0, batch_size=1 << 16)
    for offset in range(2):
        builder.append(offset, timestamp=None, key=b"k", value=b"v%d" % offset)
    records = BatchesWithEpochs(bytes(builder.build()))
    found = list(batches.PartitionBatches(TopicPartition("t", 0), records, [], 0, None, None, True, READ_COMMITTED))
    assert values(found) == [b"v0", b"v1"]
    assert [time for batch in found for time in batch.timestamps] == [NO_TIMESTAMP, NO_TIMESTAMP]


@pytest.mark.parametrize("keeps", [True, False])
def test_headers_are_kept_where_they_are_asked_for_and_only_there(monkeypatch, keeps):
    """By offset, of records that have any; null values and doubled names as they are."""
    monkeypatch.setattr(batches.PartitionBatches, "keeps_headers", keeps)
    headers = [("a", b"1"), ("a", None)]
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1000)
    for offset, some in enumerate([[], headers, []]):
        builder.append(offset, 7, b"key", b"value", some)
    records = BatchesWithEpochs(bytes(builder.build()))
    (found,) = batches.PartitionBatches(TopicPartition("t", 0), records, [], 0, None, None, True, READ_COMMITTED)
    assert found.headers == ({1: headers} if keeps else {})
    whole = Batch.joined([found, Batch([None], [b"v"], [3], [0], 4, headers={3: headers} if keeps else {})])
    assert whole.headers == ({1: headers, 3: headers} if keeps else {})

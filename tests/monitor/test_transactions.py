"""Who holds what reads committed, on a real broker."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from stream_app.access.kafka import KafkaAccess
from stream_app.monitor import transactions
from stream_app.monitor.look import Look, Partitions
from stream_app.monitor.transactions import Transactions
from stream_app.observing.observer import Observer


@pytest.fixture
async def observer(kafka):
    made = Observer(KafkaAccess(kafka))
    yield made
    await made.close()


async def look(observer, time_ms, *partitions):
    """What a look would have seen of these partitions."""
    found = Partitions({}, await observer.ends(partitions, stable=True), await observer.ends(partitions))
    return Look(time_ms, {}, {}, {}, {}, {}, {}, found, 0)


async def test_an_open_transaction_is_told_with_its_partition_and_producer(kafka, observer, new_topic, group):
    topic, other = new_topic(2), new_topic(1)
    watched = [(topic, 0), (topic, 1), (other, 0)]
    held = Transactions(observer, [topic])
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=group)
    await producer.start()
    try:
        async with producer.transaction():
            await producer.send_and_wait(topic, b"{}", partition=1)
        assert await held.look(await look(observer, 0, *watched)) == []
        await producer.begin_transaction()
        for name, partition in ((topic, 1), (other, 0)):
            await producer.send_and_wait(name, b"{}", partition=partition)
        assert await held.look(await look(observer, 1_000, *watched)) == []
        assert await held.look(await look(observer, 10_999, *watched)) == []
        (row,) = await held.look(await look(observer, 11_000, *watched))
        ours = producer._txn_manager.producer_id  # the truth to compare with
        assert (row.topic, row.partition, row.start_offset, row.since_ms, row.producer_id) == (topic, 1, 2, 1_000, ours)
        await producer.commit_transaction()
        async with asyncio.timeout(20):  # its end comes after the answer
            while await held.look(await look(observer, 30_000, *watched)):
                pass
    finally:
        await producer.stop()


async def test_a_partition_whose_producer_kafka_does_not_say_is_told_all_the_same(observer, new_topic, monkeypatch):
    topic = new_topic(1)
    held = Transactions(observer, [topic, "gone"])

    def seen(time_ms, stable):
        offsets = {(topic, 0): stable, ("gone", 0): 5}
        return Look(time_ms, {}, {}, {}, {}, {}, {}, Partitions({}, offsets, {(topic, 0): 7, ("gone", 0): 9}), 0)

    await held.look(seen(0, 3))
    rows = await held.look(seen(20_000, 4))
    assert [(row.topic, row.producer_id) for row in rows] == [("gone", None)]  # the other one was read on
    monkeypatch.setattr(transactions, "_SHOWN_MAX", 1)
    assert len(await held.look(seen(40_000, 4))) == 1

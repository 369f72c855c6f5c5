"""The frontier on a real broker: a sample is reached only when everything taken before it is in the events topic."""

import logging
from contextlib import suppress

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import NewPartitions

from stream_app.clients.waiting import ClusterError
from stream_app.observing.frontier import Frontier
from tests.support.kafka import flush
from tests.support.waiting import SECONDS_MAX, answer, until

MISSING = "of-no-test"


class Ingest:
    """What ingest does that the frontier sees: it commits positions, by hand."""

    def __init__(self, kafka, group):
        self._consumer = Consumer({"bootstrap.servers": kafka, "group.id": group, "enable.auto.commit": False})

    def commits(self, topic, *offsets):
        at = [TopicPartition(topic, partition, offset) for partition, offset in enumerate(offsets)]
        self._consumer.commit(offsets=at, asynchronous=False)

    def close(self):
        self._consumer.close()


@pytest.fixture
def world(kafka, new_topic, observe):
    """(source of two partitions, events topic of two, ingest, frontier)."""
    source, events = new_topic(2), new_topic(2)
    group = f"ingest-{source}"
    ingest = Ingest(kafka, group)
    yield source, events, ingest, Frontier(observe(kafka), [source, MISSING], group, events, 2)
    ingest.close()


def send(sender, topic, count, partition=0):
    for n in range(count):
        sender.produce(topic, b"%d" % n, partition=partition)
    flush(sender)


async def test_empty_sources_reach_each_sample_and_a_missing_one_is_named_once(world, caplog):
    """Nothing was taken, so nothing is waited for."""
    _, _, _, frontier = world
    caplog.set_level(logging.WARNING)
    assert await answer(lambda: frontier.step(1000)) == (1000, {0: 0, 1: 0})
    assert await frontier.step(1100) == (1100, {0: 0, 1: 0})
    assert caplog.text.count(f"the source topic {MISSING} does not exist; it is waited for") == 1


async def test_a_sample_is_held_until_ingest_has_committed_past_it(world, producer):
    """Each partition must have passed; the newest reached sample is told, with the ends of the events topic read after it."""
    source, events, ingest, frontier = world
    sender = producer()
    send(sender, source, 3)
    send(sender, source, 1, partition=1)
    assert await frontier.step(1000) is None
    ingest.commits(source, 3, 0)
    assert await frontier.step(1100) is None
    ingest.commits(source, 2, 1)
    assert await frontier.step(1200) is None
    ingest.commits(source, 3, 1)
    send(sender, events, 5)
    assert await frontier.step(1300) == (1300, {0: 5, 1: 0})
    send(sender, source, 1)
    assert await frontier.step(1400) is None
    send(sender, source, 1)
    assert await frontier.step(1500) is None
    ingest.commits(source, 4, 1)  # past the first sample, not the second
    send(sender, events, 1, partition=1)
    assert await frontier.step(1600) == (1400, {0: 5, 1: 1})


async def test_an_open_transaction_at_the_tail_holds_the_sample(world, producer):
    """Its records were taken before the sample; ingest can't have read them. Past its control record the sample is reached."""
    source, _, ingest, frontier = world
    send(producer(), source, 2)
    ingest.commits(source, 2, 0)
    open_ = producer(transactional_id=f"open-{source}")
    open_.begin_transaction()
    send(open_, source, 1)
    assert await frontier.step(1000) is None
    assert await frontier.step(1100) is None
    open_.commit_transaction(20)
    ingest.commits(source, 3, 0)
    assert (await frontier.step(1200)).time_ms >= 1100
    ingest.commits(source, 4, 0)
    assert (await frontier.step(1300)).time_ms == 1300


async def test_an_added_partition_counts_from_its_first_record(kafka, world, producer, admin, observe):
    """Before ingest even knows of it."""
    source, _, _, frontier = world
    assert (await frontier.step(1000)).time_ms == 1000
    admin.create_partitions([NewPartitions(source, 3)])[source].result(SECONDS_MAX)
    sender = producer(topic_metadata_refresh_interval_ms="200")

    observer = observe(kafka)

    async def added():
        return (await observer.topics([source]))[source].partitions == 3

    await until("the partition is there", added)
    send(sender, source, 1, partition=2)
    assert await frontier.step(1100) is None
    _, _, ingest, _ = world
    ingest.commits(source, 0, 0, 1)
    assert (await frontier.step(1200)).time_ms == 1200


async def test_a_topic_made_anew_holds_as_of_and_says_so(kafka, world, producer, admin, new_topic, observe, caplog):
    """What was not read of the old one is gone: no later time could be claimed."""
    source, _, ingest, frontier = world
    send(producer(), source, 3)
    ingest.commits(source, 3, 0)
    assert (await frontier.step(1000)).time_ms == 1000
    admin.delete_topics([source])[source].result(SECONDS_MAX)

    observer = observe(kafka)

    async def gone():
        return await observer.topics([source]) == {}

    await until("the topic is gone", gone)
    new_topic(2, name=source)
    caplog.set_level(logging.WARNING)

    async def held():
        try:
            assert await frontier.step(1100) is None
        except ClusterError:  # for a moment clients ask the old topic's leader
            return False
        return True

    await until("the new topic answers", held)
    send(producer(), source, 9)
    ingest.commits(source, 9, 0)
    assert await frontier.step(1400) is None
    assert caplog.text.count(f"as-of is held: the topic {source} was deleted and made anew") == 1


async def test_a_topic_deleted_before_all_of_it_was_read_holds_as_of_and_says_so(world, producer, admin, caplog):
    """What was not read of it is gone, and the earlier sample promised it."""
    source, _, ingest, frontier = world
    send(producer(), source, 3)
    ingest.commits(source, 2, 0)
    assert await frontier.step(1000) is None
    admin.delete_topics([source])[source].result(SECONDS_MAX)
    caplog.set_level(logging.WARNING)

    async def said():
        with suppress(ClusterError):  # for a moment clients ask the old topic's leader
            assert await frontier.step(1100) is None
        return "before all of it was read" in caplog.text

    await until("it is said", said)
    assert await frontier.step(1200) is None
    assert caplog.text.count(f"as-of is held: the topic {source} was deleted before all of it was read") == 1


async def test_a_topic_that_ends_before_what_was_read_of_it_holds_as_of(kafka, new_topic, producer, observe, caplog):
    """A worker that starts after the topic was made anew knows no earlier id: the end says it."""
    source, events = new_topic(1), new_topic(1)
    ingest = Ingest(kafka, f"ingest-{source}")
    ingest.commits(source, 5)
    ingest.close()
    send(producer(), source, 2)
    frontier = Frontier(observe(kafka), [source], f"ingest-{source}", events, 1)
    caplog.set_level(logging.WARNING)
    assert await frontier.step(1000) is None
    assert await frontier.step(1100) is None
    assert f"as-of is held: {source}/0 ends at 2, before what was read of it" in caplog.text

"""Questions to a cluster: a used one, and one that was started this moment."""

import asyncio

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from stream_app.clients.waiting import ClusterError
from stream_app.observing.answers import Committed, End
from tests.support.kafka import flush
from tests.support.waiting import SECONDS_MAX, answer, until


async def test_a_brand_new_cluster_answers_with_nothing(own_kafka, observe):
    """No topic, no coordinator of consumer groups yet: an empty answer, not the end of the process."""
    observer = observe(own_kafka.address)
    assert await answer(lambda: observer.topics(["charging.sessions", "crm.groups"])) == {}
    assert await observer.ends([]) == await observer.starts([]) == {}
    assert await answer(lambda: observer.committed("group")) == {}
    with pytest.raises(ClusterError):
        await observer.ends([("charging.sessions", 0)])


async def test_topics_are_described_by_id_and_partitions(kafka, new_topic, admin, observe):
    """An unknown one is left out; one made anew has another id; an added partition is seen at once."""
    topic, observer = new_topic(3), observe(kafka)
    found = await observer.topics([topic, "unknown"])
    assert list(found) == [topic]
    assert found[topic].partitions == 3
    admin.delete_topics([topic])[topic].result(SECONDS_MAX)

    async def gone():
        return await observer.topics([topic]) == {}

    await until("the topic is gone", gone)
    new_topic(4, name=topic)
    again = await observer.topics([topic])
    assert again[topic].partitions == 4
    assert again[topic].topic_id != found[topic].topic_id


async def test_ends_are_those_of_open_transactions_and_starts_of_what_is_kept(kafka, new_topic, producer, observe):
    """As-of must wait for what a source's transaction will commit."""
    topic, observer = new_topic(2), observe(kafka)
    assert await observer.ends([(topic, 0), (topic, 1)]) == {(topic, 0): 0, (topic, 1): 0}
    open_ = producer(transactional_id=f"open-{topic}")
    open_.begin_transaction()
    for n in range(3):
        open_.produce(topic, b"%d" % n, partition=1)
    flush(open_)
    assert await observer.ends([(topic, 0), (topic, 1)]) == {(topic, 0): 0, (topic, 1): 3}
    open_.commit_transaction(20)

    async def marked():
        return await observer.ends([(topic, 1)]) == {(topic, 1): 4}

    await until("the control record counts", marked)
    assert await observer.starts([(topic, 0), (topic, 1)]) == {(topic, 0): 0, (topic, 1): 0}


async def test_unknown_topics_and_partitions_are_an_error_where_offsets_are_asked(kafka, new_topic, observe):
    """Never a zero that could be taken for an end."""
    observer, topic = observe(kafka), new_topic()
    for unknown in [("unknown", 0), (topic, 7)]:
        with pytest.raises(ClusterError):
            await observer.ends([(topic, 0), unknown])
    assert await answer(lambda: observer.committed("nobody")) == {}


async def test_a_broker_that_goes_away_is_an_error_and_no_offset(own_kafka, observe):
    """Whatever the moment: an end of -1001 would be passed by everything, and as-of with it."""
    observer, partitions = observe(own_kafka.address), [("t", partition) for partition in range(20)]
    admin = AdminClient({"bootstrap.servers": own_kafka.address})
    admin.create_topics([NewTopic("t", 20, 1)])["t"].result(SECONDS_MAX)
    await answer(lambda: observer.ends(partitions))
    asked = [asyncio.create_task(observer.ends(partitions)) for _ in range(50)]
    await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    killing = asyncio.create_task(asyncio.to_thread(own_kafka.kill))
    while len(asked) < 100:
        asked.append(asyncio.create_task(observer.ends(partitions)))
        await asyncio.sleep(0.01)
    found = await asyncio.gather(*asked, return_exceptions=True)
    await killing
    assert any(isinstance(each, ClusterError) for each in found)
    for each in found:
        assert isinstance(each, ClusterError) or each == dict.fromkeys(partitions, 0)


async def test_a_broker_that_comes_back_answers_the_same_client(own_kafka, observe):
    """Its partitions have a later leader epoch: who asks with the one it knows is refused, again and again."""
    observer, partitions = observe(own_kafka.address), [("t", partition) for partition in range(5)]
    admin = AdminClient({"bootstrap.servers": own_kafka.address})
    admin.create_topics([NewTopic("t", 5, 1)])["t"].result(SECONDS_MAX)
    await answer(lambda: observer.ends(partitions))
    await asyncio.to_thread(own_kafka.kill)
    await asyncio.to_thread(own_kafka.begin)
    await answer(lambda: observer.ends(partitions))
    for _ in range(20):
        assert await observer.ends(partitions) == await observer.starts(partitions) == dict.fromkeys(partitions, 0)
    assert list(await observer.topics(["t"])) == ["t"]
    assert await answer(lambda: observer.committed("group")) == {}


async def test_partitions_without_an_answer_are_left_out_where_that_is_asked_for(kafka, new_topic, observe):
    """The monitor looks at anybody's topics, which may go while they are asked about."""
    topic, observer = new_topic(2), observe(kafka)
    asked = [(topic, 0), (topic, 1), ("not-there", 0)]
    assert await observer.ends(asked, stable=True, missing_ok=True) == {(topic, 0): 0, (topic, 1): 0}
    assert await observer.starts(asked, missing_ok=True) == {(topic, 0): 0, (topic, 1): 0}
    retention = await observer.retention([topic, "not-there"])
    assert {name: found.tombstones_ms for name, found in retention.items()} == {topic: 24 * 3_600_000}
    assert await observer.newest([(topic, 0), ("not-there", 0)]) == {(topic, 0): None}


async def test_ends_come_with_the_leaders_epoch_and_committed_offsets_with_what_was_noted(
    kafka, new_topic, producer, observe
):
    """And a leader tells where the records of an epoch end."""
    topic, observer = new_topic(2), observe(kafka)
    at = topic, 0
    sender = producer()
    for n in range(3):
        sender.produce(topic, b"%d" % n, partition=0)
    flush(sender)
    assert await observer.leader_ends([at, (topic, 1)]) == {at: End(3, 0), (topic, 1): End(0, 0)}
    assert await observer.epoch_ends({at: 0}) == {at: 3}
    group = f"group-{topic}"
    noting = Consumer({"bootstrap.servers": kafka, "group.id": group})
    offset = TopicPartition(topic, 0, 2, metadata="0/2")

    def commit():
        noting.commit(offsets=[offset], asynchronous=False)
        noting.close()

    await asyncio.to_thread(commit)
    found = await answer(lambda: observer.committed_with_metadata(group))
    assert found == {at: Committed(2, "0/2\0")}  # as librdkafka sends it
    assert await observer.committed(group) == {at: 2}

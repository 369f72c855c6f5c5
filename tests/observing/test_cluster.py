"""Questions to a cluster: a used one, and one that was started this moment."""

import asyncio

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from stream_app.observing.cluster import Cluster, KafkaException
from tests.support.waiting import answer, until


async def test_a_brand_new_cluster_answers_with_nothing(own_kafka):
    """No topic, no coordinator of consumer groups yet: an empty answer, not the end of the process."""
    cluster = Cluster(own_kafka.address)
    assert await answer(lambda: cluster.describe(["charging.sessions", "crm.groups"])) == {}
    assert await cluster.ends([]) == await cluster.starts([]) == {}
    assert await cluster.committed("group", []) == {}
    assert await answer(lambda: cluster.committed("group", [("charging.sessions", 0)])) == {}
    with pytest.raises(KafkaException):
        await cluster.ends([("charging.sessions", 0)])


async def test_topics_are_described_by_id_and_partitions(kafka, new_topic, admin):
    """An unknown one is left out; one made anew has another id; an added partition is seen at once."""
    topic, cluster = new_topic(3), Cluster(kafka)
    found = await cluster.describe([topic, "unknown"])
    assert list(found) == [topic]
    assert found[topic].partitions == 3
    admin.delete_topics([topic])[topic].result(20)

    async def gone():
        return await cluster.describe([topic]) == {}

    await until("the topic is gone", gone)
    new_topic(4, name=topic)
    again = await cluster.describe([topic])
    assert again[topic].partitions == 4
    assert again[topic].topic_id != found[topic].topic_id


async def test_ends_are_those_of_open_transactions_and_starts_of_what_is_kept(kafka, new_topic, producer):
    """As-of must wait for what a source's transaction will commit."""
    topic, cluster = new_topic(2), Cluster(kafka)
    assert await cluster.ends([(topic, 0), (topic, 1)]) == {(topic, 0): 0, (topic, 1): 0}
    open_ = producer(transactional_id=f"open-{topic}")
    open_.begin_transaction()
    for n in range(3):
        open_.produce(topic, b"%d" % n, partition=1)
    open_.flush(20)
    assert await cluster.ends([(topic, 0), (topic, 1)]) == {(topic, 0): 0, (topic, 1): 3}
    open_.commit_transaction(20)

    async def marked():
        return await cluster.ends([(topic, 1)]) == {(topic, 1): 4}

    await until("the control record counts", marked)
    assert await cluster.starts([(topic, 0), (topic, 1)]) == {(topic, 0): 0, (topic, 1): 0}


async def test_unknown_topics_and_partitions_are_an_error_where_offsets_are_asked(kafka, new_topic):
    """Never a zero that could be taken for an end."""
    cluster, topic = Cluster(kafka), new_topic()
    for unknown in [("unknown", 0), (topic, 7)]:
        with pytest.raises(KafkaException):
            await cluster.ends([(topic, 0), unknown])
    assert await answer(lambda: cluster.committed("nobody", [(topic, 0), ("unknown", 0)])) == {}


async def test_a_broker_that_goes_away_is_an_error_and_no_offset(own_kafka):
    """Whatever the moment: an end of -1001 would be passed by everything, and as-of with it."""
    cluster, partitions = Cluster(own_kafka.address), [("t", partition) for partition in range(20)]
    admin = AdminClient({"bootstrap.servers": own_kafka.address})
    admin.create_topics([NewTopic("t", 20, 1)])["t"].result(20)
    await answer(lambda: cluster.ends(partitions))
    asked = [asyncio.create_task(cluster.ends(partitions)) for _ in range(50)]
    await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    killing = asyncio.create_task(asyncio.to_thread(own_kafka.kill))
    while len(asked) < 100:
        asked.append(asyncio.create_task(cluster.ends(partitions)))
        await asyncio.sleep(0.01)
    found = await asyncio.gather(*asked, return_exceptions=True)
    await killing
    assert any(isinstance(each, KafkaException) for each in found)
    for each in found:
        assert isinstance(each, KafkaException) or each == dict.fromkeys(partitions, 0)


async def test_a_broker_that_comes_back_answers_the_same_client(own_kafka):
    """Its partitions have a later leader epoch: who asks with the one it knows is refused, again and again."""
    cluster, partitions = Cluster(own_kafka.address), [("t", partition) for partition in range(5)]
    admin = AdminClient({"bootstrap.servers": own_kafka.address})
    admin.create_topics([NewTopic("t", 5, 1)])["t"].result(20)
    await answer(lambda: cluster.ends(partitions))
    await asyncio.to_thread(own_kafka.kill)
    await asyncio.to_thread(own_kafka.begin)
    await answer(lambda: cluster.ends(partitions))
    for _ in range(20):
        assert await cluster.ends(partitions) == await cluster.starts(partitions) == dict.fromkeys(partitions, 0)
    assert list(await cluster.describe(["t"])) == ["t"]
    assert await answer(lambda: cluster.committed("group", partitions)) == {}

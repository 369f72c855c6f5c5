"""What is asked of three replicated brokers: topics that could lose records, and a broker that is away."""

import logging
from contextlib import suppress

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from stream_app.access.kafka import KafkaAccess
from stream_app.clients.waiting import ClusterError
from stream_app.observing import durability
from stream_app.observing.observer import Observer
from tests.support.cluster import Cluster
from tests.support.waiting import SECONDS_MAX, answer, until

TOPICS = {
    "safe": (3, {}),
    "hasty": (3, {"min.insync.replicas": "1"}),
    "unclean": (3, {"unclean.leader.election.enable": "true"}),
    "single": (1, {"min.insync.replicas": "1"}),
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, run_folder):
    made = Cluster(tmp_path_factory.mktemp("cluster"), run_folder.lib)
    admin = AdminClient({"bootstrap.servers": made.servers})
    topics = [NewTopic(name, 1, replicas, config=config) for name, (replicas, config) in TOPICS.items()]
    for future in admin.create_topics(topics).values():
        future.result(SECONDS_MAX)
    del admin  # as long as it lives it calls for its brokers, aloud
    yield made
    made.close()


@pytest.fixture
async def observer(cluster):
    made = Observer(KafkaAccess(cluster.servers))
    yield made
    await made.close()


async def look_at(observer, names):
    durability.check(await observer.topics(names), await observer.configs(names), await observer.brokers())


async def test_topics_that_could_lose_acknowledged_records_are_named(observer, caplog):
    """Each with its reason; a topic that is missing is waited for elsewhere."""
    with caplog.at_level(logging.WARNING, durability.__name__):
        await look_at(observer, [*TOPICS, "missing"])
    assert [record.getMessage() for record in caplog.records] == [
        "hasty could lose records that Kafka has acknowledged: min.insync.replicas is 1",
        "single could lose records that Kafka has acknowledged: it has 1 replica",
        "unclean could lose records that Kafka has acknowledged: unclean.leader.election.enable is true",
    ]


async def test_one_broker_alone_is_not_spoken_of(kafka, new_topic, observe, caplog):
    with caplog.at_level(logging.WARNING, durability.__name__):
        await look_at(observe(kafka), [new_topic()])
    assert not caplog.records


async def test_a_broker_that_is_away_is_named_with_what_stands_still(cluster, observer):
    """At once, by its number and address; other brokers lead its partitions soon, but for those that have no other replica."""
    names = [*TOPICS]
    partitions = [(name, 0) for name in names]
    await answer(lambda: observer.ends(partitions))
    assert observer.away() == {}
    metadata = AdminClient({"bootstrap.servers": cluster.servers}).list_topics(timeout=20)
    lost = metadata.topics["single"].partitions[0].leader
    cluster.kill(lost)
    with pytest.raises(ClusterError, match=f"broker {lost}, which leads "):
        await observer.ends(partitions)

    async def named() -> bool:
        with suppress(ClusterError):
            await observer.ends(partitions)
        return lost in observer.away() and "single" in observer.away()[lost].topics

    await until("it is named", named)

    async def others_lead() -> bool:
        with suppress(ClusterError):
            await observer.topics(names)
            await observer.ends([(name, 0) for name in names if name != "single"])
        found = observer.away().get(lost)
        return found is not None and found.topics == {"single"}

    await until("others lead its partitions", others_lead)
    assert observer.away()[lost].address == f"127.0.0.1:{cluster.ports[lost]}"
    cluster.start_all([lost])

    async def is_back() -> bool:
        with suppress(ClusterError):
            await observer.topics(names)
            await observer.ends(partitions)
            return observer.away() == {}
        return False

    await until("nothing stands still", is_back)

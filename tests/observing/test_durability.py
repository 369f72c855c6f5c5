"""Topics that could lose acknowledged records are named, on three replicated brokers."""

import logging

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from stream_app.access.kafka import KafkaAccess
from stream_app.observing import durability
from stream_app.observing.observer import Observer
from tests.support.cluster import Cluster

TOPICS = {
    "safe": (3, {}),
    "hasty": (3, {"min.insync.replicas": "1"}),
    "unclean": (3, {"unclean.leader.election.enable": "true"}),
    "single": (1, {"min.insync.replicas": "1"}),
}


@pytest.fixture
def cluster(tmp_path, run_folder):
    made = Cluster(tmp_path, run_folder.lib)
    yield made
    made.close()


async def test_topics_that_could_lose_acknowledged_records_are_named(cluster, caplog):
    """Each with its reason; a topic that is missing is waited for elsewhere."""
    admin = AdminClient({"bootstrap.servers": cluster.servers})
    made = [NewTopic(name, 1, replicas, config=config) for name, (replicas, config) in TOPICS.items()]
    for future in admin.create_topics(made).values():
        future.result(20)
    observer = Observer(KafkaAccess(cluster.servers))
    try:
        with caplog.at_level(logging.WARNING, durability.__name__):
            await durability.check(observer, [*TOPICS, "missing"])
    finally:
        await observer.close()
    assert [record.getMessage() for record in caplog.records] == [
        "hasty could lose records that Kafka has acknowledged: min.insync.replicas is 1",
        "single could lose records that Kafka has acknowledged: it has 1 replica",
        "unclean could lose records that Kafka has acknowledged: unclean.leader.election.enable is true",
    ]


async def test_one_broker_alone_is_not_spoken_of(kafka, new_topic, observe, caplog):
    with caplog.at_level(logging.WARNING, durability.__name__):
        await durability.check(observe(kafka), [new_topic()])
    assert not caplog.records

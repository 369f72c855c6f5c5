"""Questions to a cluster: a used one, and one that was started this moment."""

import pytest

from stream_app.kafka.cluster import Cluster, KafkaException
from stream_app.local.processes import find, stop
from stream_app.local.run_folder import RunFolder
from stream_app.local.servers import SERVERS, start_server
from tests.conftest import LIB
from tests.kafka.conftest import until


@pytest.fixture
def new_kafka(tmp_path):
    """A cluster of this test that nobody asked anything yet."""
    run = RunFolder(tmp_path / "run", LIB)
    server = next(server for server in SERVERS if server.name == "kafka")
    try:
        yield start_server(run, server, None, default_ports=False)
    finally:
        stop(run, [running for running in [find(run, "kafka")] if running], seconds_max=10)


async def test_a_brand_new_cluster_answers_with_nothing(new_kafka):
    """No topic, no coordinator of consumer groups yet: an empty answer, not the end of the process."""
    cluster = Cluster(new_kafka)
    assert await cluster.describe(["charging.sessions", "crm.groups"]) == {}
    assert await cluster.ends([]) == await cluster.starts([]) == {}
    assert await cluster.committed("group", []) == {}
    assert await cluster.committed("group", [("charging.sessions", 0)]) == {}
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
    assert await cluster.committed("nobody", [(topic, 0), ("unknown", 0)]) == {}

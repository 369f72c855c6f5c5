"""An election of a replica that was not in sync: records that Kafka had acknowledged are lost, and others get their offsets.

Three brokers; two topics of two replicas each, whose leader alone acknowledges while the other replica is down. Then the leader is killed, and the other
replica leads without the last records. What leads and what is in sync is asked of the cluster before each step: a broker that gets no time of the machine may
be missed for a while by itself.
"""

import asyncio
import json
from typing import Any, cast

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from stream_app.access.kafka import KafkaAccess
from stream_app.observing.frontier import Frontier
from stream_app.observing.observer import Observer
from stream_app.ports.kafka import Sample
from tests.support.cluster import Cluster
from tests.support.waiting import SECONDS_MAX, answer, wait_until

ONE, OTHER = "M1", "M2"  # the operator whose source records are lost, the one whose frames are
PAYMENTS, EVENTS = "charging.payments", "other.events-1"
UNCLEAN = ((PAYMENTS, 0), (EVENTS, 0))
OF_EVENTS = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": "2097152"}


def unclean(name: str, **config: str) -> NewTopic:
    """A topic that is led by broker 1, and by broker 2 once that is gone, whatever it has by then."""
    settings = {"unclean.leader.election.enable": "true", "min.insync.replicas": "1", **config}
    return NewTopic(name, 1, replica_assignment=[[1, 2]], config=settings)


def pay(servers: str, topic: str, operator: str, start: int, count: int, now_ms: int) -> None:
    settings = {"acks": "all", "linger.ms": 0, "message.timeout.ms": int(SECONDS_MAX * 1000)}
    producer, failed = Producer({"bootstrap.servers": servers, **settings}), []
    for n in range(start, start + count):
        payment = {"payment_id": f"p-{n}", "operator_id": operator, "status": "SUCCEEDED", "currency": "EUR"}
        payment |= {"amount_received": 100, "paid_at": now_ms}
        producer.produce(topic, json.dumps(payment), on_delivery=lambda error, _: error and failed.append(error))
    assert producer.flush(SECONDS_MAX) == 0
    assert not failed


def are_in_sync(cluster: Cluster, *brokers: int) -> bool:
    """Whether these replicas of both topics are in sync, and no others, and one of them leads."""
    found = cluster.replicas()
    return all(at in found and found[at].insync == set(brokers) and found[at].leader in brokers for at in UNCLEAN)


def is_kept_by(cluster: Cluster, broker: int) -> bool:
    """Whether a broker has all that was acknowledged, of all other topics."""
    found = cluster.replicas()
    return bool(found) and all(broker in found[at].insync for at in found.keys() - set(UNCLEAN))


def sampled(servers: str) -> Sample | None:
    """A sample of the as-of frontier, if ingest has read all that it speaks of."""

    async def sample() -> Sample | None:
        observer = Observer(KafkaAccess(servers))
        try:
            frontier = Frontier(observer, [PAYMENTS], "crm-stats-ingest", "crm-stats.events-1", 1)
            return cast("Sample | None", await answer(lambda: frontier.step(1)))
        finally:
            await observer.close()

    return asyncio.run(sample())


def committed(servers: str, group: str, topic: str) -> int:
    """What a group has read of partition 0; -1 while its coordinator does not say it."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
    try:
        return int(consumer.committed([TopicPartition(topic, 0)], timeout=10)[0].offset)
    except KafkaException:
        return -1
    finally:
        consumer.close()


def test_records_that_kafka_acknowledged_and_lost_are_noticed(
    deploy: Any, tmp_path_factory: Any, run_folder: Any
) -> None:
    """Ingest says what is gone of a source topic and reads what took its place; the ledger stops, since it can't take back what frames said."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), run_folder.lib)
    try:
        admin = AdminClient({"bootstrap.servers": cluster.servers})
        topics = [unclean(PAYMENTS), unclean(EVENTS, **OF_EVENTS)]
        for future in admin.create_topics([*topics, NewTopic("other.payments", 1, 3)]).values():
            future.result(SECONDS_MAX)
        del admin
        deployment = deploy(
            kafka=cluster.servers, replication_factor="3", sources={}, events_partitions="1", publish_ms="500"
        )
        own = dict(deployment.env)

        def counted(operator: str) -> int:
            document = json.loads(deployment.redis.get(f"crm:{{{operator}}}:monthly:ALL") or b"{}")
            return sum(month["paymentCount"] for month in document.get("months", ()))

        deployment.start_worker(1)
        deployment.env |= {
            "STREAM_APP_APP_ID": "other",
            "STREAM_APP_TOPIC_EVENTS": "other.events",
            "STREAM_APP_TOPIC_PAYMENTS": "other.payments",
        }
        deployment.start_worker(2)
        deployment.env = own
        for number in (1, 2):
            deployment.wait_ready(number)
        now_ms = deployment.now_ms()

        def pay_both(start: int, count: int) -> None:
            pay(cluster.servers, PAYMENTS, ONE, start, count, now_ms)
            pay(cluster.servers, "other.payments", OTHER, start, count, now_ms)

        pay_both(0, 5)
        wait_until("both are counted", lambda: counted(ONE) == counted(OTHER) == 5)
        wait_until("both replicas have them", lambda: are_in_sync(cluster, 1, 2))
        cluster.stop(2)
        wait_until("one replica is left", lambda: are_in_sync(cluster, 1))
        pay_both(5, 5)
        wait_until("both are counted", lambda: counted(ONE) == counted(OTHER) == 10)
        wait_until(
            "that they were read is kept", lambda: committed(cluster.servers, "crm-stats-ingest", PAYMENTS) == 10
        )
        assert deployment.stop("worker-1") == 0
        wait_until(
            "the third broker has what is not to be lost", lambda: are_in_sync(cluster, 1) and is_kept_by(cluster, 3)
        )
        cluster.kill(1)
        cluster.start(2)
        wait_until("the other replica leads", lambda: are_in_sync(cluster, 2))
        pay_both(10, 5)
        assert sampled(cluster.servers) is None, "what stands up to where was read is not what was read"
        pay_both(15, 3)

        deployment.start_worker(1)
        wait_until("the other worker ends", lambda: deployment.process("worker-2").poll() is not None)
        assert deployment.process("worker-2").returncode != 0
        found = deployment.log("worker-2")
        assert f"{EVENTS}/0 has lost frames that Kafka had acknowledged" in found, found[-3000:]
        assert counted(OTHER) <= 10
        wait_until("what took their place is counted", lambda: counted(ONE) == 18)
        assert f"{PAYMENTS}/0 has lost records that Kafka had acknowledged: those at offsets 5 to 9 were read" in (
            deployment.log("worker-1")
        )
        wait_until("as-of moves on", lambda: sampled(cluster.servers))
    finally:
        cluster.close()

"""An election of a replica that was not in sync: records that Kafka had acknowledged are lost, and others get their offsets.

Three brokers; two topics of two replicas each, whose leader alone acknowledges while the other replica is down. Then the leader is killed, and the other
replica leads without the last records.
"""

import json
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.cluster import Cluster
from tests.support.waiting import wait_until

ONE, OTHER = "M1", "M2"  # the operator whose source records are lost, the one whose frames are
EVENTS = "other.events-1"
OF_EVENTS = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": "2097152"}


def unclean(name: str, **config: str) -> NewTopic:
    """A topic that is led by broker 1, and by broker 2 once that is gone, whatever it has by then."""
    settings = {"unclean.leader.election.enable": "true", "min.insync.replicas": "1", **config}
    return NewTopic(name, 1, replica_assignment=[[1, 2]], config=settings)


def pay(servers: str, topic: str, operator: str, start: int, count: int, now_ms: int) -> None:
    producer, failed = Producer({"bootstrap.servers": servers, "acks": "all", "linger.ms": 0}), []
    for n in range(start, start + count):
        payment = {"payment_id": f"p-{n}", "operator_id": operator, "status": "SUCCEEDED", "currency": "EUR"}
        payment |= {"amount_received": 100, "paid_at": now_ms}
        producer.produce(topic, json.dumps(payment), on_delivery=lambda error, _: error and failed.append(error))
    assert producer.flush(90) == 0
    assert not failed


def test_records_that_kafka_acknowledged_and_lost_are_noticed(
    deploy: Any, tmp_path_factory: Any, run_folder: Any
) -> None:
    """Ingest says what is gone of a source topic and reads what took its place; the ledger stops, since it can't take back what frames said."""
    cluster = Cluster(
        tmp_path_factory.mktemp("cluster"), run_folder.lib, settings={"broker.session.timeout.ms": "4000"}
    )
    try:
        admin = AdminClient({"bootstrap.servers": cluster.servers})
        topics = [unclean("charging.payments"), unclean(EVENTS, **OF_EVENTS)]
        for future in admin.create_topics([*topics, NewTopic("other.payments", 1, 3)]).values():
            future.result(20)
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
            pay(cluster.servers, "charging.payments", ONE, start, count, now_ms)
            pay(cluster.servers, "other.payments", OTHER, start, count, now_ms)

        pay_both(0, 5)
        wait_until("both are counted", lambda: counted(ONE) == counted(OTHER) == 5)
        cluster.stop(2)
        pay_both(5, 5)
        wait_until("both are counted", lambda: counted(ONE) == counted(OTHER) == 10)
        assert deployment.stop("worker-1") == 0
        cluster.kill(1)
        cluster.start(2)
        cluster.wait_ready(2)
        pay_both(10, 8)

        deployment.start_worker(1)
        assert deployment.process("worker-2").wait(120) != 0
        found = deployment.log("worker-2")
        assert f"{EVENTS}/0 has lost frames that Kafka had acknowledged" in found, found[-3000:]
        assert counted(OTHER) <= 10
        wait_until("what took their place is counted", lambda: counted(ONE) == 18)
        assert (
            "charging.payments/0 has lost records that Kafka had acknowledged: those at offsets 5 to 9 were read"
            in (deployment.log("worker-1"))
        )
    finally:
        cluster.close()

"""Source topics belong to others: transactions, added partitions, missing topics, values of no use, a broker that goes away."""

import itertools
import json
import threading
import time

import pytest
from confluent_kafka.admin import NewPartitions

from stream_app.formats.murmur2 import partition_for
from stream_app.local.ports import is_free
from stream_app.local.processes import find
from stream_app.local.run_folder import RunFolder
from stream_app.local.servers import SERVERS, start_server
from tests.oracle import Record
from tests.support.deployment import ROOT, SOURCES, Deployment
from tests.support.kafka import flush, read_topic
from tests.support.waiting import SECONDS_MAX, wait_until

_numbers = itertools.count()


def payment(operator: str) -> str:
    return json.dumps(
        {
            "payment_id": f"p-{next(_numbers)}",
            "operator_id": operator,
            "status": "SUCCEEDED",
            "amount_received": 1,
            "currency": "EUR",
            "paid_at": int(time.time() * 1000),
        }
    )


def count(deployment: Deployment, operator: str) -> int:
    """Payments in the operator's document of the last months."""
    document = deployment.redis.get(f"crm:{{{operator}}}:monthly:ALL")
    return sum(month["paymentCount"] for month in json.loads(document)["months"]) if document else 0


@pytest.fixture
def running(deploy) -> Deployment:
    """A deployment with one worker that is ready."""
    deployment = deploy()
    deployment.start_worker(1)
    deployment.wait_ready(1)
    deployment.wait_as_of(deployment.now_ms(), names=["worker-1"])
    return deployment


def test_transactions_of_a_source_count_when_committed_and_hold_nothing_up(running):
    """As-of waits for an open one, and goes past the control records at the tail of a topic where nothing follows."""
    producer = running.producer(**{"transactional.id": "billing"})
    producer.init_transactions(20)

    def send(number: int) -> None:
        for n in range(number):
            producer.produce("charging.payments", payment("T"), partition=n % 5)
        flush(producer)

    producer.begin_transaction()
    send(7)
    opened_ms = running.now_ms()
    with pytest.raises(AssertionError, match="still waiting until Redis' as-of has passed"):
        running.wait_as_of(opened_ms, names=["worker-1"], seconds=3)
    producer.commit_transaction(20)
    running.wait_as_of(opened_ms, names=["worker-1"])
    assert count(running, "T") == 7
    producer.begin_transaction()
    send(9)
    producer.abort_transaction(20)
    running.wait_as_of(running.now_ms(), names=["worker-1"])
    assert count(running, "T") == 7
    assert running.stop("worker-1") == 0


def test_records_of_an_added_partition_count_and_as_of_stays_true(running):
    """The source's team adds one and writes to it at once; no result claims to hold those records before it does."""
    admin, operator = running.admin, "A"
    admin.create_partitions([NewPartitions("charging.payments", 7)])["charging.payments"].result(SECONDS_MAX)
    producer = running.producer(**{"topic.metadata.refresh.interval.ms": 200})
    wait_until(
        "the partitions are there",
        lambda: len(producer.list_topics("charging.payments", 5).topics["charging.payments"].partitions) == 7,
    )
    own = partition_for(operator.encode(), 8)
    for round_ in range(1, 4):
        for partition in (5, 6):
            producer.produce("charging.payments", payment(operator), partition=partition)
        flush(producer)
        taken_ms = running.now_ms()
        wanted = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(taken_ms / 1000)) + f".{taken_ms % 1000:03d}Z"
        wait_until("as-of has passed", lambda w=wanted: running.as_of().get(own, "") >= w)
        assert count(running, operator) == 2 * round_
    assert running.process("worker-1").poll() is None


def test_as_of_of_an_idle_deployment_moves_on_each_second(running):
    """In Redis and in its topic, there at most once a second: that nothing came is known, too."""
    before, seen, began = read_topic(running.kafka, "crm-stats.as-of.v1"), set(), time.monotonic()

    def moved_on() -> bool:
        found = running.as_of()
        assert len(found) == 8
        seen.add(min(found.values())[:19])
        return len(seen) > 9

    wait_until("as-of has moved on nine times", moved_on)

    def by_partition() -> dict[int, list[Record]]:
        after = [record for record in read_topic(running.kafka, "crm-stats.as-of.v1") if record not in before]
        return {n: [record for record in after if record.key == b"%d" % n] for n in range(8)}

    wait_until("so has that in the topic", lambda: min(map(len, by_partition().values())) >= 8)
    found, most = by_partition(), time.monotonic() - began + 3
    assert all(len(some) <= most for some in found.values()), {n: len(some) for n, some in found.items()}
    for some in found.values():
        times = [json.loads(record.value)["asOf"] for record in some]
        assert times == sorted(times)


def test_a_missing_source_is_named_and_waited_for_and_counts_when_it_is_made(deploy):
    """The others count meanwhile."""
    deployment = deploy(sources={name: n for name, n in SOURCES.items() if name != "crm.groups"})
    deployment.admin.delete_topics(["crm.groups"])["crm.groups"].result(SECONDS_MAX)  # `up` made it
    wait_until("crm.groups is gone", lambda: "crm.groups" not in deployment.admin.list_topics(timeout=10).topics)
    deployment.start_worker(1)
    deployment.wait_ready(1)
    producer = deployment.producer()
    producer.produce("charging.payments", payment("G"))
    flush(producer)
    deployment.wait_as_of(deployment.now_ms(), names=["worker-1"])
    assert count(deployment, "G") == 1
    assert "the source topic crm.groups does not exist; it is waited for" in deployment.log("worker-1")
    deployment.make_topics({"crm.groups": 2})
    producer.produce("crm.groups", json.dumps({"operator_id": "G", "group_id": "vip", "name": "大客户"}))
    flush(producer)

    def named() -> bool:
        groups = json.loads(deployment.redis.get("crm:{G}:groups"))["groups"]
        return {"groupId": "vip", "name": "大客户"} in groups

    wait_until("the group has its name", named)
    deployment.wait_as_of(deployment.now_ms(), names=["worker-1"])
    assert deployment.stop("worker-1") == 0


def test_records_of_no_use_go_to_the_dead_letters_as_they_came(running):
    """A null value, one that is not UTF-8, any key; what is around them counts."""
    values = {0: (b"\xff\x00key", None), 1: (None, b'\xff{"payment_id"'), 2: ("钥匙".encode(), b"[]")}
    producer, offsets = running.producer(), {}
    for partition, (key, value) in values.items():
        producer.produce("charging.payments", payment("D"), partition=partition)
        producer.produce(
            "charging.payments",
            value,
            key=key,
            partition=partition,
            on_delivery=lambda _, message: offsets.setdefault(message.partition(), message.offset()),
        )
        producer.produce("charging.payments", payment("D"), partition=partition)
    flush(producer)
    running.wait_as_of(running.now_ms(), names=["worker-1"])
    assert count(running, "D") == 6
    letters = {letter.key.decode(): letter for letter in read_topic(running.kafka, "crm-stats.dead-letters")}
    assert letters.keys() == {f"charging.payments/{p}/{offset}" for p, offset in offsets.items()}
    reasons = {0: b"tombstone", 1: b"not_json", 2: b"not_json"}
    for partition, (key, value) in values.items():
        letter = letters[f"charging.payments/{partition}/{offsets[partition]}"]
        headers = dict(letter.headers)
        assert letter.value == (value or b"")
        assert headers["reason"] == reasons[partition]
        assert headers["source-key"] == key
        assert headers["source-topic"] == b"charging.payments"
        assert headers["source-partition"] == b"%d" % partition
        assert headers["source-offset"] == b"%d" % offsets[partition]
        assert headers["detail"]
        assert headers["failed-at"].endswith(b"Z")


def test_a_broker_restarted_under_live_workers_loses_nothing_and_counts_nothing_twice(deploy, tmp_path):
    """Workers live on, or end with an error that is in their log, and go on when started again."""
    # A port that no client is given for its own end: one that connects to a port where nobody listens may meet itself there.
    port = next(port for port in range(20_000, 30_000) if is_free(port))
    RunFolder(tmp_path / "run-0", ROOT / ".run" / "lib").write_env({"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}"})
    deployment = deploy()
    assert deployment.kafka == f"127.0.0.1:{port}"
    for number in (1, 2):
        deployment.start_worker(number)
    for number in (1, 2):
        deployment.wait_ready(number)
    producer = deployment.producer(**{"enable.idempotence": True, "message.timeout.ms": 120_000})
    sent, failed, ended = [0], [], threading.Event()

    def feed() -> None:
        while not ended.wait(0.05):
            for n in range(10):
                producer.produce(
                    "charging.payments",
                    payment(f"B{n % 4}"),
                    on_delivery=lambda error, _: failed.append(error) if error else None,
                )
                sent[0] += 1
            producer.poll(0)

    feeding = threading.Thread(target=feed)
    feeding.start()
    try:
        deployment.wait_as_of(deployment.now_ms(), names=["worker-1", "worker-2"])
        find(deployment.run, "kafka").process.kill()
        wait_until("the broker has let go of its port", lambda: not find(deployment.run, "kafka") and is_free(port))
        server = next(server for server in SERVERS if server.name == "kafka")
        assert start_server(deployment.run, server, deployment.kafka, default_ports=False) == deployment.kafka
        restarted_ms = deployment.now_ms()

        def passed() -> bool:
            for number in (1, 2):
                code = deployment.process(f"worker-{number}").poll()
                if code is not None:
                    assert code > 0, f"worker-{number} ended with {code}"
                    assert "Error" in deployment.log(f"worker-{number}")
                    deployment.start_worker(number)
            found = deployment.as_of()
            wanted = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(restarted_ms / 1000 + 5))
            return len(found) == 8 and min(found.values()) >= wanted

        wait_until("as-of has passed the restart", passed)
    finally:
        ended.set()
        feeding.join()
    flush(producer)
    assert failed == []
    deployment.wait_as_of(deployment.now_ms())
    counted = {f"B{n}": count(deployment, f"B{n}") for n in range(4)}
    assert sum(counted.values()) == sent[0], counted
    assert all(deployment.stop(f"worker-{number}") == 0 for number in (1, 2))

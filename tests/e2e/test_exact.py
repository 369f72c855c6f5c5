"""Everything at once, end to end: two workers that are killed or stopped on the way, and four outputs that equal the oracle to the cent."""

import random
import signal
import time
from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from tests.e2e.deployment import DATABASE, Deployment
from tests.oracle import TOPICS, Settings, Truth, truth
from tests.scenario import (
    Send,
    build,
    compacted,
    diff_clickhouse,
    diff_dead_letters,
    diff_http,
    diff_redis,
    diff_topics,
    read_topic,
    versions_never_fall,
)

ENTITIES = 6000
RESULTS = ("crm-stats.monthly.v1", "crm-stats.half-hour.v1", "crm-stats.as-of.v1")


def deployed(deploy: Callable[..., Deployment]) -> Deployment:
    deployment = deploy()
    for name in TOPICS.values():  # some records have timestamps of their own
        deployment.keep_for_ever(name)
    for number in (1, 2):
        deployment.start_worker(number)
    for number in (1, 2):
        deployment.wait_ready(number)
    return deployment


def produce(producer: Producer, send: Send) -> None:
    """Send a record of the scenario."""
    how = {} if send.timestamp_ms is None else {"timestamp": send.timestamp_ms}
    while True:
        try:
            producer.produce(send.topic, send.value, send.key, send.partition, **how)
        except BufferError:
            producer.poll(0.1)
        else:
            return


def _send_in_parts(deployment: Deployment, seed: int, parts: int, between: Callable[[int], None]) -> int:
    """Send the scenario, with something happening after each part; when all was taken, in epoch milliseconds."""
    sends = build(seed, ENTITIES, int(time.time() * 1000))
    producer = deployment.producer()
    for part in range(parts):
        for send in sends[len(sends) * part // parts : len(sends) * (part + 1) // parts]:
            produce(producer, send)
        producer.poll(0)
        between(part)
    assert producer.flush(30) == 0
    return int(time.time() * 1000)


def _expected(deployment: Deployment, now_ms: int) -> Truth:
    records = [record for topic in TOPICS.values() for record in read_topic(deployment.kafka, topic, "read_committed")]
    return truth(records, now=now_ms, wall_now=now_ms, settings=Settings())


def _differences(deployment: Deployment, expected: Truth) -> list[str]:
    token = deployment.token("--operator", "*")
    found = diff_redis(expected, deployment.redis)
    found += diff_clickhouse(expected, deployment.clickhouse, DATABASE)
    topics = {topic: read_topic(deployment.kafka, topic, "read_committed") for topic in RESULTS}
    found += diff_topics(expected, {topic: compacted(records) for topic, records in topics.items()})
    for topic in RESULTS[:2]:
        found += versions_never_fall(topics[topic])
    found += diff_dead_letters(expected, read_topic(deployment.kafka, "crm-stats.dead-letters", "read_committed"))
    found += diff_http(expected, lambda path, body: deployment.post(path.removeprefix("/smart-bi/crm/"), body, token))
    return found


def check(deployment: Deployment, sent_ms: int) -> None:
    deployment.wait_as_of(sent_ms, names=["worker-1", "worker-2"])
    deployment.start_api()
    expected = _expected(deployment, sent_ms)
    assert len(expected.monthly) > 500
    assert len(set(expected.bad.values())) >= 12, "bad records of every kind"
    deadline = time.monotonic() + 6  # "ClickHouse and the topics follow Redis within 5 s"
    while (found := _differences(deployment, expected)) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert found[:10] == []


@pytest.mark.parametrize("seed", [1])
def test_all_outputs_equal_the_oracle_though_a_worker_is_killed_ten_times(deploy, seed):
    """kill -9 of one of the two, ten times, while records arrive."""
    deployment, rng = deployed(deploy), random.Random(seed)

    def kill_one(part: int) -> None:
        number = rng.choice((1, 2))
        time.sleep(rng.uniform(0.5, 3))
        deployment.kill(f"worker-{number}")
        time.sleep(rng.uniform(0, 1))
        deployment.start_worker(number)
        if part % 3 == 2:
            deployment.wait_ready(number)

    check(deployment, _send_in_parts(deployment, seed, 10, kill_one))


def test_all_outputs_equal_the_oracle_though_a_worker_is_stopped_past_its_session_and_goes_on(deploy):
    """A zombie: SIGSTOP until the group has given its partitions away, then SIGCONT."""
    deployment = deployed(deploy)

    def stop_one(part: int) -> None:
        if part == 1:
            process = deployment.process("worker-1")
            process.send_signal(signal.SIGSTOP)
            time.sleep(14)  # the session times out after 6 s
            process.send_signal(signal.SIGCONT)
            time.sleep(3)
        elif deployment.process("worker-1").poll() is not None:
            deployment.start_worker(1)  # it may have ended with an error: what matters is that nothing counts twice

    sent_ms = _send_in_parts(deployment, 2, 4, stop_one)
    if deployment.process("worker-1").poll() is not None:
        deployment.start_worker(1)
    check(deployment, sent_ms)

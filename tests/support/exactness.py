"""All outputs of a deployment held against the oracle: Redis, ClickHouse, results topics, dead letters and HTTP."""

import time
from collections.abc import Callable

from confluent_kafka import Producer

from tests.oracle import TOPICS, Settings, Truth, truth
from tests.support.deployment import DATABASE, Deployment
from tests.support.kafka import read_topic
from tests.support.scenario import (
    Send,
    compacted,
    diff_clickhouse,
    diff_dead_letters,
    diff_http,
    diff_redis,
    diff_topics,
    versions_never_fall,
)

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


def expected(deployment: Deployment, now_ms: int) -> Truth:
    records = [record for topic in TOPICS.values() for record in read_topic(deployment.kafka, topic, "read_committed")]
    return truth(records, now=now_ms, wall_now=now_ms, settings=Settings())


def differences(deployment: Deployment, expected: Truth) -> list[str]:
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
    wanted = expected(deployment, sent_ms)
    assert len(wanted.monthly) > 500
    assert len(set(wanted.bad.values())) >= 12, "bad records of every kind"
    deadline = time.monotonic() + 6  # "ClickHouse and the topics follow Redis within 5 s"
    while (found := differences(deployment, wanted)) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert found[:10] == []

"""All outputs of a deployment, held against the oracle."""

import time
from collections.abc import Container, Iterable

from tests.oracle import TOPICS, Place, Record, Settings, Truth, truth
from tests.support.deployment import DATABASE, Deployment
from tests.support.kafka import read_topic
from tests.support.scenario import (
    compacted,
    diff_clickhouse,
    diff_dead_letters,
    diff_http,
    diff_redis,
    diff_topics,
    versions_never_fall,
)
from tests.support.waiting import SECONDS_MAX

RESULTS = ("crm-stats.monthly.v1", "crm-stats.half-hour.v1", "crm-stats.as-of.v1")
DEAD_LETTERS = "crm-stats.dead-letters"


def source_records(deployment: Deployment) -> list[Record]:
    """All records of the source topics."""
    return [record for topic in TOPICS.values() for record in read_topic(deployment.kafka, topic)]


def expected(records: Iterable[Record], now_ms: int, without_energy: Container[Place] = ()) -> Truth:
    """The truth about records; `without_energy` as in the oracle."""
    return truth(records, now=now_ms, wall_now=now_ms, settings=Settings(), without_energy=without_energy)


def differences(deployment: Deployment, wanted: Truth, refused: Container[Place] = ()) -> list[str]:
    """Between all outputs and the truth. `refused`: places whose dead letters are left out. The API must run."""
    token = deployment.token("--operator", "*")
    found = diff_redis(wanted, deployment.redis)
    found += diff_clickhouse(wanted, deployment.clickhouse, DATABASE)
    topics = {topic: read_topic(deployment.kafka, topic) for topic in RESULTS}
    found += diff_topics(wanted, {topic: compacted(records) for topic, records in topics.items()})
    for topic in RESULTS[:2]:
        found += versions_never_fall(topics[topic])
    letters = [letter for letter in read_topic(deployment.kafka, DEAD_LETTERS) if place_of(letter) not in refused]
    found += diff_dead_letters(wanted, letters)
    found += diff_http(wanted, lambda path, body: deployment.post(path.removeprefix("/smart-bi/crm/"), body, token))
    return found


def place_of(letter: Record) -> Place:
    """Of the source record of a dead letter: (topic, partition, offset)."""
    topic, partition, offset = (letter.key or b"").decode().rsplit("/", 2)
    return topic, int(partition), int(offset)


def check(deployment: Deployment, wanted: Truth, refused: Container[Place] = (), seconds: float = SECONDS_MAX) -> None:
    """All outputs equal the truth, after so many seconds at the latest."""
    deadline = time.monotonic() + seconds
    while (found := differences(deployment, wanted, refused)) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not found, f"{len(found)} differences:\n" + "\n".join(found[:10])

"""All outputs of a deployment, held against the oracle."""

import time
import urllib.error
from collections.abc import Callable, Container, Iterable

from tests.oracle import TOPICS, Place, Record, Settings, Truth, truth
from tests.support.deployment import Deployment
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
from tests.support.service import DATABASE
from tests.support.waiting import SECONDS_MAX

RESULTS = ("crm-stats.monthly.v1", "crm-stats.half-hour.v1", "crm-stats.as-of.v1")
PROBE = "crm-stats.probe"  # the operator of a monitor's own payments, which no other output shows
DEAD_LETTERS = "crm-stats.dead-letters"


def source_records(deployment: Deployment) -> list[Record]:
    """All records of the source topics."""
    return [record for topic in TOPICS.values() for record in read_topic(deployment.kafka, topic)]


def expected(
    records: Iterable[Record], sent_ms: int, without_energy: Container[Place] = (), now_ms: int | None = None
) -> Truth:
    """The truth about records that were sent by then, as windows show it later (at once by default); `without_energy` as in the oracle."""
    shown_ms = sent_ms if now_ms is None else now_ms
    return truth(records, now=shown_ms, wall_now=sent_ms, settings=Settings(), without_energy=without_energy)


def differences(deployment: Deployment, wanted: Truth, refused: Container[Place] = ()) -> list[str]:
    """Between all outputs and the truth. `refused`: places whose dead letters are left out. The API must run."""
    token = deployment.token("--operator", "*")
    found = [line for line in diff_redis(wanted, deployment.redis) if repr(PROBE) not in line]
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


def check(
    deployment: Deployment,
    truth_at: Callable[[int], Truth],
    refused: Container[Place] = (),
    seconds: float = SECONDS_MAX,
) -> None:
    """All outputs equal the truth of their time, after so many seconds at the latest: meanwhile a day may end somewhere."""
    deadline = time.monotonic() + seconds
    while True:
        wanted = truth_at(deployment.now_ms())
        try:
            found = differences(deployment, wanted, refused)
        except urllib.error.HTTPError as exc:  # of a day that has ended since
            found = [f"HTTP: {exc}"]
        if not found:
            return
        assert time.monotonic() < deadline, f"{len(found)} differences:\n" + "\n".join(found[:10])
        time.sleep(0.5)

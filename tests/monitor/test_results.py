"""Freshness on a whole deployment: who is to blame when a stage stands still; sources; dead letters. All real, one thing broken at a time."""

import subprocess
import time
import urllib.error
import urllib.request

import pytest
from clickhouse_driver.errors import ServerException
from confluent_kafka import Producer

from stream_app.health.freshness import SINKS
from stream_app.monitor.results import in_a_line
from stream_app.monitor.sources import Sources
from tests.support.deployment import PROGRAM
from tests.support.kafka import flush
from tests.support.seen import Seen
from tests.support.waiting import wait_until


@pytest.fixture
def seen(deploy):
    """A deployment with a worker and a monitor, all of it well."""
    deployment = deploy(monitor_interval_ms="500")
    deployment.start_worker(1)
    deployment.start("monitor", "monitor")
    deployment.wait_ready(1)
    found = Seen(deployment)
    found.wait_stages("all is fresh", {None}, 120)
    return found


def test_a_failure_is_told_in_a_line_with_what_it_is_about():
    refused = ServerException("DB::Exception: Table crm_stats.as_of doesn't exist.", 60)
    assert in_a_line(refused) == "ServerException: Code: 60. DB::Exception: Table crm_stats.as_of doesn't exist."


@pytest.mark.timeout(900)  # it waits by conditions, for many things in a row
def test_the_stage_that_stands_still_is_named_and_nobody_else(seen):
    """A frozen Redis, a frozen ClickHouse, a worker that is gone; and well again in between. Where the operators see it."""
    deployment = seen.deployment
    deployment.send_payments(200)
    shown = wait_until(
        "all is counted", lambda: (s := seen.status()) and sum(row["operators"] for row in s["results"]) == 37 and s, 90
    )
    assert [row["partition"] for row in shown["results"]] == list(range(8))
    assert {sink["stage"] for sink in shown["sinks"]} == set(SINKS)
    assert all(sink["failure"] is None for sink in shown["sinks"])
    (letters,) = shown["dead_letters"]
    assert (letters["reason"], letters["since_start"], letters["seen"]) == ("unknown_currency", 20, 20)
    by_topic = {row["topic"]: row for row in shown["sources"]}
    assert by_topic["charging.payments"]["age_seconds"] < 90
    assert by_topic["charging.sessions"]["age_seconds"] is None
    assert all(row["exists"] and not row["is_silent"] for row in by_topic.values())

    def status():
        return subprocess.run([PROGRAM, "status"], env=deployment.env, capture_output=True, text=True, check=False)

    said = status()

    def is_well():
        nonlocal said
        said = status()
        return said.returncode == 0

    wait_until(lambda: f"all is well by what the command says: {said.stdout}{said.stderr}", is_well)
    assert "unknown_currency" in said.stdout

    for server, stage in (("redis", "redis"), ("clickhouse", "clickhouse")):
        with deployment.frozen(server):
            seen.wait_stages(f"{server} is to blame", {stage})
            assert next(sink for sink in seen.status()["sinks"] if sink["stage"] == stage)["failure"]
        seen.wait_stages(f"{server} is well again", {None})

    deployment.kill("worker-1")
    seen.wait_stages("ingest is to blame, the first that is down", {"ingest"})
    deployment.send_payments(10, start=1000)
    worst = seen.get("/operators?worst=5")["operators"]
    assert len(worst) == 5
    assert all(one["stage"] == "ingest" and one["oldest_seconds"] > 10 for one in worst)
    assert one_sentence(seen, "/operators?worst=0") == "worst is 1 to 10000\n"
    bad = status()
    assert bad.returncode == 1
    assert "ingest is behind or down" in bad.stdout

    deployment.start(
        "ingest", "worker", "--name", "ingest", "--only", "ingest", "--state-dir", str(deployment.run.state / "i")
    )
    seen.wait_stages("ingest is back, and the ledger is to blame", {"ledger"}, 120)


def one_sentence(seen, path):
    with pytest.raises(urllib.error.HTTPError) as caught:
        seen.get(path)
    with caught.value as answer:
        return answer.read().decode()


HOUR_MS, DAY_MS = 3_600_000, 86_400_000


@pytest.fixture
def week(kafka, new_topic):
    """A topic of two partitions with 60 records in each hour of the last eight days, up to `age_ms` ago."""

    def make(age_ms):
        topic = new_topic(2, retention_ms="-1")
        producer = Producer({"bootstrap.servers": kafka, "linger.ms": 50})
        now = int(time.time() * 1000)
        for n in range(8 * 24 * 60):
            at_ms = now - 8 * DAY_MS + n * 60_000
            if at_ms <= now - age_ms:
                producer.produce(topic, b"x", partition=n % 2, timestamp=at_ms)
        flush(producer)
        return topic, now

    return make


async def test_a_source_is_silent_by_what_came_in_the_same_hour_of_the_days_before(kafka, week, new_topic, observe):
    alive, _ = week(60_000)
    silent, now = week(20 * 60_000)
    young = new_topic()
    sources = Sources(observe(kafka), [alive, silent, young, "not-there", "not-needed"], ["not-needed"])
    found = {row.topic: row for row in await sources.look(now)}
    for topic in (alive, silent):
        assert found[topic].per_hour == pytest.approx(60, abs=1)
    assert (found[alive].is_silent, found[silent].is_silent, found[young].is_silent) == (False, True, False)
    assert found[silent].missed == pytest.approx(20, abs=1)
    assert found[silent].age_seconds == pytest.approx(20 * 60, abs=90)
    assert (found[young].exists, found[young].age_seconds, found[young].per_hour) == (True, None, None)
    assert (found["not-there"].exists, found["not-there"].age_seconds) == (False, None)
    assert "not-needed" not in found, "an optional topic that is missing is none that should be there"

    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(silent, b"x", timestamp=now - 30 * DAY_MS)  # by the clock of a producer that is far off
    flush(producer)
    row = {row.topic: row for row in await sources.look(now + 1000)}[silent]
    assert (row.age_seconds, row.is_silent) == (0, False), "an end that moves tells more than a timestamp"

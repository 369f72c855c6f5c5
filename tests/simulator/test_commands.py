"""simulate, demo and pay as a user sees them: real Kafka, Redis, ClickHouse, a worker and the API, in a run folder of their own."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
import uuid
from collections import Counter
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import redis

from stream_app.access.kafka import KafkaAccess
from stream_app.local.ports import free_port
from stream_app.local.topics import TopicSpec, create_missing
from stream_app.sources import registry
from tests.support.kafka import read_topic

PROGRAM = Path(sys.executable).parent / "stream-app"
SOURCES = tuple(topic.name for topic in registry.TEAMS)
OURS = ("events", "dead_letters", "monthly", "half_hour", "as_of")
BERLIN = ZoneInfo("Europe/Berlin")


def names_of(prefix):
    """Settings that keep one test's topics and consumer groups apart."""
    topics = {f"STREAM_APP_TOPIC_{name.upper()}": f"{prefix}.{name}" for name in (*SOURCES, *OURS)}
    return topics | {"STREAM_APP_APP_ID": prefix, "STREAM_APP_CLICKHOUSE_DATABASE": f"simulator_{prefix}"}


def run(env, *arguments, timeout=120):
    return subprocess.run([PROGRAM, *arguments], env=env, capture_output=True, text=True, check=False, timeout=timeout)


def values(kafka, topic):
    return [record.value for record in read_topic(kafka, topic)]


@pytest.fixture
def sources(kafka, tmp_path):
    """Source topics of several partitions, and the environment in which the commands find them."""
    env = {
        **os.environ,
        **names_of(uuid.uuid4().hex),
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "STREAM_APP_RUN": str(tmp_path),
    }
    topics = {name: env[f"STREAM_APP_TOPIC_{name.upper()}"] for name in SOURCES}
    create_missing(KafkaAccess(kafka), [TopicSpec(topic, 3) for topic in topics.values()])
    return env, topics


def test_a_history_arrives_whole_and_a_repeat_brings_the_same(kafka, sources):
    env, topics = sources
    # Two months: of the last one alone there is nothing in its first hours.
    arguments = ("simulate", "--months", "2", "--customers", "20", "--operators", "2", "--seed", "7")
    done = run(env, *arguments)
    assert done.returncode == 0, done.stderr
    sent = int(re.match(r"Sent ([\d,]+) records of 2 months and 3 operators", done.stdout)[1].replace(",", ""))
    first = {name: Counter(values(kafka, topic)) for name, topic in topics.items()}
    assert sum(counts.total() for counts in first.values()) == sent
    run(env, *arguments)
    again = Counter(values(kafka, topics["payments"]))
    assert first["payments"]
    assert all(again[value] == 2 * count for value, count in first["payments"].items())


def test_live_traffic_is_bounded_by_rate_and_seconds(kafka, sources):
    env, topics = sources
    began_ms = time.time() * 1000
    done = run(env, "simulate", "--no-history", "--live", "--rate", "40", "--seconds", "3")
    assert done.returncode == 0, done.stderr
    sent = int(re.search(r"Sent (\d+) live records", done.stdout)[1])
    assert 60 <= sent <= 120
    sessions = [json.loads(value) for value in values(kafka, topics["sessions"])]
    assert sessions
    assert all(datetime.fromisoformat(s["started_at"]).timestamp() * 1000 >= began_ms - 1000 for s in sessions)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["simulate", "--no-history"],
            "stream-app simulate: there is nothing to send: --no-history goes with --live.\n",
        ),
        (
            ["simulate", "--seconds", "3"],
            "stream-app simulate: --seconds bounds the live traffic: it goes with --live.\n",
        ),
        (
            ["pay", "--operator", "M1", "--amount", "1.505", "--currency", "EUR"],
            "1.505 can't be paid in EUR, which has 2 digits after the point.\n",
        ),
        (
            ["pay", "--operator", "", "--amount", "1"],
            "the operator '' is no id: those have 1 to 200 characters, no control ones.\n",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path, arguments, sentence):
    done = run({**os.environ, "STREAM_APP_RUN": str(tmp_path)}, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(sentence)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["simulate"], ["demo"], ["pay", "--operator", "M1", "--amount", "1"]])
def test_without_servers_it_is_one_sentence(tmp_path, arguments):
    nowhere = f"127.0.0.1:{free_port()}"
    env = {
        **os.environ,
        "STREAM_APP_RUN": str(tmp_path),
        "KAFKA_BOOTSTRAP_SERVERS": nowhere,
        "REDIS_URL": f"redis://{nowhere}/0",
    }
    done = run(env, *arguments)
    assert done.returncode == 1
    assert f"{nowhere}" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("*.pid"))


def test_a_missing_topic_is_named(kafka, sources):
    env, topics = sources
    done = run({**env, "STREAM_APP_TOPIC_CDRS": "not.there"}, "simulate", "--months", "1")
    assert (done.returncode, done.stderr) == (
        1,
        f"stream-app simulate: Kafka at {kafka} lacks not.there, which make up creates.\n",
    )
    assert values(kafka, topics["operators"]) == []


def test_without_a_worker_the_demo_sends_nothing_and_pay_says_what_to_check(kafka, redis_url, sources):
    env, topics = sources
    env = {**env, "REDIS_URL": redis_url.removesuffix("/0") + "/8"}
    done = run(env, "demo", "--customers", "5")
    assert done.returncode == 1
    assert "the results don't follow Kafka, so nothing was sent" in done.stderr
    assert values(kafka, topics["operators"]) == []
    done = run(env, "pay", "--operator", "M1", "--amount", "3", "--currency", "EUR", "--customer", "c")
    assert done.returncode == 1
    assert "after 10 s the results don't hold it: see whether a worker runs" in done.stderr
    assert len(values(kafka, topics["payments"])) == 1


@pytest.fixture
def stack(kafka, redis_url, clickhouse_url, tmp_path):
    """A worker and the API on the servers of the tests."""
    env = {
        **os.environ,
        **names_of(uuid.uuid4().hex),
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "REDIS_URL": redis_url.removesuffix("/0") + "/9",
        "CLICKHOUSE_URL": clickhouse_url,
        "STREAM_APP_RUN": str(tmp_path),
        "STREAM_APP_API_PORT": str(free_port()),
        "STREAM_APP_MONITOR_PORT": str(free_port()),
    }
    client = redis.Redis.from_url(env["REDIS_URL"])
    client.flushdb()
    up = run(env, "up", "--workers", "1")
    assert up.returncode == 0, up.stderr
    yield env, client, tmp_path
    run(env, "down")
    client.flushdb()
    client.close()


def paid_months(values):
    """Month in Berlin -> (received minor units, payments) of M1 in EUR: one payment an id, of the highest version."""
    latest = {}
    for p in map(json.loads, values):
        if p["operator_id"] == "M1" and p["version"] >= latest.get(p["payment_id"], p)["version"]:
            latest[p["payment_id"]] = p
    months = {}
    for p in latest.values():
        received = p["amount_received"] - p["amount_refunded"]
        if p["status"] == "SUCCEEDED" and p["currency"] == "EUR" and (received or not p["amount_received"]):
            month = f"{datetime.fromtimestamp(p['paid_at'] / 1000, BERLIN):%Y-%m}"
            total, count = months.get(month, (0, 0))
            months[month] = total + received, count + 1
    return months


def test_the_demo_shows_what_was_sent_and_a_payment_shows_at_once(kafka, stack):
    env, client, folder = stack
    done = run(env, "demo", "--months", "2", "--customers", "30", "--rate", "5")
    assert done.returncode == 0, done.stderr
    assert "Stadtwerke Musterstadt (M1), ALL: payments in EUR, months of Europe/Berlin" in done.stdout
    assert "Stadtwerke Musterstadt (M1), ALL: sessions, months of Europe/Berlin" in done.stdout
    assert "…" not in done.stdout
    assert "vip (大客户)" in done.stdout
    assert re.search(r"half-hour of the day, \S+ to \S+\nMost at \d\d:[03]0-\d\d:[03]0: \d+ of \d+\n", done.stdout)
    base = f"http://127.0.0.1:{env['STREAM_APP_API_PORT']}"
    assert f"{base}/docs" in done.stdout
    token = re.search(rf"^The dashboard, live.*:\n  {base}/#token=(\S+)$", done.stdout, re.MULTILINE)[1]
    asked = urllib.request.Request(f"{base}/smart-bi/crm/operators", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(asked) as answer:
        assert "M1" in [entry["operatorId"] for entry in json.load(answer)["data"]["operators"]]
    # The month before is not touched by live traffic: it is what was sent, to the cent.
    sent = paid_months(values(kafka, env["STREAM_APP_TOPIC_PAYMENTS"]))
    month, (received, count) = min(sent.items())
    row = next(line for line in done.stdout.splitlines() if line.strip().startswith(month)).split()
    assert (row[1], row[4]) == (f"{received // 100}.{received % 100:02d}", str(count))
    assert "Live traffic runs now" in done.stdout
    pid = (folder / "simulate.pid").read_text()

    paid = run(env, "pay", "--operator", "M1", "--amount", "12.50")
    assert paid.returncode == 0, paid.stderr
    assert re.search(r"^M1 received 12.50 EUR from K-\d+: payment p-pay-\w+$", paid.stdout, re.MULTILINE)
    assert int(re.search(r"^The results hold it after (\d+) ms$", paid.stdout, re.MULTILINE)[1]) < 10_000
    assert re.search(r"^M1 received [\d.]+ EUR in \d{4}-\d\d by now, in \d+ payments$", paid.stdout, re.MULTILINE)

    alone = run(env, "pay", "--operator", "新 |{1}", "--amount", "150", "--currency", "JPY", "--group", "大客户")
    assert "新 |{1} received 150 JPY from new-" in alone.stdout, alone.stderr
    assert alone.stdout.splitlines()[-1].endswith("in 1 payments")
    assert json.loads(client.get("crm:{新 %7C%7B1%7D}:monthly:大客户"))["months"][-1]["receivedAmount"] == "150"

    operators = len(values(kafka, env["STREAM_APP_TOPIC_OPERATORS"]))
    again = run(env, "demo", "--months", "2", "--customers", "30")
    assert again.returncode == 0, again.stderr
    assert "its history is not sent again" in again.stdout
    assert "Live traffic runs already" in again.stdout
    assert len(values(kafka, env["STREAM_APP_TOPIC_OPERATORS"])) == operators
    assert (folder / "simulate.pid").read_text() == pid
    assert values(kafka, env["STREAM_APP_TOPIC_DEAD_LETTERS"]) == []

    down = run(env, "down")
    assert "simulate" in down.stdout
    assert not (folder / "simulate.pid").exists()
    assert re.search(r"Sent [\d,]+ live records", (folder / "simulate.log").read_text())

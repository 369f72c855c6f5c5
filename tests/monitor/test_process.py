"""`stream-app monitor` and `stream-app status` as people run them."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, TopicPartition

from stream_app.local.ports import free_port
from stream_app.monitor.metrics import METRICS
from stream_app.monitor.run import every
from tests.support.kafka import flush
from tests.support.waiting import wait_until

PROGRAM = Path(sys.executable).parent / "stream-app"
RESIDENT_MB_MAX = 80


def wide_group(kafka, new_topic, producer, partitions):
    """A group that has committed in the middle of many partitions."""
    topic, name = new_topic(partitions), f"wide-{free_port()}"
    sender = producer()
    for partition in range(partitions):
        for n in range(3):
            sender.produce(topic, b"%d" % n, partition=partition, timestamp=int(time.time() * 1000) - 90_000)
    flush(sender)
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": name, "enable.auto.commit": False})
    consumer.commit(offsets=[TopicPartition(topic, p, 1) for p in range(partitions)], asynchronous=False)
    consumer.close()
    return name


def test_it_tells_over_http_and_as_a_table_in_80_mb(kafka, new_topic, producer, monitor):
    name = wide_group(kafka, new_topic, producer, 300)
    one = monitor(
        KAFKA_BOOTSTRAP_SERVERS=kafka,
        STREAM_APP_MONITOR_GROUPS=json.dumps([name]),
        STREAM_APP_MONITOR_INTERVAL_MS="100",
    )
    wait_until("the group is seen", lambda: one.group(name))
    shown = wait_until("all its times are known", lambda: (row := one.group(name)) and row["lag_seconds"] and row)
    assert (shown["lag_records"], len(shown["partitions"])) == (600, 300)
    assert 89 < shown["lag_seconds"] < 120

    found = one.metrics()
    assert {name.removesuffix("_total") for name in METRICS} == set(found)
    for metric in METRICS.values():
        family = found[metric.name.removesuffix("_total")]
        assert family.documentation == metric.help
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)
            assert sample.name.startswith(metric.name) if metric.kind == "histogram" else sample.name == metric.name
    lag = {sample.labels["partition"]: sample.value for sample in found["crm_group_lag_records"].samples}
    assert lag == {str(partition): 2 for partition in range(300)}
    status = {
        (sample.labels["group"], sample.labels["status"])
        for sample in found["crm_group_status"].samples
        if sample.value == 1
    }
    assert {("crm-stats-ingest", "NOTFOUND"), ("crm-stats-ledger-1", "NOTFOUND")} <= status
    assert not [s for s in found["crm_group_members"].samples if s.labels["group"] == "crm-stats-ingest"]

    table = one.command()
    assert table.returncode == 1, "our groups are not there"
    assert name in table.stdout
    assert "NOTFOUND" in table.stdout
    assert "start it." in table.stdout
    assert json.loads(one.command("--json").stdout)["groups"]

    looks = one.status()["kafka"]["looked_ms"]
    wait_until("it has looked for 10 s more", lambda: one.status()["kafka"]["looked_ms"] > looks + 10_000)
    assert psutil.Process(one.process.pid).memory_info().rss / 2**20 <= RESIDENT_MB_MAX
    assert one.end() == 0


def answer_code(request):
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_unknown_paths_methods_and_long_heads_are_refused_and_harm_nothing(kafka, monitor):
    one = monitor(KAFKA_BOOTSTRAP_SERVERS=kafka)
    wait_until("it answers", one.status)
    for path, method, code in (("/", "GET", 404), ("/status", "POST", 405), ("/metrics?x=%ff&", "HEAD", 200)):
        request = urllib.request.Request(f"http://127.0.0.1:{one.port}{path}", method=method)
        assert answer_code(request) == code
    for nonsense in (b"\r\n\r\n", b"\xff\x00 \r\n\r\n", b"GET " + b"x" * 100_000 + b"\r\n\r\n", b"GET /status"):
        with socket.create_connection(("127.0.0.1", one.port)) as link:
            link.sendall(nonsense)
            link.shutdown(socket.SHUT_WR)
            while link.recv(65_536):
                pass
    assert json.loads(one.get("/healthz")) == {}
    assert one.end() == 0


def test_a_cluster_that_is_away_is_told_and_nothing_else_is_claimed(monitor):
    one = monitor(KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}")
    shown = wait_until("a look has failed", lambda: (s := one.status()) and s["kafka"]["failure"] and s)
    assert (shown["kafka"]["is_seen"], shown["groups"]) == (False, [])
    found = one.metrics()
    assert found["crm_monitor_look_failures"].samples[0].value >= 1
    assert found["crm_monitor_last_look_timestamp_seconds"].samples[0].value == 0
    assert found["crm_group_lag_records"].samples == found["crm_group_status"].samples == []
    table = one.command()
    assert table.returncode == 1
    assert "Kafka is not seen" in table.stdout
    assert one.end() == 0


def test_a_busy_port_and_a_monitor_that_is_not_there_are_one_sentence(monitor):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        env = {**os.environ, "STREAM_APP_MONITOR_PORT": port}
        done = subprocess.run([PROGRAM, "monitor"], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"stream-app monitor: 127.0.0.1:{port} is in use: stop what listens there, or set STREAM_APP_MONITOR_PORT.\n"
    )
    done = subprocess.run([PROGRAM, "status"], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"stream-app status: the monitor does not answer at http://127.0.0.1:{port}/status: "
        "start it by make up, or stream-app monitor.\n"
    )


def test_it_waits_for_no_look_when_it_is_told_to_stop(monitor):
    """A broker that takes connections and says nothing."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        one = monitor(KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{silent.getsockname()[1]}")
        wait_until("it answers", one.status)
        began = time.monotonic()
        one.process.send_signal(signal.SIGINT)
        assert one.process.wait(20) == 0
        assert time.monotonic() - began < 20


async def test_a_look_that_hangs_ends_the_monitor():
    """Else what was seen last would stand there as if it were so."""
    looks = []

    async def look():
        looks.append(1)
        await asyncio.sleep(0 if len(looks) < 3 else 3600)

    with pytest.raises(TimeoutError):
        await every(0.001, look, 0.05)
    assert len(looks) == 3

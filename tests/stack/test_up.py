"""`stream-app up`, `down` and `clean` with real servers, on a machine whose usual ports are taken."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import psutil
import pytest
import redis
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from clickhouse_driver import Client

from config.settings import load
from stream_app.cli.topics import topics_of
from tests.stack.stacks import SERVERS, Stack
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def stack(tmp_path_factory, taken):
    """The servers, started by two `up` at once."""
    stack = Stack(tmp_path_factory.mktemp("up"))
    try:
        both = [stack.popen("up", "--servers-only") for _ in range(2)]
        outputs = [process.communicate(timeout=300) for process in both]
        assert [process.returncode for process in both] == [0, 0], outputs
        yield stack
    finally:
        stack.ok("clean")


def test_pid_files_hold_the_pid_alone_as_kill_wants_it(stack):
    named = subprocess.run(
        ["bash", "-euc", "kill -0 $(cat redis.pid) && cat redis.pid"],
        cwd=stack.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert named.stdout == f"{stack.pids()['redis']}\n"


def test_two_ups_at_once_start_one_of_each(stack):
    assert sorted(stack.pids()) == SERVERS
    inside = [
        process.pid
        for process in psutil.process_iter(["cwd"])
        if process.info["cwd"] and Path(process.info["cwd"]).is_relative_to(stack.folder)
    ]
    assert sorted(inside) == sorted(stack.pids().values())


def test_a_busy_port_is_replaced_and_its_owner_untouched(stack, taken):
    env = stack.env()
    assert not env["KAFKA_BOOTSTRAP_SERVERS"].endswith(":9092")
    assert ":6379/" not in env["REDIS_URL"]
    assert not env["CLICKHOUSE_URL"].endswith(":9000")
    for listener in taken:
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_env_is_for_its_owner_only_for_it_holds_the_secret(stack):
    assert (stack.folder / "env").stat().st_mode & 0o777 == 0o600
    assert len(stack.env()["STREAM_APP_JWT_SECRET"]) >= 32


def test_up_again_changes_nothing(stack):
    before = stack.pids(), stack.env()
    stack.ok("up", "--servers-only")
    assert (stack.pids(), stack.env()) == before


def test_up_makes_the_topics_as_the_flow_needs_them(stack):
    async def look():
        client = AIOKafkaAdminClient(bootstrap_servers=stack.env()["KAFKA_BOOTSTRAP_SERVERS"])
        await client.start()
        try:
            topics = {t["topic"]: len(t["partitions"]) for t in await client.describe_topics()}
            [answer] = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, load().events)])
            return topics, {entry[0]: entry[1] for entry in answer.resources[0][4]}
        finally:
            await client.close()

    topics, events = asyncio.run(look())
    assert {topic.name: topic.partitions for topic in topics_of(load())}.items() <= topics.items()
    assert events["retention.ms"] == "-1"
    assert events["retention.bytes"] == "-1"
    assert events["message.timestamp.type"] == "LogAppendTime"
    assert int(events["max.message.bytes"]) >= 1024 * 1024


def test_a_killed_server_is_started_again_where_it_was_with_its_data(stack):
    address = stack.env()["REDIS_URL"]
    with redis.Redis.from_url(address) as client:
        client.set("stack", "kept")
    before = stack.pids()
    os.kill(before["redis"], signal.SIGKILL)
    stack.ok("up", "--servers-only")
    after = stack.pids()
    assert after["redis"] != before["redis"]
    assert {**after, "redis": 0} == {**before, "redis": 0}
    assert stack.env()["REDIS_URL"] == address
    with redis.Redis.from_url(address) as client:
        assert client.get("stack") == b"kept"


def test_a_recycled_pid_is_nobody_of_ours(stack):
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            (stack.folder / "simulate.pid").write_text(f"{stranger.pid}\n")
            (stack.folder / "simulate.start").write_text(f"{stranger.pid}\n1.00\n\n")
            secret, clickhouse = stack.env()["STREAM_APP_JWT_SECRET"], stack.env()["CLICKHOUSE_URL"]
            client = Client.from_url(clickhouse)
            client.execute("CREATE TABLE kept (x UInt8) ENGINE = TinyLog")
            client.disconnect()
            stack.ok("down")
            assert stack.pids() == {}
            assert stranger.poll() is None
        finally:
            stranger.kill()
    stack.ok("up", "--servers-only")
    assert stack.env()["STREAM_APP_JWT_SECRET"] == secret
    client = Client.from_url(stack.env()["CLICKHOUSE_URL"])
    assert client.execute("SHOW TABLES") == [("kept",)]
    client.disconnect()


def test_up_starts_workers_api_and_monitor_and_again_what_died(stack):
    out = stack.ok("up", "--workers", "1")
    before = stack.pids()
    assert sorted(before) == sorted(["api", "monitor", *SERVERS, "worker-1"])
    address = re.search(r"^API: (.*)/docs$", out, re.MULTILINE)[1]
    assert address == f"http://127.0.0.1:{stack.ports['STREAM_APP_API_PORT']}"
    with urllib.request.urlopen(f"{address}/readyz") as answer:
        assert answer.status == 200
    page, token = re.search(r"^Dashboard, with a token for 24 hours: (.*/)#token=(\S+)$", out, re.MULTILINE).groups()
    with urllib.request.urlopen(page) as answer:
        assert b'src="app.js"' in answer.read()
    asked = urllib.request.Request(f"{page}smart-bi/crm/operators", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(asked) as answer:
        assert answer.status == 200
    page, token = re.search(
        r"^Operations, with a token for 24 hours: (.*/ops)#token=(\S+)$", out, re.MULTILINE
    ).groups()
    with urllib.request.urlopen(page) as answer:
        assert b'src="ops.js"' in answer.read()
    asked = urllib.request.Request(f"{page}/status", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(asked) as answer:
        assert json.load(answer)["data"]["answers"]
    os.kill(before["worker-1"], signal.SIGKILL)
    stack.ok("up", "--workers", "2")
    after = stack.pids()
    assert sorted(after) == sorted(["api", "monitor", *SERVERS, "worker-1", "worker-2"])
    assert after["worker-1"] != before["worker-1"]
    assert {name: after[name] for name in before if name != "worker-1"}.items() <= before.items()
    for name in ("worker-1", "worker-2"):
        assert (stack.folder / f"{name}.ready").read_text().strip() == str(after[name])
    wait_until("all is well by what the monitor says", lambda: stack.run("status")[0] == 0)
    out = stack.ok("status")
    assert "crm-stats-ingest" in out
    assert "crm-stats-ledger-1" in out


def test_clean_drops_data_and_nothing_else(stack):
    assert (stack.folder / "state" / "worker-1").exists()
    before, pids = stack.env(), stack.pids()
    stack.ok("clean")
    assert not [pid for pid in pids.values() if psutil.pid_exists(pid)]
    assert not (stack.folder / "data").exists()
    assert not (stack.folder / "state").exists()
    assert stack.env() == before
    assert (stack.folder / "kafka.log").exists()


def test_down_and_clean_of_nothing_are_fine(tmp_path):
    assert Stack(tmp_path / "new").ok("down") == "Nothing was running\n"
    Stack(tmp_path / "new").ok("clean")


def test_servers_given_by_address_are_used_and_not_started(tmp_path, kafka, redis_url):
    stack = Stack(tmp_path / "given")
    try:
        given = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "STREAM_APP_REDIS_URL": redis_url}
        stack.ok("up", "--servers-only", STREAM_APP_TOPIC_EVENTS="stack.given", **given)
        assert sorted(stack.pids()) == ["clickhouse"]
        assert stack.env()["KAFKA_BOOTSTRAP_SERVERS"] == kafka

        async def topics():
            client = AIOKafkaAdminClient(bootstrap_servers=kafka)
            await client.start()
            try:
                return await client.list_topics()
            finally:
                await client.close()

        assert "stack.given-1" in asyncio.run(topics())
    finally:
        stack.ok("clean")


@pytest.mark.parametrize("name", ["API", "MONITOR"])
def test_a_busy_port_of_ours_is_one_clear_sentence(tmp_path, name):
    stack = Stack(tmp_path / "busy")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, out, err = stack.run("up", **{f"STREAM_APP_{name}_PORT": str(port)})
    assert (code, out) == (1, "")
    assert err.startswith(f"stream-app up: Port {port} is taken by another program (")
    assert err.count("\n") == 1
    assert stack.pids() == {}

"""`make demo`, twice, as a user without rights, on a machine whose usual ports are taken; then `make down` and `make clean`.

That the demo's figures are what was sent is tests/simulator/test_commands.py.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import psutil
import pytest

from config.settings import LIB, ROOT
from stream_app.local import kafka_server, redis_server
from tests.stack.nobody import Nobody
from tests.stack.stacks import SERVERS, Stack

SMALL = "ARGS=--months 2 --customers 30"


def checkout():
    """What git sees changed or new."""
    return subprocess.run(["git", "status", "--short"], cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def nobody(kafka, redis_url, clickhouse_url):
    """Its servers are those that this checkout has downloaded."""
    folder = Path(tempfile.mkdtemp(prefix="crm-stats-nobody-"))
    nobody = Nobody(folder)
    yield nobody
    nobody.make("clean")
    shutil.rmtree(folder)


@pytest.mark.timeout(600)  # it starts everything twice
def test_demo_again_down_and_clean_by_nobody_with_the_ports_taken(nobody, taken):
    stack, before = Stack(nobody.run_folder), checkout()

    def make(*arguments):
        code, said = nobody.make(*arguments, "WORKERS=1", SMALL, **stack.ports)
        assert code == 0, said
        return said

    said = make("demo")
    assert "Stadtwerke Musterstadt (M1), ALL: payments in EUR, months of Europe/Berlin" in said
    assert f"http://127.0.0.1:{stack.ports['STREAM_APP_API_PORT']}/" in said
    assert "Live traffic runs now" in said
    pids, env = stack.pids(), stack.env()
    assert {"api", "simulate", "worker-1", *SERVERS} <= pids.keys()
    assert {psutil.Process(pid).uids().real for pid in pids.values()} == {nobody.uid}

    assert not env["KAFKA_BOOTSTRAP_SERVERS"].endswith(":9092")
    assert ":6379/" not in env["REDIS_URL"]
    assert not env["CLICKHOUSE_URL"].endswith(":9000")
    for busy, name in ((9092, "kafka"), (6379, "redis"), (9000, "clickhouse")):
        assert f"Port {busy} is busy: {name} listens on " in said
    reached = {
        connection.raddr.port
        for pid in pids.values()
        for connection in psutil.Process(pid).net_connections("tcp")
        if connection.raddr
    }
    assert reached
    assert not reached & {listener.getsockname()[1] for listener in taken}

    said = make("demo")
    assert "its history is not sent again" in said
    assert "Live traffic runs already" in said
    assert (stack.pids(), stack.env()) == (pids, env)

    make("down")
    assert stack.pids() == {}
    assert not [pid for pid in pids.values() if psutil.pid_exists(pid)]

    said = make("demo")
    assert "its history is not sent again" in said
    assert "Live traffic runs now" in said
    assert stack.env() == env
    pids = stack.pids()

    make("clean")
    assert stack.pids() == {}
    assert not [pid for pid in pids.values() if psutil.pid_exists(pid)]
    assert not (nobody.run_folder / "data").exists()
    assert not (nobody.run_folder / "state").exists()
    assert stack.env() == env
    assert (LIB / f"kafka-{kafka_server.VERSION}").exists()
    assert (LIB / f"valkey-{redis_server.VERSION}").exists() or shutil.which("redis-server")
    assert checkout() == before


def test_a_folder_that_nobody_may_write_is_one_clear_sentence(nobody):
    locked = nobody.folder / "locked"
    locked.mkdir(mode=0o555)
    code, said = nobody.make("demo", "WORKERS=1", STREAM_APP_RUN=str(locked / "run"))
    assert code != 0
    assert said.splitlines()[0].startswith("stream-app up: ")
    assert "Traceback" not in said

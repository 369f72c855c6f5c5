"""Real servers for the tests, each started when the first test asks for it and ended with the session.

They lie in a temporary folder, on free ports: a running `make up` is neither used nor touched. With TEST_STACK=1 the
addresses in the environment are taken instead, which must be of servers that tests may fill.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before anything imports config: no test may read the addresses of a stack that somebody works with.
if os.environ.get("TEST_STACK") != "1":
    for variable in [name for name in os.environ if name.startswith("STREAM_APP_")]:
        del os.environ[variable]
    for variable in ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "CLICKHOUSE_URL"):
        os.environ.pop(variable, None)
# Brokers of tests live for minutes: without the second compiler they start with half of the CPU time (4.1 s against 2.5 s).
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
os.environ["STREAM_APP_RUN"] = RUN = tempfile.mkdtemp(prefix="crm-stats-tests-")

from stream_app.local import ports
from stream_app.local.processes import find, stop
from stream_app.local.run_folder import RunFolder
from stream_app.local.servers import SERVERS, start_server
from tests.support.own_server import OwnServer

# Processes that share the tests give no port twice that one of them has not bound yet.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    ports.RANGE = ports.RANGE[int(worker.removeprefix("gw")) :: int(os.environ["PYTEST_XDIST_WORKER_COUNT"])]

# Begun first where several processes share the tests, so that at the end none of their files is left for one of them alone.
LONGEST_ROOMS = ["e2e", "storm", "monitor", "rebuild", "stack", "dashboard", "simulation", "oracle_room", "partition"]
# What `make quick` leaves out.
ROOMS_OF_PROCESSES = {"dashboard", "deploy", "e2e", "faust_seam", "monitor", "stack", "storm"}
FIXTURES_OF_PROCESSES = {
    "broker",
    "secured_clickhouse",
    "kafka",
    "redis_url",
    "clickhouse_url",
    "own_kafka",
    "own_redis",
    "deploy",
    "deployment",
    "grown",
    "run_folder",
}

pytest_plugins = ["tests.support.kafka", "tests.support.deployment"]

LIB = Path(__file__).resolve().parent.parent / ".run" / "lib"


def pytest_addoption(parser):
    parser.addoption("--pure", action="store_true", help="only tests that start no server, browser or other process")


def pytest_ignore_collect(collection_path, config):
    """With --pure: leave out the rooms whose tests start processes by themselves."""
    if config.getoption("--pure") and collection_path.parent == Path(__file__).parent:
        return collection_path.name in ROOMS_OF_PROCESSES or None
    return None


def pytest_collection_modifyitems(config, items):
    """Begin with the longest rooms. With --pure: leave out tests that ask for something which starts processes."""
    rooms = {room: place for place, room in enumerate(LONGEST_ROOMS)}
    items.sort(key=lambda item: rooms.get(_room(item), len(rooms)))
    if config.getoption("--pure"):
        config.hook.pytest_deselected(items=[item for item in items if not _is_pure(item)])
        items[:] = filter(_is_pure, items)


def pytest_collection_finish():
    """What a test imports must not lead to another run folder, as a program of the benchmarks does: processes would share its servers."""
    assert os.environ["STREAM_APP_RUN"] == RUN, "a test imports bench.apart"


def _is_pure(item):
    return FIXTURES_OF_PROCESSES.isdisjoint(item.fixturenames)


def _room(item):
    return item.path.relative_to(Path(__file__).parent).parts[0]


def pytest_sessionfinish(exitstatus):
    """What the servers wrote is worth a look only when something failed."""
    if exitstatus == 0:
        shutil.rmtree(os.environ["STREAM_APP_RUN"], ignore_errors=True)


@pytest.fixture(scope="session")
def run_folder() -> RunFolder:
    """The folder of the session's servers; downloads are those of the checkout."""
    return RunFolder(Path(os.environ["STREAM_APP_RUN"]), LIB)


@pytest.fixture(scope="session")
def kafka(run_folder: RunFolder) -> Iterator[str]:
    """Bootstrap address of a Kafka broker that makes no topics by itself."""
    yield from _server(run_folder, "kafka")


@pytest.fixture(scope="session")
def redis_url(run_folder: RunFolder) -> Iterator[str]:
    """URL of a Redis; whoever fills it uses keys of its own or empties it."""
    yield from _server(run_folder, "redis")


@pytest.fixture(scope="session")
def clickhouse_url(run_folder: RunFolder) -> Iterator[str]:
    """URL of a ClickHouse 18.16; whoever fills it uses a database of its own."""
    yield from _server(run_folder, "clickhouse")


def _server(run: RunFolder, name: str) -> Iterator[str]:
    server = next(server for server in SERVERS if server.name == name)
    if os.environ.get("TEST_STACK") == "1" and server.variable in os.environ:
        yield os.environ[server.variable]
        return
    address = start_server(run, server, None, default_ports=False)
    try:
        yield address
    finally:
        running = find(run, name)
        assert running is not None, f"{name} died during the tests; see {run.log_file(name)}"
        stop(run, [running], seconds_max=10)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnServer]:
    """A Redis that a test may stop and start again."""
    yield from _own("redis", tmp_path)


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[OwnServer]:
    """A Kafka that nobody asked anything yet, and that a test may stop and start again."""
    yield from _own("kafka", tmp_path)


def _own(name: str, folder: Path) -> Iterator[OwnServer]:
    server = OwnServer(name, folder / name, LIB)
    try:
        yield server
    finally:
        server.halt()

"""Redis servers of these tests' own: one that comes back with older data, one in cluster mode, and a cluster of three."""

import asyncio
import os
import shutil
import signal
from contextlib import suppress

import orjson
import pytest
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.crc import key_slot
from redis.exceptions import ReadOnlyError, RedisError

from stream_app.api.guard.rate_window import RateRequest, RedisWindow
from stream_app.domain.events import ALL
from stream_app.domain.tables import HALF_HOUR, MONTHLY
from stream_app.local import ports
from stream_app.local.processes import child_env, find, start, stop, wait_ready
from stream_app.local.redis_server import answers, install, launch
from stream_app.local.run_folder import RunFolder
from stream_app.ports.sinks import Dirty
from stream_app.sinks.redis import RedisSink
from stream_app.sinks.redis_calls import connect
from stream_app.sinks.redis_keys import document_key
from tests.sinks.redis_reader import RedisReader
from tests.support.fake_view import MONTH, STRANGE, example

BUS = 10_000  # ports above that of a node lies the one that nodes talk over


def _dirty(key):
    """One monthly cell."""
    dirty = Dirty()
    dirty.cells[MONTHLY.name].add(key)
    return dirty


@pytest.fixture
def own(tmp_path, run_folder):
    """A folder for one server, which is ended with the test."""
    run = RunFolder(tmp_path, run_folder.lib)
    yield run
    if running := find(run, "redis"):
        stop(run, [running], seconds_max=10)


async def test_as_of_waits_when_the_server_came_back_with_older_data(own):
    port = ports.free_port()
    running = launch(own, port)
    sink, view = RedisSink(running.note, generation=1, partitions=8), example()
    await sink.write([(view, await sink.compare(view))])
    assert await sink.write_as_of({3: 1_795_507_200_000}) == set()
    shutil.copytree(own.data, own.root / "older")
    key = view.set_month("M1", ALL, MONTH, 800, [12, 3, 1], EUR=[1] * 6)
    await sink.write([(view, _dirty(key))])
    stop(own, [running], seconds_max=10)
    shutil.rmtree(own.data)
    shutil.move(own.root / "older", own.data)
    launch(own, port)
    redis = Redis.from_url(running.note)
    assert orjson.loads(await redis.get(document_key(MONTHLY, "M1", ALL)))["version"] == 600
    assert await sink.write_as_of({3: 1_795_507_300_000}) == {3}
    assert await redis.hget("crm:as-of", "3") == b"2026-11-24T08:00:00.000Z"
    dirty = await sink.compare(view)
    assert {key[:2] for key in dirty.cells[MONTHLY.name]} == {("M1", ALL)}
    assert not dirty.cells[HALF_HOUR.name]
    await sink.write([(view, dirty)])
    assert await sink.write_as_of({3: 1_795_507_300_000}) == set()
    assert orjson.loads(await redis.get(document_key(MONTHLY, "M1", ALL)))["version"] == 800
    await redis.aclose()
    await sink.close()


def _cluster_port() -> int:
    return next(port for port in iter(ports.free_port, None) if port + BUS < 32_768 and ports.is_free(port + BUS))


@pytest.fixture
async def moving(tmp_path, run_folder):
    """The URL of an address, what makes it lead to another server, and the ports of two servers."""
    folders = [RunFolder(tmp_path / name, run_folder.lib) for name in ("one", "two")]
    port_numbers = [ports.free_port() for _ in folders]
    running = [launch(run, port) for run, port in zip(folders, port_numbers, strict=True)]
    leads_to, copying = port_numbers[0], set()

    async def pipe(reader, writer):
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(reader, writer):
        server_reader, server_writer = await asyncio.open_connection(ports.HOST, leads_to)
        copying.update(
            (asyncio.create_task(pipe(reader, server_writer)), asyncio.create_task(pipe(server_reader, writer)))
        )

    def move(port):
        nonlocal leads_to
        leads_to = port

    proxy = await asyncio.start_server(connected, ports.HOST, 0)
    yield f"redis://{ports.HOST}:{proxy.sockets[0].getsockname()[1]}/0", move, port_numbers
    proxy.close()
    await asyncio.wait(copying, timeout=5)
    for run, process in zip(folders, running, strict=True):
        stop(run, [process], seconds_max=10)


async def test_after_a_failure_the_server_is_asked_that_the_address_leads_to_by_then(moving):
    """A server that became a replica keeps its connections, and answers READONLY on them for ever."""
    url, move, (first, second) = moving
    sink, view, client = RedisSink(url, generation=1, partitions=8), example(), connect(url)
    window = RedisWindow(client, 5)
    old = Redis(host=ports.HOST, port=first)
    try:
        await sink.write([(view, await sink.compare(view))])
        assert await window.take([RateRequest("t", 10, 1)]) == [1]
        await old.execute_command("REPLICAOF", ports.HOST, second)
        move(second)
        for step in (lambda: sink.write_as_of({3: 1_795_507_200_000}), lambda: window.take([RateRequest("t", 10, 1)])):
            with pytest.raises(ReadOnlyError):
                await step()
        await sink.write([(view, await sink.compare(view))])
        assert await sink.write_as_of({3: 1_795_507_200_000}) == set()
        assert await window.take([RateRequest("t", 10, 1)]) == [1]
    finally:
        await old.aclose()
        await client.aclose()
        await sink.close()


@pytest.fixture
async def cluster_address(own):
    """host:port of a cluster of one node, which refuses what a larger one would: scripts over several slots."""
    port = _cluster_port()
    url, data = f"redis://{ports.HOST}:{port}/0", own.data / "redis"
    data.mkdir(parents=True)
    options = {"bind": ports.HOST, "port": port, "dir": data, "cluster-enabled": "yes", "save": ""}
    command = [install(own.lib), *(str(part) for name, value in options.items() for part in (f"--{name}", value))]
    running = start(own, "redis", command, note=url, env=child_env(), cwd=own.root)
    wait_ready(own, running, lambda: answers(url), 30)
    node = Redis.from_url(url)
    await node.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    async with asyncio.timeout(30):
        while (await node.execute_command("CLUSTER INFO"))["cluster_state"] != "ok":  # noqa: ASYNC110  # of another process
            await asyncio.sleep(0.01)
    await node.aclose()
    return f"{ports.HOST}:{port}"


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
async def test_a_cluster_takes_every_command(cluster_address, scheme):
    url = f"{scheme}://{cluster_address}"
    sink, reader, view = RedisSink(url, generation=1, partitions=8), RedisReader(url), example()
    assert isinstance(reader.client, RedisCluster) == (scheme == "redis+cluster")
    await sink.write([(view, await sink.compare(view))])
    assert await sink.write_as_of({3: 1_795_507_200_000}) == set()
    assert not await sink.compare(view)
    document, as_of = await reader.document(MONTHLY, STRANGE, STRANGE)
    assert document.version == 2**52 + 1
    assert as_of == {3: "2026-11-24T08:00:00.000Z"}
    assert set((await reader.operators())[0]) == {"M1", "yen", STRANGE}
    await sink.write([(view, view.drop_group("M1", "vip"))])
    assert (await reader.document(MONTHLY, "M1", "vip"))[0] is None
    await sink.close()
    await reader.close()


class Node:
    """A server of a cluster, in a folder of its own."""

    def __init__(self, run: RunFolder, number: int) -> None:
        self.port = _cluster_port()
        self.data = run.data / f"node-{number}"
        self.data.mkdir(parents=True)
        self._run, self._name = run, f"redis-{number}"
        self.url = f"redis://{ports.HOST}:{self.port}/0"
        options = {"bind": ports.HOST, "port": self.port, "dir": self.data, "cluster-enabled": "yes", "save": ""}
        options |= {"appendonly": "yes", "cluster-node-timeout": 500, "cluster-require-full-coverage": "no"}
        self._command = [
            install(run.lib),
            *(str(part) for name, value in options.items() for part in (f"--{name}", value)),
        ]
        self.begin()

    def begin(self) -> None:
        env = child_env()
        self.running = start(self._run, self._name, self._command, note=self.url, env=env, cwd=self._run.root)
        wait_ready(self._run, self.running, lambda: answers(self.url), 30)

    async def ask(self, *command):
        client = Redis.from_url(self.url)
        try:
            return await client.execute_command(*command)
        finally:
            await client.aclose()

    def halt(self) -> None:
        stop(self._run, [self.running], seconds_max=10)


SLOTS = [(0, 5460), (5461, 10922), (10923, 16383)]


@pytest.fixture
async def cluster(tmp_path, run_folder):
    """Three servers that share the slots, and a fourth that copies the one which does not hold as-of."""
    run = RunFolder(tmp_path, run_folder.lib)
    nodes = [Node(run, number) for number in range(4)]
    for node, (first, last) in zip(nodes, SLOTS, strict=False):
        await node.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
    for number, node in enumerate(nodes, 1):
        await node.ask("CLUSTER", "SET-CONFIG-EPOCH", number)
        await nodes[0].ask("CLUSTER", "MEET", ports.HOST, node.port)
    for node in nodes:
        await _until(node.ask, ("CLUSTER INFO",), lambda info: info["cluster_known_nodes"] == "4")
        await _until(node.ask, ("CLUSTER INFO",), lambda info: info["cluster_state"] == "ok")
    yield nodes
    for node in nodes:
        node.halt()


async def _until(ask, command, wanted):
    async with asyncio.timeout(30):
        while not wanted(await ask(*command)):  # noqa: ASYNC110  # of another process
            await asyncio.sleep(0.01)


def _holder(nodes, key):
    """The server that a key lies on."""
    return next(
        node for node, (first, last) in zip(nodes, SLOTS, strict=False) if first <= key_slot(key.encode()) <= last
    )


@pytest.mark.parametrize("how", ["fails over to a replica that was behind", "is emptied", "restarts with older data"])
async def test_as_of_waits_when_one_server_of_a_cluster_lost_documents(cluster, how):
    """As-of lies on another one, which lost nothing."""
    name = document_key(MONTHLY, "yen", ALL)
    held, spare = _holder(cluster, name), cluster[3]
    assert held is not _holder(cluster, "crm:as-of")
    sink, view = RedisSink(f"redis+cluster://{ports.HOST}:{cluster[0].port}", generation=1, partitions=8), example()
    await sink.write([(view, await sink.compare(view))])
    assert await sink.write_as_of({3: 1_795_507_200_000}) == set()
    if how.startswith("fails"):
        await spare.ask("CLUSTER", "REPLICATE", (await held.ask("CLUSTER", "MYID")).decode())
        await _until(spare.ask, ("INFO", "replication"), lambda info: info["master_link_status"] == "up")
        await _until(spare.ask, ("DBSIZE",), lambda size: size > 0)
        os.kill(spare.running.process.pid, signal.SIGSTOP)
        await held.ask("CLIENT", "KILL", "TYPE", "replica")
    elif how.startswith("restarts"):
        held.halt()
        shutil.copytree(held.data, held.data.with_name("older"))
        held.begin()
        await _until(held.ask, ("CLUSTER INFO",), lambda info: info["cluster_state"] == "ok")
    await sink.write([(view, await sink.compare(view))])
    key = view.set_month("yen", ALL, MONTH, 800, [12, 3, 1])
    await sink.write([(view, _dirty(key))])
    assert await sink.write_as_of({3: 1_795_507_200_000}) == set()
    if how == "is emptied":
        await held.ask("FLUSHALL")
    elif how.startswith("restarts"):
        held.halt()
        shutil.rmtree(held.data)
        shutil.move(held.data.with_name("older"), held.data)
        held.begin()
        await _until(held.ask, ("CLUSTER INFO",), lambda info: info["cluster_state"] == "ok")
    else:
        held.running.process.kill()
        os.kill(spare.running.process.pid, signal.SIGCONT)
        await _until(spare.ask, ("INFO", "replication"), lambda info: info["master_link_status"] == "down")
        await spare.ask("CLUSTER", "FAILOVER", "TAKEOVER")
        for node in cluster:
            if node is not held:
                await _until(node.ask, ("CLUSTER INFO",), lambda info: info["cluster_state"] == "ok")

    async def step():
        """As a sink writer does: what fails is tried again."""
        with suppress(RedisError):
            return await sink.write_as_of({3: 1_795_507_300_000})

    lost = None
    async with asyncio.timeout(30):
        while lost is None:
            lost = await step()
    assert lost == {3}
    reader = RedisReader(f"redis+cluster://{ports.HOST}:{cluster[0].port}")
    assert await reader.as_of() == {3: "2026-11-24T08:00:00.000Z"}
    dirty = await sink.compare(view)
    assert ("yen", ALL) in {key[:2] for key in dirty.cells[MONTHLY.name]}
    await sink.write([(view, dirty)])
    assert await sink.write_as_of({3: 1_795_507_300_000}) == set()
    assert (await reader.document(MONTHLY, "yen", ALL))[0].version == 800
    await sink.close()
    await reader.close()

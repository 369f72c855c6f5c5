"""Redis servers of these tests' own: one that comes back with older data, and one in cluster mode."""

import asyncio
import shutil
from contextlib import suppress

import orjson
import pytest
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import ReadOnlyError

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

CLUSTER_PORT_MAX = 55_535  # its nodes talk 10,000 ports above


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
    port = next(port for port in iter(ports.free_port, None) if port <= CLUSTER_PORT_MAX)
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

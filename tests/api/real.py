"""The API on real stores, filled by the sinks themselves: in this process, or as the command on a port of its own."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager

from clickhouse_driver import Client
from redis.asyncio import Redis

from config.settings import ROOT
from stream_app.api.app import stores
from stream_app.local.stack import answers_http
from stream_app.sinks.clickhouse import ClickHouseSink
from stream_app.sinks.redis import RedisSink
from tests.api.worlds import SECRET, api, settings

DATABASE = "api_test"
LIVE_MS, STORED_MS = 1_795_500_009_000, 1_795_500_004_000  # as-of of Redis, and of ClickHouse, which is behind
NOBODY = "redis://127.0.0.1:1/0"
NOBODYS = "clickhouse://default@127.0.0.1:1"


async def fill(redis_url, clickhouse_url, *views):
    """Both stores with what the views hold, and nothing else."""
    client = Redis.from_url(redis_url)
    await client.flushall()
    await client.aclose()
    raw = Client.from_url(clickhouse_url)
    raw.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
    raw.disconnect()
    for sink, as_of_ms in (
        (RedisSink(redis_url, generation=1, partitions=8), LIVE_MS),
        (ClickHouseSink(clickhouse_url, DATABASE), STORED_MS),
    ):
        for view in views:
            await sink.write([(view, await sink.compare(view))])
            assert await sink.write_as_of({view.partition: as_of_ms}) == set()
        await sink.close()


@asynccontextmanager
async def real(redis_url, clickhouse_url, **changes):
    """A client of an API in this process."""
    addresses = {"redis_url": redis_url, "clickhouse_url": clickhouse_url, "clickhouse_database": DATABASE}
    async with api(found=stores(settings(**addresses)), **changes) as client:
        yield client


def run(port, **environment):
    """`stream-app api`, started."""
    names = {"STREAM_APP_API_PORT": str(port), "STREAM_APP_CLICKHOUSE_DATABASE": DATABASE} | environment
    return subprocess.Popen(
        [sys.executable, "-c", "from stream_app.cli import main; main()", "api"],
        cwd=ROOT,
        env=os.environ | names,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@contextmanager
def served(redis_url, clickhouse_url):
    """Address of `stream-app api` on these stores, ready."""
    port = free_port()
    process = run(port, REDIS_URL=redis_url, CLICKHOUSE_URL=clickhouse_url, STREAM_APP_JWT_SECRET=SECRET)
    process.stderr.close()  # what it logs is of no interest, and must not fill a pipe
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        ready = answers_http(f"{address}/readyz")
        while not ready():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def filled_once(redis_url, clickhouse_url, *views):
    """`fill` for fixtures that are not asynchronous."""
    asyncio.run(fill(redis_url, clickhouse_url, *views))

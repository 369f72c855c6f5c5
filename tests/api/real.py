"""The API on real stores, filled by the sinks themselves."""

import asyncio
from contextlib import asynccontextmanager

from clickhouse_driver import Client
from redis.asyncio import Redis

from stream_app.api.app import stores
from stream_app.sinks.clickhouse import ClickHouseSink
from stream_app.sinks.redis import RedisSink
from tests.support.api import api, settings

DATABASE = "api_test"
LIVE_MS, STORED_MS = 1_795_500_009_000, 1_795_500_004_000  # as-of of Redis, and of ClickHouse, which is behind


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
        (ClickHouseSink(clickhouse_url, DATABASE, generation=1, partitions=8), STORED_MS),
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


def filled_once(redis_url, clickhouse_url, *views):
    """`fill` for fixtures that are not asynchronous."""
    asyncio.run(fill(redis_url, clickhouse_url, *views))

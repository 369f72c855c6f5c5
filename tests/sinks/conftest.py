"""Sinks on real servers, emptied for each test."""

import pytest
from clickhouse_driver import Client
from redis.asyncio import Redis

from stream_app.sinks.clickhouse import ClickHouseSink
from stream_app.sinks.clickhouse_reader import ClickHouseReader
from stream_app.sinks.redis import RedisSink
from tests.sinks.redis_reader import RedisReader

DATABASE = "sinks_test"


@pytest.fixture
async def raw_redis(redis_url):
    client = Redis.from_url(redis_url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def redis_sink(redis_url, raw_redis):
    sink = RedisSink(redis_url, generation=1, partitions=8)
    yield sink
    await sink.close()


@pytest.fixture
async def redis_sink_of(redis_url, raw_redis):
    """Makes the sink of a generation with so many partitions."""
    made = []

    def make(generation, partitions):
        made.append(RedisSink(redis_url, generation=generation, partitions=partitions))
        return made[-1]

    yield make
    for sink in made:
        await sink.close()


@pytest.fixture
async def redis_reader(redis_url, raw_redis):
    reader = RedisReader(redis_url)
    yield reader
    await reader.close()


@pytest.fixture
def raw_clickhouse(clickhouse_url):
    client = Client.from_url(clickhouse_url)
    client.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
    yield client
    client.disconnect()


@pytest.fixture
async def clickhouse_sink(clickhouse_url, raw_clickhouse):
    sink = ClickHouseSink(clickhouse_url, DATABASE, generation=1, partitions=8)
    yield sink
    await sink.close()


@pytest.fixture
async def clickhouse_sink_of(clickhouse_url, raw_clickhouse):
    """Makes the sink of a generation with so many partitions."""
    made = []

    def make(partitions, generation=1):
        made.append(ClickHouseSink(clickhouse_url, DATABASE, generation=generation, partitions=partitions))
        return made[-1]

    yield make
    for sink in made:
        await sink.close()


@pytest.fixture
async def clickhouse_reader(clickhouse_url, raw_clickhouse):
    reader = ClickHouseReader(clickhouse_url, DATABASE)
    yield reader
    await reader.close()

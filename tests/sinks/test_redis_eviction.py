"""A Redis that evicts keys: it is named, and what is gone is written again."""

import asyncio
import logging

import pytest

from stream_app.domain.tables import MONTHLY
from stream_app.partition import sink_writer
from stream_app.partition.frontiers import Frontiers
from stream_app.partition.sink_writer import SinkWriter
from stream_app.sinks.redis import RedisSink
from stream_app.sinks.redis_keys import document_key, groups_key
from tests.support.fake_view import example
from tests.support.waiting import until


class Lane:
    """What a sink writer sees of a lane."""

    is_open, is_behind, committed, partition = True, False, 0, 3

    def __init__(self, view):
        self.view, self.frontiers = view, Frontiers(1_795_507_200_000, 0)


@pytest.fixture
async def writing():
    """Runs a writer of a lane into a sink at an address, until the test ends."""
    tasks, sinks = [], []

    def run(url, lane):
        sinks.append(RedisSink(url, generation=1, partitions=8))
        writer = SinkWriter(sinks[-1], 0.05, lambda: [lane])
        tasks.append(asyncio.create_task(writer.run()))
        return writer

    yield run
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for sink in sinks:
        await sink.close()


async def test_a_redis_that_evicts_is_named_and_looked_over(raw_redis, redis_url, writing, monkeypatch, caplog):
    """Nothing changes, nothing fails, and a key that is gone comes back."""
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(sink_writer, "LOOK_S", 0.05)
    (before,) = (await raw_redis.config_get("maxmemory-policy")).values()
    await raw_redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        writer = writing(redis_url, Lane(example()))
        await until("it is filled", lambda: writer.as_of_ms == {3: 1_795_507_200_000})
        assert caplog.text.count("maxmemory-policy allkeys-lru") == 1
        names = [document_key(MONTHLY, "M1", "vip"), groups_key("yen"), "crm:operators", "crm:as-of"]
        kept = [await raw_redis.dump(name) for name in names]
        await raw_redis.delete(*names)
        async with asyncio.timeout(20):
            while await raw_redis.exists(*names) < len(names):  # noqa: ASYNC110  # of another process
                await asyncio.sleep(0.02)
        assert [await raw_redis.dump(name) for name in names] == kept
        await until("it is said", lambda: "redis has lost" in caplog.text)
        assert caplog.text.count("maxmemory-policy allkeys-lru") == 1
    finally:
        await raw_redis.config_set("maxmemory-policy", before)

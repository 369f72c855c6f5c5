"""A real Redis that holds the example, and an API on it that listens on a port, for tests of what goes on over time."""

import asyncio
from contextlib import asynccontextmanager

import uvicorn
from redis.asyncio import Redis

from stream_app.api.app import create_app, stores
from stream_app.local.ports import free_port
from stream_app.sinks.redis import RedisSink
from tests.support.api import settings
from tests.support.fake_view import MONTH, example

BEGIN_MS = 1_795_500_009_000
NOBODY, NOBODYS = "redis://127.0.0.1:1/0", "clickhouse://default@127.0.0.1:1"  # addresses at which nobody answers


class World:
    """A Redis that holds the example; `base` is the address of the API on it."""

    def __init__(self, redis_url):
        self.redis_url = redis_url
        self.view = example()
        self.redis = Redis.from_url(redis_url)
        self.version = 2**52 + 10
        self.as_of_ms = BEGIN_MS
        self.base = ""

    async def fill(self):
        sink = RedisSink(self.redis_url, generation=1, partitions=8)
        await sink.write([(self.view, await sink.compare(self.view))])
        await sink.write_as_of({self.view.partition: self.as_of_ms})
        await sink.close()

    async def pay(self, operator="M1", group="ALL", count=11):
        """A newer month; returns the version of it."""
        self.version += 1
        self.view.set_month(operator, group, MONTH, self.version, [count, 3, 1], EUR=[1001, 5, 0, 3, 2, 0])
        await self.fill()
        return self.version

    async def clients(self):
        return await self.redis.client_list()


@asynccontextmanager
async def listening(app, *, port=None, lifespan="off"):
    """The address at which an application answers: on a free port, where none is given."""
    port = port or free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, lifespan=lifespan, log_config=None, access_log=False))
    running = asyncio.create_task(server.serve())
    while not server.started:
        assert not running.done()
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def serving(world, *, around=lambda app: app, port=None, **changes):
    """`around` may stand before the application; `changes` are settings."""
    ending = asyncio.Event()
    chosen = settings(redis_url=world.redis_url, clickhouse_url=NOBODYS, **changes)
    app = around(create_app(chosen, stores(chosen), ending=ending))
    async with listening(app, port=port, lifespan="on") as world.base:
        try:
            yield
        finally:
            ending.set()

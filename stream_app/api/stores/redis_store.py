"""The document store in Redis: concurrent reads share round trips.

Place: under `answers`, on the path of most requests. Invariant: as-of is taken before any document of the same batch. A
batch leaves with the event loop's next turn, so a request alone waits for nobody; what comes while one is under way
goes with the next, so under load one round trip serves many.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

from redis.asyncio.cluster import RedisCluster

from stream_app.api.stores.ports import AsOf, ReadResult
from stream_app.api.stores.timeout import pause_tolerant_timeout
from stream_app.sinks.redis_calls import Client, commands, in_order
from stream_app.sinks.redis_keys import AS_OF, OPERATORS, groups_key

_BATCH_MAX: Final = 200  # keys in one round trip: some 500 KB
_NOBODYS: Final = groups_key("")  # a key that is never there
_UNDER_WAY_MAX: Final = 1  # more would only make the batches smaller


class RedisDocumentStore:
    """The document store in Redis."""

    def __init__(self, client: Client, timeout_seconds: float) -> None:
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._waiting: dict[str, list[asyncio.Future[tuple[bytes | None, AsOf]]]] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._loop: asyncio.AbstractEventLoop | None = None  # to ask for it costs a system call

    async def read(self, keys: Sequence[str]) -> ReadResult:
        """Documents by key, with the as-of of the oldest of their batches. Always of one event loop."""
        loop = self._loop = self._loop or asyncio.get_running_loop()
        futures = []
        for key in keys:
            future: asyncio.Future[tuple[bytes | None, AsOf]] = loop.create_future()
            self._waiting.setdefault(key, []).append(future)
            futures.append(future)
        self._schedule(loop)
        found = [await futures[0]] if len(futures) == 1 else await asyncio.gather(*futures)
        return ReadResult([document for document, _ in found], found[0][1])

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._waiting and not self._scheduled and len(self._under_way) < _UNDER_WAY_MAX:
            self._scheduled = True
            loop.call_soon(self._start, loop)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = False
        batch = self._waiting
        if len(batch) > _BATCH_MAX:
            batch = {key: batch.pop(key) for key in list(batch)[:_BATCH_MAX]}
        else:
            self._waiting = {}
        task = loop.create_task(self._fetch(batch))
        self._under_way.add(task)
        task.add_done_callback(self._done)
        self._schedule(loop)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._schedule(task.get_loop())

    async def _fetch(self, batch: dict[str, list[asyncio.Future[tuple[bytes | None, AsOf]]]]) -> None:
        try:
            async with pause_tolerant_timeout(
                self._timeout_seconds
            ):  # a batch that hangs must not keep the next one from leaving
                as_of, documents = await self._commands(list(batch))
        except Exception as error:  # noqa: BLE001  # who asked decides what it means
            for futures in batch.values():
                for future in futures:
                    if not future.done():
                        future.set_exception(error)
            return
        for futures, document in zip(batch.values(), documents, strict=True):
            for future in futures:
                if not future.done():
                    future.set_result((document, as_of))

    async def _commands(self, keys: list[str]) -> tuple[AsOf, list[bytes | None]]:
        if isinstance(self._client, RedisCluster):  # keys of several operators lie on several servers
            (as_of,) = await commands(self._client, [("HGETALL", AS_OF)])
            return as_of, await commands(self._client, [("GET", key) for key in keys])
        as_of, documents = await commands(self._client, [("HGETALL", AS_OF), ("MGET", *keys)])
        return as_of, documents

    async def operators(self, ids: Collection[str] | None) -> tuple[dict[str, bytes], AsOf]:
        """Entries of these operators by id, of all for None."""
        async with pause_tolerant_timeout(self._timeout_seconds):
            return await self._operators(ids)

    async def _operators(self, ids: Collection[str] | None) -> tuple[dict[str, bytes], AsOf]:
        if ids is None:
            as_of, stored = await in_order(self._client, [("HGETALL", AS_OF), ("HGETALL", OPERATORS)])
            return {name.decode(): entry for name, entry in stored.items()}, as_of
        if not ids:
            return {}, (await commands(self._client, [("HGETALL", AS_OF)]))[0]
        names = list(ids)
        as_of, entries = await in_order(self._client, [("HGETALL", AS_OF), ("HMGET", OPERATORS, *names)])
        return {name: entry for name, entry in zip(names, entries, strict=True) if entry is not None}, as_of

    async def ping(self) -> None:
        """Return when Redis answers each command that requests need: a ping is answered while it loads, and to who may not read."""
        async with pause_tolerant_timeout(self._timeout_seconds):
            await self._commands([_NOBODYS])
            await commands(self._client, [("HMGET", OPERATORS, "")])

    async def close(self) -> None:
        """Wait for what is under way and give connections back."""
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._client.aclose()

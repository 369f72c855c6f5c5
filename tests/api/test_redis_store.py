"""The document store in Redis, where nobody answers."""

import asyncio
import gc

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from stream_app.api.stores.redis_store import RedisDocumentStore
from stream_app.sinks.redis_calls import connect


async def test_a_failed_read_of_several_documents_is_told_to_who_asked_alone(caplog):
    """Each key has an answer of its own: asyncio would log, with a traceback, those that nobody has looked at."""
    store = RedisDocumentStore(connect("redis://127.0.0.1:1"), 5)
    with pytest.raises(RedisConnectionError):
        await store.read(["one", "another"])
    await store.close()
    await asyncio.sleep(0)
    gc.collect()
    assert not caplog.records

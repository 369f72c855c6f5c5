"""The time limit of questions to Redis, with a real socket."""

import asyncio
import socket
import time

import pytest

from stream_app.api.stores.timeout import pause_tolerant_timeout


@pytest.fixture
async def pair():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


async def test_an_answer_that_came_while_the_process_stood_still_counts(pair):
    ours, theirs = pair
    async with pause_tolerant_timeout(0.1):
        asking = asyncio.create_task(asyncio.get_running_loop().sock_recv(ours, 10))
        await asyncio.sleep(0)
        time.sleep(0.02)  # noqa: ASYNC251  # this is the standstill
        theirs.send(b"here")
        time.sleep(0.28)  # noqa: ASYNC251  # and its rest
        assert await asking == b"here"


async def test_no_answer_is_a_timeout(pair):
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        async with pause_tolerant_timeout(0.1):
            await asyncio.get_running_loop().sock_recv(pair[0], 10)
    assert time.monotonic() - begun >= 0.09

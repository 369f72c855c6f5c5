"""The limit, with a window that answers when the test lets it."""

import asyncio
import time

import pytest

from stream_app.api.errors import ApiError
from stream_app.api.guard.rate import RateLimiter
from stream_app.api.guard.rate_window import LocalWindow, RateRequest, RedisWindow
from stream_app.api.stores.circuit import CircuitBreaker
from stream_app.sinks.redis_calls import connect


class SlowWindow(LocalWindow):
    """Counts questions, and answers none before it may."""

    def __init__(self):
        super().__init__()
        self.may, self.begun, self.asked = asyncio.Event(), asyncio.Event(), 0

    async def take(self, wanted):
        self.asked += 1
        self.begun.set()
        await self.may.wait()
        return await super().take(wanted)


async def ping():
    return None


@pytest.fixture
async def window():
    return SlowWindow()


@pytest.fixture
async def limit(window):
    circuit = CircuitBreaker("redis", ping, (KeyError,))
    limit = RateLimiter(window, circuit)
    yield limit
    await limit.close()
    await circuit.close()


async def take(limit, count, rate, token="t"):
    async def one():
        try:
            await limit.take(token, rate)
        except ApiError as error:
            return error.code
        return 0

    return [asyncio.create_task(one()) for _ in range(count)]


async def test_who_comes_while_the_window_is_asked_is_not_refused(limit, window):
    first = await take(limit, 1, 1000)
    await window.begun.wait()
    later = await take(limit, 50, 1000)
    await asyncio.sleep(0)
    window.may.set()
    assert set(await asyncio.gather(*first, *later)) == {0}
    assert window.asked <= 3


@pytest.mark.parametrize("rate", [1, 7, 200])
async def test_no_more_pass_at_once_than_the_rate_and_no_fewer(limit, window, rate):
    window.may.set()
    answers = await asyncio.gather(*await take(limit, rate + 30, rate))
    assert answers.count(0) == rate
    assert answers.count(42901) == 30


async def test_one_after_the_other_all_of_the_rate_pass(limit, window):
    window.may.set()
    answers = [await (await take(limit, 1, 20))[0] for _ in range(25)]
    assert answers == [0] * 20 + [42901] * 5


async def test_a_busy_token_asks_seldom(limit, window):
    window.may.set()
    for _ in range(300):
        await limit.take("t", 1000)
    assert window.asked < 30


async def test_who_gave_up_takes_nothing(limit, window):
    waiting = await take(limit, 3, 2)
    await window.begun.wait()
    waiting[0].cancel()
    await asyncio.sleep(0)
    window.may.set()
    assert await asyncio.gather(*waiting[1:]) == [0, 0]


async def test_tokens_do_not_share(limit, window):
    window.may.set()
    assert await (await take(limit, 1, 1, "a"))[0] == 0
    assert await (await take(limit, 1, 1, "b"))[0] == 0
    assert await (await take(limit, 1, 1, "a"))[0] == 42901


async def test_tokens_that_need_more_at_the_same_time_ask_together(limit, window):
    window.may.set()
    asked = [one for name in "abcdefgh" for one in await take(limit, 3, 100, name)]
    assert set(await asyncio.gather(*asked)) == {0}
    assert window.asked == 1


async def redis_window(redis_url):
    client = connect(redis_url)
    await client.flushall()
    return RedisWindow(client, 5), client


@pytest.mark.parametrize("kind", ["own", "redis"])
async def test_a_window_slides(redis_url, kind):
    window, client = await redis_window(redis_url)
    window = window if kind == "redis" else LocalWindow()
    begun, granted = time.monotonic(), 0
    try:
        while time.monotonic() < begun + 2.5:
            granted += (await window.take([RateRequest("t", 50, 4)]))[0]
            await asyncio.sleep(0.01)
        seconds = time.monotonic() - begun
    finally:
        await client.aclose()
    assert 50 * 2 <= granted <= 50 * (1 + seconds)


async def test_a_window_in_redis_grants_what_is_left_and_forgets_itself(redis_url):
    window, client = await redis_window(redis_url)
    try:
        granted = await window.take([RateRequest("a", 10, 7), RateRequest("b", 10, 20)])
        assert granted == [7, 10]
        assert (await window.take([RateRequest("a", 10, 7)]))[0] in (3, 4, 5, 6, 7)  # more once the second is over
        assert 0 < await client.pttl("crm-rate:a") <= 2000
    finally:
        await client.aclose()

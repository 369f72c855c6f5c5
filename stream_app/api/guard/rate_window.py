"""Sliding windows of a second: how many requests a token may still send. In Redis for all processes, or in this one.

Place: under `rate`. Invariant: within any second a window grants no more than the rate, but for what the weighting of
the last second rounds. Both count alike: what this second granted, and of the last one the share that is less than a
second ago.
"""

from collections.abc import Sequence
from math import floor
from time import time
from typing import Final, NamedTuple, Protocol

from stream_app.api.stores.timeout import pause_tolerant_timeout
from stream_app.sinks.lua import script
from stream_app.sinks.redis_calls import Call, Client, scripts

_TOKENS_MAX: Final = 10_000
_TAKE: Final = script(__package__, "take")


class RateRequest(NamedTuple):
    """A token with its rate, and how many requests are to be granted."""

    token: str
    rate: int
    wanted: int


class RateWindow(Protocol):
    """A place that counts the requests of each token in a sliding window of a second."""

    async def take(self, requests: Sequence[RateRequest]) -> list[int]:
        """Requests granted to each, no more than its window has left; each token at most once."""


class RedisWindow:
    """Windows in Redis, of all processes.

    `Raises` redis.RedisError, and TimeoutError when the answer takes longer than `timeout_seconds`.
    """

    def __init__(self, client: Client, timeout_seconds: float) -> None:
        self._client = client
        self._timeout_seconds = timeout_seconds

    async def take(self, requests: Sequence[RateRequest]) -> list[int]:
        """Requests granted to each, in one round trip."""
        calls = [Call(_TAKE, [f"crm-rate:{request.token}"], [request.rate, request.wanted]) for request in requests]
        async with pause_tolerant_timeout(self._timeout_seconds):
            return await scripts(self._client, calls)


class LocalWindow:
    """Windows of this process alone."""

    def __init__(self) -> None:
        self._granted: dict[str, tuple[int, int, int]] = {}  # second, granted in it, granted in the one before

    async def take(self, requests: Sequence[RateRequest]) -> list[int]:
        """Requests granted to each, by the windows of this process."""
        return [self._take(request, time()) for request in requests]

    def _take(self, request: RateRequest, now: float) -> int:
        second, current, previous = self._granted.pop(request.token, (0, 0, 0))
        age = floor(now) - second
        if age > 0:
            current, previous = 0, current if age == 1 else 0
        free = request.rate - current - floor(previous * (1 - now % 1))
        granted = max(0, min(request.wanted, free))
        if len(self._granted) >= _TOKENS_MAX:
            del self._granted[next(iter(self._granted))]
        self._granted[request.token] = floor(now), current + granted, previous
        return granted

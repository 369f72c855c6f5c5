"""Sliding windows of a second: how many requests a token may still send. In Redis for all processes, or in this one.

Place: under `rate`. Invariant: within any second a window grants no more than the rate, but for what the weighting of the last second rounds. Both count
alike: what this second granted, and of the last one the share that is less than a second ago.
"""

from collections.abc import Sequence
from math import floor
from time import time
from typing import Final, NamedTuple, Protocol

from stream_app.api.stores.within import within
from stream_app.sinks.lua import script
from stream_app.sinks.redis_calls import Call, Client, scripts

_TOKENS_MAX: Final = 10_000
_TAKE: Final = script(__package__, "take")


class Wanted(NamedTuple):
    """A token with its rate, and how many requests are to be granted."""

    token: str
    rate: int
    many: int


class Window(Protocol):
    """Where is counted."""

    async def take(self, wanted: Sequence[Wanted]) -> list[int]:
        """How many are granted to each, as many as there are; each token at most once."""


class RedisWindow:
    """Counts for all processes. `Raises` redis.RedisError, and TimeoutError when the answer takes longer than `timeout_seconds`."""

    def __init__(self, client: Client, timeout_seconds: float) -> None:
        self._client = client
        self._timeout_seconds = timeout_seconds

    async def take(self, wanted: Sequence[Wanted]) -> list[int]:
        """See Window. One round trip for all."""
        calls = [Call(_TAKE, [f"crm-rate:{one.token}"], [one.rate, one.many]) for one in wanted]
        async with within(self._timeout_seconds):
            return await scripts(self._client, calls)


class OwnWindow:
    """Counts for this process."""

    def __init__(self) -> None:
        self._granted: dict[str, tuple[int, int, int]] = {}  # second, granted in it, granted in the one before

    async def take(self, wanted: Sequence[Wanted]) -> list[int]:
        """See Window."""
        return [self._take(one, time()) for one in wanted]

    def _take(self, one: Wanted, now: float) -> int:
        second, current, previous = self._granted.pop(one.token, (0, 0, 0))
        age = floor(now) - second
        if age > 0:
            current, previous = 0, current if age == 1 else 0
        free = one.rate - current - floor(previous * (1 - now % 1))
        granted = max(0, min(one.many, free))
        if len(self._granted) >= _TOKENS_MAX:
            del self._granted[next(iter(self._granted))]
        self._granted[one.token] = floor(now), current + granted, previous
        return granted

"""The wall clock, as long as it agrees with the broker's: what decides about records must not be a clock that is wrong.

The broker's clock is told by its answer to an empty frame: the events topic keeps log append time. That topic is kept for
ever, so the question is asked again only when this machine's clock was set, or after a while: a clock that agreed stays
right for a quarter of an hour, and one that did not is asked after ever more seldom, up to as often.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

log = logging.getLogger(__name__)

_ASK_S: Final = 900.0
_AGAIN_S: Final = 1.0  # after a first answer that did not agree; then twice as long each time
_SET_S: Final = 1.0  # a wall clock that ran ahead of, or behind, the monotonic one by more than this was set


class BrokerClock:
    """`ask` gives the broker's time in epoch milliseconds, None where it does not tell; `now`: the wall clock, seconds."""

    def __init__(self, ask: Callable[[], Awaitable[int | None]], skew_ms_max: int, now: Callable[[], float]) -> None:
        self._ask, self._skew_ms_max, self._now = ask, skew_ms_max, now
        self._asking = asyncio.Lock()
        self._is_right = True
        self._ahead_s: float | None = None  # of the monotonic clock, when it was asked last
        self._due = self._wait_s = 0.0

    async def now_ms(self) -> int | None:
        """The time in epoch milliseconds, None while this machine's clock is off the broker's by more than is allowed."""
        if self._is_to_ask():
            async with self._asking:
                if self._is_to_ask():
                    await self._compare()
        return int(self._now() * 1000) if self._is_right else None

    def _is_to_ask(self) -> bool:
        now = time.monotonic()
        return self._ahead_s is None or abs(self._now() - now - self._ahead_s) > _SET_S or now >= self._due

    async def _compare(self) -> None:
        ahead_s = self._now() - time.monotonic()
        asked_ms = int(self._now() * 1000)
        broker_ms = await self._ask()
        told_ms = int(self._now() * 1000)
        # In between much may pass: a paused machine, a broker that is away.
        skew_ms = 0 if broker_ms is None else max(0, asked_ms - broker_ms) + min(0, told_ms - broker_ms)
        was_right, self._is_right = self._is_right, abs(skew_ms) <= self._skew_ms_max
        if self._is_right:
            self._wait_s = 0.0
        else:
            self._wait_s = min(self._wait_s * 2 or _AGAIN_S, _ASK_S)
        self._ahead_s, self._due = ahead_s, time.monotonic() + (self._wait_s or _ASK_S)
        if not self._is_right and was_right:
            log.error(
                "this machine's clock is %.1f s off the broker's: this worker takes no records in, and moves no time, until that is mended",
                skew_ms / 1000,
            )
        elif self._is_right and not was_right:
            log.warning("this machine's clock agrees with the broker's again: this worker goes on")

"""Waits by condition, which say what they wait for when it does not come."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from stream_app.clients.waiting import ClusterError

SECONDS_MAX = 300.0  # on a machine that has much else to do: what never comes fails all the same


def wait_until(what: str | Callable[[], str], condition: Callable[[], Any], seconds: float = SECONDS_MAX) -> Any:
    """The first true value of the condition; fails with its name after so many seconds. `what`: the name, or what gives it then."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(
                f"after {seconds:.0f} s still waiting until {what if isinstance(what, str) else what()}"
            )
        time.sleep(0.05)
    return found


async def until(what: str, condition: Callable[[], Any], seconds: float = SECONDS_MAX) -> Any:
    """`wait_until` where an event loop runs: the condition is a function, or one that gives a coroutine."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds:.0f} s still waiting until {what}")
        await asyncio.sleep(0.05)


async def answer(ask: Callable[[], Any], seconds: float = SECONDS_MAX) -> Any:
    """What a cluster answers, once it does: a broker that has just started, or has much to do, refuses or is late."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await ask()
        except ClusterError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)

"""An event loop whose time is virtual: a sleep takes none, and what happens follows from the program alone, not from the machine."""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from types import ModuleType
from typing import Any, TypeVar
from unittest.mock import patch

T = TypeVar("T")


class VirtualTime:
    """Stands in for the module `time`. Both clocks go on as the loop waits; `jump` moves the wall clock alone."""

    strftime, gmtime = staticmethod(time.strftime), staticmethod(time.gmtime)

    def __init__(self, now_ms: int) -> None:
        self._now_s, self._passed_s = now_ms / 1000, 0.0

    def time(self) -> float:
        """The wall clock, in seconds since 1970."""
        return self._now_s + self._passed_s

    def time_ns(self) -> int:
        """The same in nanoseconds."""
        return int(self.time() * 1_000_000_000)

    def monotonic(self) -> float:
        """Seconds since the beginning."""
        return self._passed_s

    def jump(self, seconds: float) -> None:
        """Let the wall clock be later by so much."""
        self._now_s += seconds

    def wait(self, seconds: float) -> None:
        """Let so much time pass; a little more, so that what was waited for has passed whatever the rounding."""
        if seconds:
            self._passed_s += seconds + 1e-6


class _Selector(selectors.SelectSelector):
    """Waits in virtual time. Nothing comes from outside, so to wait for ever is a mistake of the program."""

    def __init__(self, clock: VirtualTime) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("nothing is left that could happen")
        self._clock.wait(max(timeout, 0.0))
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualTime) -> None:
        super().__init__(_Selector(clock))
        self._clock = clock

    def time(self) -> float:
        return self._clock.monotonic()


def run(main: Callable[[VirtualTime], Coroutine[Any, Any, T]], now_ms: int, *modules: ModuleType) -> T:
    """Run a coroutine in virtual time that begins at a moment of the wall clock; `modules`: whose `time` is virtual, too."""
    clock = VirtualTime(now_ms)
    with ExitStack() as patches, asyncio.Runner(loop_factory=lambda: _Loop(clock)) as runner:
        for module in modules:
            patches.enter_context(patch.object(module, "time", clock))
        return runner.run(main(clock))

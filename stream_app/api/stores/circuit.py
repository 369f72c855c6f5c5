"""A store that is down is not asked again by each request: after a failure a probe in the background finds out when it is back.

Place: around every call of Redis and ClickHouse. Invariant: while the circuit is open no caller waits, so answers of the other
store stay fast; one failure opens it, one good probe closes it. The first probe runs at once, so a broken connection costs
milliseconds, not a pause.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Unavailable(Exception):  # noqa: N818  # a state, not a fault
    """The store can't answer now."""


class Circuit:
    """Opens on an error of the given kinds, or when an answer takes too long; `probe` raises while the store is down."""

    def __init__(
        self,
        name: str,
        probe: Callable[[], Awaitable[object]],
        errors: tuple[type[BaseException], ...],
        *,
        timeout_seconds: float | None = None,
        probe_seconds: float = 1.0,
    ) -> None:
        self.name = name
        self._probe = probe
        self._errors: tuple[type[BaseException], ...] = (*errors, OSError, EOFError, TimeoutError)
        self._timeout_seconds = timeout_seconds
        self._probe_seconds = probe_seconds
        self._probing: asyncio.Task[None] | None = None

    @property
    def closed(self) -> bool:
        """May the store be asked?"""
        return self._probing is None

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do it, unless the circuit is open. `Raises` Unavailable, at once or on an error of the store."""
        if self._probing is not None:
            raise Unavailable(self.name)
        try:
            if self._timeout_seconds is None:
                return await work()
            async with asyncio.timeout(self._timeout_seconds):
                return await work()
        except self._errors as error:
            self.open(error)
            raise Unavailable(self.name) from error

    def open(self, error: BaseException) -> None:
        """Stop asking until a probe succeeds."""
        if self._probing is None:
            log.warning("store does not answer", store=self.name, error=f"{type(error).__name__}: {error}")
            self._probing = asyncio.create_task(self._close_when_back(), name=f"probe-{self.name}")

    async def _close_when_back(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    await self._probe()
            except self._errors:
                await asyncio.sleep(self._probe_seconds)
            else:
                break
        log.info("store answers again", store=self.name)
        self._probing = None

    async def answers(self) -> bool:
        """Does the store answer now? Asks it; for readiness."""
        try:
            await self.call(self._probe)
        except Unavailable:
            return False
        return True

    async def close(self) -> None:
        """End the probe."""
        if self._probing is not None:
            while not self._probing.done():
                self._probing.cancel()  # again, for one can be swallowed in the moment in which an answer comes
                await asyncio.wait([self._probing], timeout=0.2)

"""A circuit breaker: a store that failed is not asked by requests until a probe in the background has succeeded.

Place: around every call of Redis and ClickHouse. Invariant: while the circuit is open no caller waits, so answers of
the other store stay fast; one failure opens it, one good probe closes it. The first probe runs at once, so a broken
connection costs milliseconds, not a pause.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import structlog

T = TypeVar("T")
log = structlog.get_logger(__name__)


class StoreUnavailable(Exception):  # noqa: N818  # a state, not a fault
    """The store is down, as its circuit breaker knows."""


class CircuitBreaker:
    """Opens on an error of the given kinds or a timeout; `probe` raises while the store is down.

    `opened` is called whenever it opens: who only listens to the store learns nothing of a server that has been replaced.
    """

    def __init__(
        self,
        name: str,
        probe: Callable[[], Awaitable[object]],
        errors: tuple[type[BaseException], ...],
        *,
        timeout_seconds: float | None = None,
        probe_seconds: float = 1.0,
        opened: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.name = name
        self._probe = probe
        self._errors: tuple[type[BaseException], ...] = (*errors, OSError, EOFError, TimeoutError)
        self._timeout_seconds = timeout_seconds
        self._probe_seconds = probe_seconds
        self._opened = opened
        self._probing: asyncio.Task[None] | None = None

    @property
    def closed(self) -> bool:
        """May the store be asked?"""
        return self._probing is None

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of the work, unless the circuit is open.

        `Raises` StoreUnavailable, at once or on an error of the store.
        """
        if self._probing is not None:
            raise StoreUnavailable(self.name)
        try:
            if self._timeout_seconds is None:
                return await work()
            async with asyncio.timeout(self._timeout_seconds):
                return await work()
        except self._errors as error:
            self.open(error)
            raise StoreUnavailable(self.name) from error

    def open(self, error: BaseException) -> None:
        """Stop asking until a probe succeeds."""
        if self._probing is None:
            log.warning("store does not answer", store=self.name, error=f"{type(error).__name__}: {error}")
            self._probing = asyncio.create_task(self._close_when_back(), name=f"probe-{self.name}")

    async def _close_when_back(self) -> None:
        if self._opened is not None:
            with suppress(*self._errors):
                await self._opened()
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
        """Readiness: does the store answer a probe now?"""
        try:
            await self.call(self._probe)
        except StoreUnavailable:
            return False
        return True

    async def close(self) -> None:
        """End the probe."""
        if self._probing is not None:
            while not self._probing.done():
                self._probing.cancel()  # again, for one can be swallowed in the moment in which an answer comes
                await asyncio.wait([self._probing], timeout=0.2)

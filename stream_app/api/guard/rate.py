"""How often a token may ask: a sliding window of a second, shared by all processes through Redis.

Place: after the signature of a token, before anything is read. Invariant: a process hands out only what the shared window granted, so
all of them together never pass the limit; while Redis is down each process keeps a window of its own.
A token that asks often takes up to a twentieth of its rate at a time and uses it up within 100 ms: that saves a question to Redis for most
requests, and at worst a busy token loses what it did not use. The first request after a pause takes one. Tokens that need more at the same
time travel together.
"""

import asyncio
from collections import deque
from time import monotonic
from typing import Final

from stream_app.api.errors import OVER_RATE, ApiError
from stream_app.api.guard.rate_window import OwnWindow, Wanted, Window
from stream_app.api.stores.circuit import Circuit, Unavailable

_LEASE_SECONDS: Final = 0.1
_REFUSED_SECONDS_MAX: Final = 0.02
_TOKENS_MAX: Final = 10_000


class _Lease:
    """What a token may still use without asking, and who waits for more."""

    __slots__ = ("credits", "rate", "refused_until", "size", "until", "waiting")

    def __init__(self) -> None:
        self.credits = 0
        self.rate = 0
        self.size = 1
        self.until = 0.0
        self.refused_until = 0.0
        self.waiting: deque[asyncio.Future[bool]] = deque()

    def wants(self) -> int:
        """How many to ask for."""
        busy = monotonic() < self.until + _LEASE_SECONDS
        self.size = min(self.size * 2, max(1, self.rate // 20)) if busy else 1
        return min(self.rate, max(self.size, len(self.waiting)))

    def take(self, granted: int, *, full: bool) -> None:
        """Let as many go on as were granted, in the order they came; when the window is full, refuse the others."""
        while granted and self.waiting:
            granted -= _tell(self.waiting.popleft(), granted=True)
        self.credits, self.until = granted, monotonic() + _LEASE_SECONDS
        if full and self.waiting:
            # The window moves on by one request in 1 / rate seconds; asking sooner would only tell the same again.
            self.refused_until = monotonic() + min(1 / self.rate, _REFUSED_SECONDS_MAX)
            while self.waiting:
                _tell(self.waiting.popleft(), granted=False)


class RateLimit:
    """The limit of all tokens; `shared` counts for all processes, `circuit` says whether its Redis answers."""

    def __init__(self, shared: Window, circuit: Circuit) -> None:
        self._shared = shared
        self._own = OwnWindow()
        self._circuit = circuit
        self._leases: dict[str, _Lease] = {}
        self._asking: dict[str, _Lease] = {}  # those that wait for the next question
        self._question: asyncio.Task[None] | None = None

    async def take(self, token: str, rate: int) -> None:
        """Count one request of a token that may send `rate` a second. `Raises` ApiError when it is over."""
        lease = self._leases.get(token) or self._new_lease(token)
        now = monotonic()
        if lease.credits and now < lease.until:
            lease.credits -= 1
            return
        if now < lease.refused_until:
            raise _over(rate)
        granted = asyncio.get_running_loop().create_future()
        lease.rate = rate
        lease.waiting.append(granted)
        self._asking[token] = lease
        if self._question is None:
            self._question = asyncio.create_task(self._ask())
        if not await granted:
            raise _over(rate)

    def _new_lease(self, token: str) -> _Lease:
        if len(self._leases) >= _TOKENS_MAX:
            del self._leases[next(iter(self._leases))]
        lease = self._leases[token] = _Lease()
        return lease

    async def _ask(self) -> None:
        """Ask for all that wait, until nobody does: others may come meanwhile."""
        asking: dict[str, _Lease] = {}
        try:
            while self._asking:
                asking, self._asking = self._asking, {}
                wanted = [Wanted(token, lease.rate, lease.wants()) for token, lease in asking.items()]
                for one, granted in zip(wanted, await self._granted(wanted), strict=True):
                    lease = asking[one.token]
                    lease.take(granted, full=granted < one.many)
                    if lease.waiting:
                        self._asking[one.token] = lease
        finally:
            self._question = None
            for lease in (*asking.values(), *self._asking.values()):
                while lease.waiting:
                    lease.waiting.popleft().cancel()

    async def _granted(self, wanted: list[Wanted]) -> list[int]:
        try:
            return await self._circuit.call(lambda: self._shared.take(wanted))
        except Unavailable:
            return await self._own.take(wanted)

    async def close(self) -> None:
        """Wait for a question under way."""
        if self._question is not None:
            await asyncio.wait([self._question])


def _tell(waiter: asyncio.Future[bool], *, granted: bool) -> bool:
    """False, if nobody waits there any more."""
    if waiter.done():
        return False
    waiter.set_result(granted)
    return True


def _over(rate: int) -> ApiError:
    return ApiError(OVER_RATE, f"over {rate} requests a second", {"Retry-After": "1"})

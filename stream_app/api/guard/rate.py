"""The rate limit of a token: a sliding window of a second, shared by all processes through Redis.

Place: after the signature of a token, before anything is read. Invariant: a process hands out only what the shared
window granted, so all of them together never pass the limit; while Redis is down each process keeps a window of its
own. A token that asks often takes up to a twentieth of its rate at a time and uses it up within 100 ms: that saves most
requests a round trip to Redis, and at worst a busy token loses what it did not use. The first request after a pause
takes one. Tokens that need more at the same time share a round trip.
"""

import asyncio
from collections import deque
from time import monotonic
from typing import Final

from stream_app.api.errors import OVER_RATE, ApiError
from stream_app.api.guard.rate_window import LocalWindow, RateRequest, RateWindow
from stream_app.api.stores.circuit import CircuitBreaker, StoreUnavailable

_LEASE_SECONDS: Final = 0.1
_REFUSED_SECONDS_MAX: Final = 0.02
_TOKENS_MAX: Final = 10_000


class _Lease:
    """Requests granted to a token in advance, and those that wait for more."""

    __slots__ = ("credits", "rate", "refused_until", "size", "until", "waiting")

    def __init__(self) -> None:
        self.credits = 0
        self.rate = 0
        self.size = 1
        self.until = 0.0
        self.refused_until = 0.0
        self.waiting: deque[asyncio.Future[bool]] = deque()

    def requested(self) -> int:
        """Requests to ask for: those that wait, and of a busy token some in advance."""
        busy = monotonic() < self.until + _LEASE_SECONDS
        self.size = min(self.size * 2, max(1, self.rate // 20)) if busy else 1
        return min(self.rate, max(self.size, len(self.waiting)))

    def grant(self, granted: int, *, full: bool) -> None:
        """Admit as many waiting requests as were granted, in order; when the window is full, refuse the others."""
        while granted and self.waiting:
            granted -= _resolve(self.waiting.popleft(), granted=True)
        self.credits, self.until = granted, monotonic() + _LEASE_SECONDS
        if full and self.waiting:
            # The window moves on by one request in 1 / rate seconds; asking sooner would only tell the same again.
            self.refused_until = monotonic() + min(1 / self.rate, _REFUSED_SECONDS_MAX)
            while self.waiting:
                _resolve(self.waiting.popleft(), granted=False)


class RateLimiter:
    """The limit of all tokens; `shared` counts for all processes, `circuit` says whether its Redis answers."""

    def __init__(self, shared: RateWindow, circuit: CircuitBreaker) -> None:
        self._shared = shared
        self._own = LocalWindow()
        self._circuit = circuit
        self._leases: dict[str, _Lease] = {}
        self._pending: dict[str, _Lease] = {}  # leases with requests for the next round trip
        self._round_trip: asyncio.Task[None] | None = None

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
        self._pending[token] = lease
        if self._round_trip is None:
            self._round_trip = asyncio.create_task(self._request())
        if not await granted:
            raise _over(rate)

    def _new_lease(self, token: str) -> _Lease:
        if len(self._leases) >= _TOKENS_MAX:
            del self._leases[next(iter(self._leases))]
        lease = self._leases[token] = _Lease()
        return lease

    async def _request(self) -> None:
        """Ask the window for all that wait, until no request does: others may come meanwhile."""
        pending: dict[str, _Lease] = {}
        try:
            while self._pending:
                pending, self._pending = self._pending, {}
                requests = [RateRequest(token, lease.rate, lease.requested()) for token, lease in pending.items()]
                for request, granted in zip(requests, await self._granted(requests), strict=True):
                    lease = pending[request.token]
                    lease.grant(granted, full=granted < request.wanted)
                    if lease.waiting:
                        self._pending[request.token] = lease
        finally:
            self._round_trip = None
            for lease in (*pending.values(), *self._pending.values()):
                while lease.waiting:
                    lease.waiting.popleft().cancel()

    async def _granted(self, requests: list[RateRequest]) -> list[int]:
        try:
            return await self._circuit.call(lambda: self._shared.take(requests))
        except StoreUnavailable:
            return await self._own.take(requests)

    async def close(self) -> None:
        """Wait for a round trip under way."""
        if self._round_trip is not None:
            await asyncio.wait([self._round_trip])


def _resolve(waiter: asyncio.Future[bool], *, granted: bool) -> bool:
    """Whether the request still waited."""
    if waiter.done():
        return False
    waiter.set_result(granted)
    return True


def _over(rate: int) -> ApiError:
    return ApiError(OVER_RATE, f"over {rate} requests a second", {"Retry-After": "1"})

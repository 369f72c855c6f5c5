"""How often a token may ask: a sliding window of a second, shared by all processes through Redis.

Place: after the signature of a token, before anything is read. Invariant: a process hands out only what the shared window granted, so
all of them together never pass the limit; while Redis is down each process keeps a window of its own.
A token that asks often takes up to a twentieth of its rate at a time and uses it up within 100 ms: that saves a question to Redis for most
requests, and at worst a busy token loses what it did not use. The first request after a pause takes one.
"""

import asyncio
from collections import deque
from time import monotonic
from typing import Final

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisClusterStorage, RedisStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from stream_app.api.circuit import Circuit, Unavailable
from stream_app.api.errors import OVER_RATE, ApiError

_LEASE_SECONDS: Final = 0.1
_REFUSED_SECONDS_MAX: Final = 0.02
_TOKENS_MAX: Final = 10_000


class _Lease:
    """What a token may still use without asking, and who waits for more."""

    __slots__ = ("credits", "refused_until", "size", "until", "waiting")

    def __init__(self) -> None:
        self.credits = 0
        self.size = 1
        self.until = 0.0
        self.refused_until = 0.0
        self.waiting: deque[asyncio.Future[bool]] = deque()


class RateLimit:
    """The limit of all tokens; `shared` counts for all processes, `circuit` says whether its Redis answers."""

    def __init__(self, shared: Storage, circuit: Circuit) -> None:
        self._shared = SlidingWindowCounterRateLimiter(shared)
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._circuit = circuit
        self._leases: dict[str, _Lease] = {}
        self._refills: set[asyncio.Task[None]] = set()

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
        lease.waiting.append(granted)
        if len(lease.waiting) == 1:
            refill = asyncio.create_task(self._refill(token, rate, lease))
            self._refills.add(refill)
            refill.add_done_callback(self._refills.discard)
        if not await granted:
            raise _over(rate)

    def _new_lease(self, token: str) -> _Lease:
        if len(self._leases) >= _TOKENS_MAX:
            del self._leases[next(iter(self._leases))]
        lease = self._leases[token] = _Lease()
        return lease

    async def _refill(self, token: str, rate: int, lease: _Lease) -> None:
        busy = monotonic() < lease.until + _LEASE_SECONDS
        lease.size = min(lease.size * 2, max(1, rate // 20)) if busy else 1
        try:
            while lease.waiting:  # others may come while Redis is asked for the first ones
                wanted = min(rate, max(lease.size, len(lease.waiting)))
                granted = await self._hit(token, rate, wanted)
                full = granted < wanted
                granted = _serve(lease, granted)
                lease.credits, lease.until = granted, monotonic() + _LEASE_SECONDS
                if full and lease.waiting:
                    # The window moves on by one request in 1 / rate seconds; asking sooner would only tell the same again.
                    lease.refused_until = monotonic() + min(1 / rate, _REFUSED_SECONDS_MAX)
                    while lease.waiting:
                        _tell(lease.waiting.popleft(), granted=False)
        finally:
            while lease.waiting:
                lease.waiting.popleft().cancel()

    async def _hit(self, token: str, rate: int, wanted: int) -> int:
        """Take as much as there is, up to `wanted`; in halves, since the window grants an amount as a whole or not at all."""
        item = RateLimitItemPerSecond(rate)
        granted, ask = 0, min(wanted, rate)
        while ask and granted < wanted:
            if await self._hit_once(item, token, ask):
                granted += ask
                ask = min(ask, wanted - granted)
            else:
                ask //= 2
        return granted

    async def _hit_once(self, item: RateLimitItemPerSecond, token: str, cost: int) -> bool:
        try:
            return await self._circuit.call(lambda: self._shared.hit(item, token, cost=cost))
        except Unavailable:
            return await self._own.hit(item, token, cost=cost)

    async def close(self) -> None:
        """Wait for questions under way."""
        await asyncio.gather(*self._refills, return_exceptions=True)


def _serve(lease: _Lease, granted: int) -> int:
    """Let as many go on as were granted, in the order they came; returns how many are left over."""
    while granted and lease.waiting:
        granted -= _tell(lease.waiting.popleft(), granted=True)
    return granted


def _tell(waiter: asyncio.Future[bool], *, granted: bool) -> bool:
    """False, if nobody waits there any more."""
    if waiter.done():
        return False
    waiter.set_result(granted)
    return True


def _over(rate: int) -> ApiError:
    return ApiError(OVER_RATE, f"over {rate} requests a second", {"Retry-After": "1"})


def shared_storage(redis_url: str, timeout_seconds: float) -> RedisStorage:
    """The windows in Redis, with a client that fails fast instead of trying again."""
    scheme, _, rest = redis_url.partition("://")
    kind = RedisClusterStorage if scheme.endswith("+cluster") else RedisStorage
    return kind(
        f"redis+unix://{rest}" if scheme == "unix" else redis_url,
        implementation="redispy",
        key_prefix="crm-rate",
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]  # handed on to the client as it is
    )

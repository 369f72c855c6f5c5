"""Changes in Redis as it publishes them: one connection a process, subscribed to the channels of watched operators.

Place: under `feed`. Invariants: a confirmed subscription is told like a change of everything in its channel, since what
changed before it was not heard, on the first connection as on each later one; after `barrier` everything published
before it was told. Reads no document.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

LINK_ERRORS: Final = (RedisError, OSError, EOFError, TimeoutError)
_SILENCE_SECONDS_MAX: Final = 10.0  # barriers come more often, so silence is a dead connection
_BARRIER_SECONDS_MAX: Final = 2.0
_RETRY_SECONDS: Final = 0.5
log = structlog.get_logger(__name__)


def subscriber(redis_url: str, timeout_seconds: float) -> Redis:
    """A client for subscriptions, not connected yet.

    Any node of a cluster does: each passes on what the others publish.
    """
    scheme, _, rest = redis_url.partition("://")
    return Redis.from_url(
        f"{scheme.removesuffix('+cluster')}://{rest}",
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )


class UpdateSubscription:
    """Calls `heard` with a channel and the changed key (None: any key of it), `lost` when the connection is lost."""

    def __init__(self, client: Redis, heard: Callable[[str, str | None], None], lost: Callable[[], None]) -> None:
        self._client = client
        self._heard = heard
        self._lost = lost
        self._wanted: Collection[str] = ()
        self._link: PubSub | None = None
        self._linked = asyncio.Event()
        self._subscribed: set[str] = set()
        self._changing = asyncio.Lock()
        self._pong: asyncio.Future[None] | None = None

    async def listen(self) -> None:
        """Listen until cancelled, on one connection after the other; a channel must be wanted already."""
        while True:
            link = self._client.pubsub()
            try:
                self._subscribed = set(self._wanted) or self._subscribed
                await link.subscribe(*self._subscribed)
                self._link = link
                await self.want(self._wanted)  # which may have changed meanwhile
                while True:
                    message = await link.get_message(timeout=_SILENCE_SECONDS_MAX)
                    if message is None:
                        raise RedisConnectionError("silent")
                    self._take(message)
            except LINK_ERRORS as error:
                if self._linked.is_set():
                    log.warning("updates are lost", error=f"{type(error).__name__}: {error}")
            finally:
                self._link = None
                self._linked.clear()
                self._lost()
                async with self._changing:
                    await link.aclose()  # type: ignore[no-untyped-call]
            await asyncio.sleep(_RETRY_SECONDS)

    def _take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "message":
                self._heard(message["channel"].decode(), message["data"].decode(errors="replace"))
            case "subscribe":
                self._linked.set()
                self._heard(message["channel"].decode(), None)
            case "pong" if self._pong is not None and not self._pong.done():
                self._pong.set_result(None)

    async def want(self, channels: Collection[str]) -> None:
        """Subscribe to these channels, and unsubscribe from others; a broken connection subscribes once it is back."""
        self._wanted = channels
        async with self._changing:
            link = self._link
            if link is None:
                return
            wanted = set(self._wanted)
            new, gone = wanted - self._subscribed, self._subscribed - wanted
            try:
                if new:
                    await link.subscribe(*new)
                if gone and wanted:  # the last ones stay, for a connection without any can't be asked for a pong
                    await link.unsubscribe(*gone)
                    self._subscribed -= gone
                self._subscribed |= new
            except LINK_ERRORS as error:
                log.info("updates are not subscribed", error=f"{type(error).__name__}: {error}")

    async def barrier(self) -> None:
        """Return when every update that was published before this call has been passed on. `Raises` LINK_ERRORS."""
        async with asyncio.timeout(_BARRIER_SECONDS_MAX):
            await self._linked.wait()
            link = self._link
            if link is None:
                raise RedisConnectionError("lost")
            self._pong = asyncio.get_running_loop().create_future()
            await link.ping()
            await self._pong

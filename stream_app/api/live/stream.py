"""`/smart-bi/crm/stream`: server-sent events of the default answers of a group, or of many.

Place: beside the questions of `http`, with the same checks and errors; what is sent is decided in `feed`. Invariants:
nothing is sent before all documents are there, so an error is an answer like any other; of many groups one that is
refused is told as an event, and the others go on; a stream ends with its token, with the server, or when its client
does not take what it is sent for `_SEND_SECONDS_MAX`.
"""

import asyncio
from contextlib import AsyncExitStack, suppress
from time import perf_counter, time
from typing import Final

import orjson
import structlog
from starlette.types import Receive, Scope, Send

from stream_app.api.asgi import NOSNIFF, body_of, header, send_error
from stream_app.api.asking.answers import Answers
from stream_app.api.asking.parameters import WatchQuery, parse_stream, parse_watches
from stream_app.api.errors import FAULT, INTERNAL, UNKNOWN_METHOD, ApiError
from stream_app.api.guard.admission import admit, operator_of
from stream_app.api.guard.auth import Principal, TokenVerifier
from stream_app.api.guard.rate import RateLimiter
from stream_app.api.live.feed import Feed
from stream_app.api.live.watched import Viewer

_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"vary", b"Authorization"),
    (b"x-accel-buffering", b"no"),  # nginx would collect events
    NOSNIFF,
]
_BEGIN: Final = b"retry: 2000\n\n"
_HEARTBEAT: Final = b":\n\n"
_HEARTBEAT_SECONDS: Final = 5.0
_SEND_SECONDS_MAX: Final = 10.0
_STREAM_SECONDS_MAX: Final = 86_400.0
log = structlog.get_logger(__name__)


class _Connection:
    """The viewers of one connection, and what ends it."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.wake.set()
        self.viewers: list[Viewer] = []
        self.refused = b""
        self.ended = False

    def end(self) -> None:
        """End the stream once the event under way is sent."""
        self.ended = True
        self.wake.set()

    def due_events(self, *, live: bool) -> bytes:
        """The events of all viewers that are due now."""
        return b"".join(viewer.due_events(live=live) for viewer in self.viewers)


class StreamEndpoint:
    """An ASGI application that sends events."""

    def __init__(self, route: str, tokens: TokenVerifier, rate: RateLimiter, answers: Answers, feed: Feed) -> None:
        self._route = route
        self._tokens = tokens
        self._rate = rate
        self._answers = answers
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, until the stream ends."""
        trace = scope["trace"]
        trace.route = self._route
        connection = _Connection()
        try:
            principal = await self._admitted(scope)
            async with AsyncExitStack() as held:
                if scope["method"] == "POST":
                    await self._watch_many(connection, held, principal, await body_of(receive))
                else:
                    await self._watch_one(connection, held, principal, scope)
                trace.answered = perf_counter()
                await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
                if scope["method"] == "HEAD":
                    await send({"type": "http.response.body", "body": b""})
                else:
                    await self._send(connection, principal, receive, send)
        except ApiError as error:
            trace.code = error.code
            await send_error(send, error)
        except Exception:
            if trace.answered is None:
                await send_error(send, ApiError(INTERNAL, FAULT))
            raise

    async def _admitted(self, scope: Scope) -> Principal:
        if scope["method"] not in ("GET", "HEAD", "POST"):
            raise ApiError(UNKNOWN_METHOD, f"{self._route} answers GET and POST", {"Allow": "GET, HEAD, POST"})
        return await admit(scope, self._tokens, self._rate)

    async def _operator(self, principal: Principal, named: str | None) -> str:
        operator = operator_of(principal, named)
        if named is None:
            await self._answers.check_implied(operator)
        return operator

    async def _watch_one(
        self, connection: _Connection, held: AsyncExitStack, principal: Principal, scope: Scope
    ) -> None:
        asked = parse_stream(scope["query_string"])
        last_event_id = (header(scope, b"last-event-id") or b"").decode("latin-1")
        operator = await self._operator(principal, asked.operator_id)
        viewer = self._feed.watch(operator, asked.group_id, last_event_id, connection.wake)
        connection.viewers.append(await held.enter_async_context(viewer))

    async def _watch_many(
        self, connection: _Connection, held: AsyncExitStack, principal: Principal, body: bytes
    ) -> None:
        async def watch(entry: WatchQuery) -> None:
            try:
                operator = await self._operator(principal, entry.operator_id)
                viewer = self._feed.watch(operator, entry.group_id, entry.last_event_id, connection.wake)
                connection.viewers.append(await held.enter_async_context(viewer))
            except ApiError as error:
                connection.refused += _refusal(entry, error)

        entries = parse_watches(body)
        async with asyncio.TaskGroup() as group:
            for entry in entries:
                group.create_task(watch(entry))

    async def _send(self, connection: _Connection, principal: Principal, receive: Receive, send: Send) -> None:
        seconds = min(principal.expires - time(), _STREAM_SECONDS_MAX)
        expiry = asyncio.get_running_loop().call_later(max(0.0, seconds), connection.end)
        gone = asyncio.create_task(_gone(receive))
        gone.add_done_callback(lambda _: connection.end())
        body = _BEGIN + connection.refused
        try:
            while not (connection.ended or self._feed.ended):
                async with asyncio.timeout(_SEND_SECONDS_MAX):
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                body = await self._next(connection)
            if not gone.done():
                async with asyncio.timeout(_SEND_SECONDS_MAX):
                    await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            log.info("viewer is too slow", route=self._route)  # the server ends what is left unfinished
        finally:
            expiry.cancel()
            gone.cancel()

    async def _next(self, connection: _Connection) -> bytes:
        """The next events, as soon as any is due; a heartbeat where none is for a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_HEARTBEAT_SECONDS):
                await connection.wake.wait()
        connection.wake.clear()
        return connection.due_events(live=self._feed.live) or _HEARTBEAT


async def _gone(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _refusal(entry: WatchQuery, error: ApiError) -> bytes:
    said = {"operatorId": entry.operator_id, "groupId": entry.group_id, "code": error.code, "message": error.message}
    return b"event: refused\ndata: %b\n\n" % orjson.dumps(said)

"""`/smart-bi/crm/stream`: server-sent events of a group's default answers.

Place: beside the questions of `http`, with the same checks and errors; what is sent is decided in `feed`. Invariants: nothing is sent before both
documents are there, so an error is an answer like any other; a stream ends with its token, with the server, or when its client does not take what
it is sent for `_SEND_SECONDS_MAX`.
"""

import asyncio
import re
from contextlib import suppress
from time import perf_counter, time
from typing import Final

import structlog
from starlette.types import Receive, Scope, Send

from stream_app.api.auth import Principal, Tokens
from stream_app.api.errors import FAULT, INTERNAL, UNKNOWN_METHOD, ApiError
from stream_app.api.feed import KINDS, Feed, Viewer
from stream_app.api.http import NOSNIFF, admit, header, operator_of, send_error
from stream_app.api.parameters import stream as parse
from stream_app.api.rate import RateLimit

_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"vary", b"Authorization"),
    (b"x-accel-buffering", b"no"),  # nginx would collect events
    NOSNIFF,
]
_BEGIN: Final = b"retry: 2000\n\n"
_HEARTBEAT: Final = b":\n\n"
_HEARTBEAT_SECONDS: Final = 5.0
_SEND_SECONDS_MAX: Final = 10.0
_STREAM_SECONDS_MAX: Final = 86_400.0
_LAST_EVENT_ID: Final = re.compile(rb"([0-9]{1,19})-([0-9]{1,19})")
log = structlog.get_logger(__name__)


class Stream:
    """An ASGI application that sends events."""

    def __init__(self, route: str, tokens: Tokens, rate: RateLimit, feed: Feed) -> None:
        self._route = route
        self._tokens = tokens
        self._rate = rate
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, for as long as it takes."""
        trace = scope["trace"]
        trace.route = self._route
        try:
            principal, operator, group = await self._admitted(scope)
            async with self._feed.watch(operator, group, _seen(scope)) as viewer:
                trace.answered = perf_counter()
                await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
                if scope["method"] == "HEAD":
                    await send({"type": "http.response.body", "body": b""})
                else:
                    await self._send(viewer, principal, receive, send)
        except ApiError as error:
            trace.code = error.code
            await send_error(send, error)
        except Exception:
            if trace.answered is None:
                await send_error(send, ApiError(INTERNAL, FAULT))
            raise

    async def _admitted(self, scope: Scope) -> tuple[Principal, str, str]:
        if scope["method"] not in ("GET", "HEAD"):
            raise ApiError(UNKNOWN_METHOD, f"{self._route} answers GET", {"Allow": "GET, HEAD"})
        principal = await admit(scope, self._tokens, self._rate)
        asked = parse(scope["query_string"])
        return principal, operator_of(principal, asked.operator), asked.group

    async def _send(self, viewer: Viewer, principal: Principal, receive: Receive, send: Send) -> None:
        seconds = min(principal.expires - time(), _STREAM_SECONDS_MAX)
        expiry = asyncio.get_running_loop().call_later(max(0.0, seconds), viewer.end)
        gone = asyncio.create_task(_gone(receive))
        gone.add_done_callback(lambda _: viewer.end())
        body = _BEGIN
        try:
            while not viewer.ended:
                async with asyncio.timeout(_SEND_SECONDS_MAX):
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                body = await self._next(viewer)
            if not gone.done():
                async with asyncio.timeout(_SEND_SECONDS_MAX):
                    await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            log.info("viewer is too slow", route=self._route)  # the server ends what is left unfinished
        finally:
            expiry.cancel()
            gone.cancel()

    async def _next(self, viewer: Viewer) -> bytes:
        """What is due, as soon as anything is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_HEARTBEAT_SECONDS):
                await viewer.wake.wait()
        viewer.wake.clear()
        return viewer.take(live=self._feed.live) or _HEARTBEAT


async def _gone(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _seen(scope: Scope) -> dict[str, int]:
    """The versions that the client has, as the id of its last event says; nothing, if that is none of ours."""
    found = _LAST_EVENT_ID.fullmatch(header(scope, b"last-event-id") or b"")
    return {kind: int(version) for kind, version in zip(KINDS, found.groups(), strict=True)} if found else {}

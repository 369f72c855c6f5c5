"""The questions over HTTP: permissions, parameters, answer, and the response as bytes.

Place: under `app`. Checks in this order: token (401), rate (429), interface permission (403), parameters (400), data
permission (403), store (503). Invariant: POST and GET of a question give the same body; nothing is validated or encoded
on the way out. A GET that names the version that it has (`If-None-Match`) gets none that is lower while Redis is away.
"""

from collections.abc import Awaitable, Callable, Mapping
from re import compile as compile_pattern
from typing import Final, NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from stream_app.api.asgi import JSON, NO_STORE, NOSNIFF, body_of, header, send_error, send_response
from stream_app.api.asking.given import Answer
from stream_app.api.errors import FAULT, INTERNAL, UNKNOWN_METHOD, ApiError, envelope
from stream_app.api.guard.admission import admit
from stream_app.api.guard.auth import Principal, TokenVerifier
from stream_app.api.guard.rate import RateLimiter
from stream_app.api.observe import RequestTrace

_CACHED: Final = [(b"cache-control", b"private, no-cache"), (b"vary", b"Authorization")]
_VERSION_TAG: Final = compile_pattern(rb'W/"([0-9]{1,16})"')
_METHODS: Final = ("GET", "HEAD", "POST")


class QuestionHandler(NamedTuple):
    """A question: how its parameters are parsed, and how it is answered."""

    parse: Callable[[bytes, bool], object]  # query string (True) or body (False) -> question
    answer: Callable[[Principal, object], Awaitable[Answer]]


class Dispatcher:
    """Dispatches by path: the questions pass by the framework, whose layers cost as much as an answer does."""

    def __init__(self, endpoints: Mapping[str, ASGIApp], rest: ASGIApp) -> None:
        self._endpoints = endpoints
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch a request."""
        await self._endpoints.get(scope.get("path", ""), self._rest)(scope, receive, send)


class Endpoint:
    """An ASGI application that answers one question."""

    def __init__(self, route: str, tokens: TokenVerifier, rate: RateLimiter, handler: QuestionHandler) -> None:
        self._route = route
        self._tokens = tokens
        self._rate = rate
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        trace: RequestTrace = scope["trace"]
        trace.route = self._route
        try:
            answer = await self._answer(scope, receive)
        except ApiError as error:
            trace.code = error.code
            await send_error(send, error)
            return
        except Exception:
            await send_error(send, ApiError(INTERNAL, FAULT))
            raise
        trace.store = answer.store
        headers = [(b"x-data-as-of", answer.as_of)]
        if scope["method"] == "POST":
            await send_response(send, 200, [JSON, NOSNIFF, NO_STORE, *headers], envelope(answer.data))
            return
        none_match = header(scope, b"if-none-match") or b""
        if answer.stands_in and (newer := _newer(none_match, answer.tag)):
            # Another process gave it. No as-of goes with it: ours is older than theirs.
            await send_response(send, 304, [(b"etag", newer), *_CACHED], b"")
            return
        headers += [(b"etag", b'W/"' + answer.tag + b'"'), *_CACHED]
        if _matches(none_match, answer.tag):
            await send_response(send, 304, headers, b"")
        else:
            await send_response(send, 200, [JSON, NOSNIFF, *headers], envelope(answer.data))

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        method = scope["method"]
        if method not in _METHODS:
            raise ApiError(UNKNOWN_METHOD, f"{self._route} answers GET and POST", {"Allow": "GET, HEAD, POST"})
        principal = await admit(scope, self._tokens, self._rate)
        if method == "POST":
            asked = self._handler.parse(await body_of(receive), False)
        else:
            asked = self._handler.parse(scope["query_string"], True)
        return await self._handler.answer(principal, asked)


def _matches(none_match: bytes, tag: bytes) -> bool:
    """Weak comparison with a list of entity tags, or `*`."""
    if none_match.strip() == b"*":
        return True
    return any(entry.strip().removeprefix(b"W/") == b'"' + tag + b'"' for entry in none_match.split(b","))


def _newer(none_match: bytes, version: bytes) -> bytes:
    """The entity tag of the highest version in a list of entity tags, if that is above a version; else nothing."""
    highest = max(map(int, _VERSION_TAG.findall(none_match)), default=0)
    return b'W/"%d"' % highest if highest > int(version) else b""

"""The four questions over HTTP: permissions, parameters, answer, and the response as bytes.

Place: the outermost part that knows what the interface is about. The order of checks is that of the module: token (401), rate (429), interface
permission, parameters, data permission, store. Invariant: POST and GET of a question give the same body; nothing is validated or encoded on
the way out.
"""

from collections.abc import Awaitable, Callable, Mapping
from time import time
from typing import Final, NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from stream_app.api.answers import Answer
from stream_app.api.auth import Principal, Tokens
from stream_app.api.errors import (
    BAD_PARAMETER,
    FAULT,
    INTERNAL,
    NO_DATA_PERMISSION,
    NO_INTERFACE_PERMISSION,
    NO_OPERATIONS_PERMISSION,
    UNKNOWN_METHOD,
    ApiError,
    envelope,
)
from stream_app.api.observe import Trace
from stream_app.api.parameters import REQUEST_BYTES_MAX, bad
from stream_app.api.rate import RateLimit

JSON: Final = (b"content-type", b"application/json")
NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
_CACHED: Final = [(b"cache-control", b"private, no-cache"), (b"vary", b"Authorization")]
_NO_STORE: Final = (b"cache-control", b"no-store")
_METHODS: Final = ("GET", "HEAD", "POST")


class Question(NamedTuple):
    """How one of the four is read and answered."""

    parse: Callable[[bytes, bool], object]  # query string (True) or body (False) -> question
    answer: Callable[[Principal, object], Awaitable[Answer]]


class Switch:
    """Hands the questions to their endpoints and the rest to the framework, whose layers cost as much as an answer does."""

    def __init__(self, endpoints: Mapping[str, ASGIApp], rest: ASGIApp) -> None:
        self._endpoints = endpoints
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on."""
        await self._endpoints.get(scope.get("path", ""), self._rest)(scope, receive, send)


class Endpoint:
    """An ASGI application that answers one question."""

    def __init__(self, route: str, tokens: Tokens, rate: RateLimit, question: Question) -> None:
        self._route = route
        self._tokens = tokens
        self._rate = rate
        self._question = question

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        trace: Trace = scope["trace"]
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
            await _send(send, 200, [JSON, NOSNIFF, _NO_STORE, *headers], envelope(answer.data))
            return
        headers += [(b"etag", b'W/"' + answer.tag + b'"'), *_CACHED]
        none_match = header(scope, b"if-none-match")
        if none_match is not None and _matches(none_match, answer.tag):
            await _send(send, 304, headers, b"")
        else:
            await _send(send, 200, [JSON, NOSNIFF, *headers], envelope(answer.data))

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        method = scope["method"]
        if method not in _METHODS:
            raise ApiError(UNKNOWN_METHOD, f"{self._route} answers GET and POST", {"Allow": "GET, HEAD, POST"})
        principal = await admit(scope, self._tokens, self._rate)
        if method == "POST":
            asked = self._question.parse(await body_of(receive), False)
        else:
            asked = self._question.parse(scope["query_string"], True)
        return await self._question.answer(principal, asked)


def header(scope: Scope, wanted: bytes) -> bytes | None:
    """The value of a header, named in lower case."""
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return None


async def admit(scope: Scope, tokens: Tokens, rate: RateLimit) -> Principal:
    """Who asks, if they may: token, rate, interface permission. `Raises` ApiError."""
    principal = await _known(scope, tokens, rate)
    if not principal.may_read:
        raise ApiError(NO_INTERFACE_PERMISSION, "the token lacks the permission to use this interface")
    return principal


async def admit_to_operations(scope: Scope, tokens: Tokens, rate: RateLimit) -> Principal:
    """The same by the permission to see operations. `Raises` ApiError."""
    principal = await _known(scope, tokens, rate)
    if not principal.may_operate:
        raise ApiError(NO_OPERATIONS_PERMISSION, "the token lacks the permission to see operations")
    return principal


async def _known(scope: Scope, tokens: Tokens, rate: RateLimit) -> Principal:
    principal = await tokens.principal(header(scope, b"authorization"), time())
    await rate.take(principal.token, principal.rate)
    return principal


def operator_of(principal: Principal, named: str | None) -> str:
    """The operator that is meant: named, or implied by the token. `Raises` ApiError when there is none or it may not be read."""
    if named is None:
        only = principal.only
        if only is None:
            raise bad("operatorId", "missing, and the token is not for exactly one operator")
        return only
    if not principal.covers(named):
        raise ApiError(NO_DATA_PERMISSION, "the token does not cover this operator")
    return named


def _matches(none_match: bytes, tag: bytes) -> bool:
    """Weak comparison with a list of entity tags, or `*`."""
    if none_match.strip() == b"*":
        return True
    return any(entry.strip().removeprefix(b"W/") == b'"' + tag + b'"' for entry in none_match.split(b","))


async def body_of(receive: Receive) -> bytes:
    """The whole body. `Raises` ApiError when it is too long or cut off."""
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ApiError(BAD_PARAMETER, "body: cut off")
        body += message.get("body", b"")
        if len(body) > REQUEST_BYTES_MAX:
            raise ApiError(BAD_PARAMETER, f"body: over {REQUEST_BYTES_MAX} bytes", {"Connection": "close"})
        if not message.get("more_body", False):
            return body


async def send_error(send: Send, error: ApiError) -> None:
    """The envelope of an error."""
    headers = [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
    await _send(send, error.status, [JSON, NOSNIFF, _NO_STORE, *headers], error.body())


async def send_data(send: Send, body: bytes) -> None:
    """An answer that nobody keeps."""
    await _send(send, 200, [JSON, NOSNIFF, _NO_STORE], body)


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    if status != 304:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

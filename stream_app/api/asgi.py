"""Requests and responses as ASGI messages: headers, whole bodies, and the responses that are the same everywhere.

Place: under every endpoint. Invariant: a body over the limit is refused before the rest of it is read.
"""

from typing import Final

from starlette.types import Receive, Scope, Send

from stream_app.api.errors import BAD_PARAMETER, ApiError

# Two ids of 200 four-byte characters, percent-encoded or escaped, fit with room to spare.
REQUEST_BYTES_MAX: Final = 16_384
JSON: Final = (b"content-type", b"application/json")
NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
NO_STORE: Final = (b"cache-control", b"no-store")


def header(scope: Scope, wanted: bytes) -> bytes | None:
    """The value of a header, named in lower case."""
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return None


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
    await send_response(send, error.status, [JSON, NOSNIFF, NO_STORE, *headers], error.body())


async def send_data(send: Send, body: bytes) -> None:
    """An answer that nobody keeps."""
    await send_response(send, 200, [JSON, NOSNIFF, NO_STORE], body)


async def send_response(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """A whole response, with the length of its body."""
    if status != 304:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

"""The API's stream of one operator, watched as a viewer watches it: when which month's amount was pushed.

A stream that ends, is refused, or can't be had is asked for again. Holds the newest amount only.
"""

import asyncio
import base64
import hashlib
import hmac
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

import orjson

from stream_app.domain.tables import MONTHLY

_RETRY_SECONDS: Final = 2.0
_SILENCE_SECONDS_MAX: Final = 30.0  # heartbeats come more often
_TOKEN_SECONDS: Final = 86_400
_LINE_BYTES_MAX: Final = 1 << 20
ERRORS: Final = (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError)


def token(claims: Mapping[str, Any], secret: str, now_s: int) -> str:
    """A JWT by HS256 (RFC 7515), valid for a day."""
    header = _part(orjson.dumps({"alg": "HS256", "typ": "JWT"}))
    body = _part(orjson.dumps({**claims, "iat": now_s, "exp": now_s + _TOKEN_SECONDS}))
    signature = hmac.new(secret.encode(), f"{header}.{body}".encode(), hashlib.sha256).digest()
    return f"{header}.{body}.{_part(signature)}"


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Push:
    """A viewer of the API's stream of one operator. `failure`: why the stream is not open; None: it is."""

    def __init__(self, url: str, operator: str, claims: Mapping[str, Any], secret: str, cafile: str = "") -> None:
        """`cafile`: CA of the API's certificate; "": those that the machine trusts."""
        self._url, self._operator, self._claims, self._secret = urlsplit(url), operator, claims, secret
        self._tls = ssl.create_default_context(cafile=cafile or None) if self._url.scheme == "https" else None
        self.failure: str | None = "not connected yet"
        self.pushed: dict[
            str, float
        ] = {}  # the newest amount received of the newest month: when, by the monotonic clock

    async def run(self) -> None:
        """Watch the stream for ever, connecting again after each end."""
        while True:
            try:
                await self._watch()
                self.failure = "the stream ended"
            except ERRORS as error:
                self.failure = f"{type(error).__name__}: {error}"
            await asyncio.sleep(_RETRY_SECONDS)

    async def when(self, amount: str) -> float | None:
        """When this amount was pushed, by the monotonic clock; None: not lately."""
        return self.pushed.get(amount)

    async def _watch(self) -> None:
        port = self._url.port or (443 if self._tls else 80)
        async with asyncio.timeout(_SILENCE_SECONDS_MAX):
            reader, writer = await asyncio.open_connection(
                self._url.hostname, port, ssl=self._tls, limit=_LINE_BYTES_MAX
            )
        try:
            path = f"{self._url.path.rstrip('/')}/smart-bi/crm/stream?operatorId={quote(self._operator)}"
            lines = (
                f"GET {path} HTTP/1.1",
                f"Host: {self._url.netloc}",
                f"Authorization: Bearer {token(self._claims, self._secret, int(time.time()))}",
                "Accept: text/event-stream",
                "Connection: close",
            )
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
            async with asyncio.timeout(_SILENCE_SECONDS_MAX):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            if head.split(" ")[1] != "200":
                raise ValueError(head.split("\r\n", 1)[0])
            self.failure = None
            event = ""
            async for line in _lines(reader, is_chunked="transfer-encoding: chunked" in head.lower()):
                if line.startswith("event: "):
                    event = line[7:]
                elif line.startswith("data: ") and event == MONTHLY.document:
                    month = orjson.loads(line[6:])[MONTHLY.period.plural][-1]
                    self.pushed = {month["receivedAmount"]: time.monotonic()}
        finally:
            writer.close()


async def _lines(reader: asyncio.StreamReader, *, is_chunked: bool) -> AsyncIterator[str]:
    """The lines of a body as they come. `Raises` ERRORS when it is silent for too long, or breaks off."""
    rest = b""
    while True:
        async with asyncio.timeout(_SILENCE_SECONDS_MAX):
            if is_chunked:
                size = int((await reader.readline()).split(b";")[0] or b"0", 16)
                if not size:
                    return
                rest += await reader.readexactly(size)
                await reader.readline()
            else:
                some = await reader.read(65_536)
                if not some:
                    return
                rest += some
        *whole, rest = rest.split(b"\n")
        for line in whole:
            yield line.decode().rstrip("\r")

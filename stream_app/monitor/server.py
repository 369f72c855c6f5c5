"""HTTP server of the monitor: one GET a connection. A few lines of its own, for a framework would be half of the process's memory.

Bounded: so many connections at once, so long a head, so many seconds. Knows nothing of what it answers.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

log = logging.getLogger(__name__)

_CONNECTIONS_MAX: Final = 32
_HEAD_BYTES_MAX: Final = 16_384
_SECONDS_MAX: Final = 10.0


class Answer(NamedTuple):
    """A response."""

    body: bytes
    content_type: str = "application/json"
    status: str = "200 OK"


Route = Callable[[Mapping[str, str]], Awaitable[Answer]]  # takes the query's parameters


class Server:
    """Answers GET and HEAD of some paths."""

    def __init__(self, routes: Mapping[str, Route]) -> None:
        self._routes, self._open = routes, 0

    async def start(self, host: str, port: int) -> asyncio.Server:
        """Listen. `Raises` OSError."""
        return await asyncio.start_server(self._serve, host, port, limit=_HEAD_BYTES_MAX)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            async with asyncio.timeout(_SECONDS_MAX):
                head = await reader.readuntil(b"\r\n\r\n")
                method, answer = await self._answer(head)
                lines = (
                    f"HTTP/1.1 {answer.status}",
                    f"Content-Type: {answer.content_type}",
                    f"Content-Length: {len(answer.body)}",
                    "Cache-Control: no-store",
                    "X-Content-Type-Options: nosniff",
                    "Connection: close",
                )
                writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if method == "HEAD" else answer.body))
                await writer.drain()
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
            return
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, head: bytes) -> tuple[str, Answer]:
        method, _, rest = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
        path, _, query = rest.rpartition(" ")[0].partition("?")
        route = self._routes.get(path)
        if self._open > _CONNECTIONS_MAX:
            return method, _refusal("503 Service Unavailable", "too many connections")
        if route is None:
            return method, _refusal("404 Not Found", f"there are {', '.join(self._routes)}")
        if method not in {"GET", "HEAD"}:
            return method, _refusal("405 Method Not Allowed", "GET only")
        try:
            return method, await route(dict(parse_qsl(query)))
        except Exception:
            log.exception("no answer to %s", path)
            return method, _refusal("500 Internal Server Error", "see the log")


def _refusal(status: str, why: str) -> Answer:
    return Answer(f"{status}: {why}\n".encode(), "text/plain; charset=utf-8", status)

"""Rows of the stream: a thousand viewers of one operator on one API process, from when Redis has a change until each of them has it.

The viewers' side is this process: its reading is part of what is measured, so the truth is better than the numbers.
"""

import select
import socket
import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import orjson
import redis

from bench.context import Context, Row, say
from bench.load import load
from bench.processes import Server, start_api, token
from bench.records import OPERATORS
from stream_app.api.description.reference import PREFIX
from stream_app.domain.events import ALL
from stream_app.domain.tables import MONTHLY
from stream_app.local.errors import LocalError
from stream_app.sinks.lua import PUT
from stream_app.sinks.redis_keys import document_key, seen_key, updates_channel

VIEWERS: Final = 1_000
_CHANGES: Final = 20
_PAUSE_S: Final = 0.5
_WAIT_S_MAX: Final = 60.0


def rows(ctx: Context) -> list[Row]:
    """Milliseconds until viewers have a change, and how many connections to Redis all of them cost."""
    space, operator = load(ctx).space, OPERATORS[0][0]
    server = start_api(ctx, space)
    store: redis.Redis[bytes] = redis.Redis.from_url(space.settings.redis_url)
    before = len(store.client_list())
    viewers = Viewers(server, operator)
    say(f"viewers: {VIEWERS:,} connect")
    viewers.connect(VIEWERS)
    viewers.read(lambda: not viewers.without(b"event: distribution"), lambda: None)
    connections = len(store.client_list()) - before
    waits: list[float] = []
    for change in range(_CHANGES):
        say(f"viewers: change {change + 1} of {_CHANGES}")
        waits += _change(store, viewers, operator)
    cpu_s = sum(server.running.process.cpu_times()[:2])
    viewers.close()
    ctx.stack.stop(server.running)
    cuts = statistics.quantiles(waits, n=100)
    return [
        Row("viewers", f"change to viewer, {VIEWERS:,} of them", f"p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms",
            f"max {max(waits) * 1000:.0f} ms, of {_CHANGES} changes, from when Redis has it until the last viewer has read it; {cpu_s:.1f} CPU-s of the API in all"),
        Row("viewers", "connections to Redis", f"{connections}", "that the viewers added"),
    ]  # fmt: skip


def _change(store: "redis.Redis[bytes]", viewers: "Viewers", operator: str) -> list[float]:
    """A document of a higher version, as a worker writes it; seconds until each viewer has it."""
    viewers.forget()
    pause_until = time.monotonic() + _PAUSE_S
    viewers.read(lambda: time.monotonic() > pause_until, lambda: None)
    version = raise_version(store, operator)
    begun, waits = time.perf_counter(), []
    mark = b'"version":%d' % version
    viewers.forget()
    viewers.read(lambda: len(waits) == VIEWERS, lambda: waits.append(time.perf_counter() - begun), mark)
    return waits


def raise_version(store: "redis.Redis[bytes]", operator: str) -> int:
    """Write the operator's document with the next version, which it has then, as a worker does. `Raises` LocalError where Redis refuses it."""
    key, seen = document_key(MONTHLY, operator, ALL), seen_key(operator)
    document: dict[str, Any] = orjson.loads(store.get(key) or b"")
    version: int = document["version"] + 1
    state = max(version, int(store.get(seen) or 0))
    body = orjson.dumps(document | {"version": version})
    if store.eval(PUT.text, 2, key, seen, body, version, state, updates_channel(operator)) != 1:
        raise LocalError(f"viewers: Redis did not take version {version} of {key}")
    return version


class Viewers:
    """Streams of one operator's ALL, each on a connection of its own."""

    def __init__(self, server: Server, operator: str) -> None:
        host, port = server.address.removeprefix("http://").rsplit(":", 1)
        self._address = host, int(port)
        path = f"{PREFIX}/stream?operatorId={operator}"
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token(operator)}\r\n\r\n".encode()
        )
        self._sockets: dict[int, socket.socket] = {}
        self._read: dict[int, bytes] = {}
        self._poll = select.epoll()

    def connect(self, many: int) -> None:
        """Open so many streams."""
        for _ in range(many):
            stream = socket.create_connection(self._address)
            stream.sendall(self._request)
            stream.setblocking(False)
            self._sockets[stream.fileno()] = stream
            self._read[stream.fileno()] = b""
            self._poll.register(stream, select.EPOLLIN)

    def without(self, mark: bytes) -> int:
        """How many have not read it yet."""
        return sum(mark not in read for read in self._read.values())

    def forget(self) -> None:
        """What was read."""
        self._read = dict.fromkeys(self._read, b"")

    def read(self, done: Callable[[], bool], seen: Callable[[], None], mark: bytes | None = None) -> None:
        """Read until it is done; `seen` is called when a viewer has read the mark. `Raises` LocalError when that takes too long."""
        deadline = time.monotonic() + _WAIT_S_MAX
        while not done():
            if time.monotonic() > deadline:
                raise LocalError(f"viewers: after {_WAIT_S_MAX:.0f} s some have not read what they should")
            for number, _ in self._poll.poll(0.01):
                piece = self._sockets[number].recv(1 << 16)
                if not piece:
                    raise LocalError("viewers: a stream ended")
                had = mark is not None and mark in self._read[number]
                self._read[number] += piece
                if mark is not None and not had and mark in self._read[number]:
                    seen()

    def close(self) -> None:
        """Leave."""
        for stream in self._sockets.values():
            stream.close()
        self._poll.close()

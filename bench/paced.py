"""Requests at a steady pace, whatever the answers do: a program, so that its work is not that of what it measures.

`paced.py ADDRESS REQUESTS.json RATE SECONDS`. A request that finds no connection free waits, and its time counts from when it was due, so that a
server which stands still for a moment is charged for all that came meanwhile. Prints milliseconds as JSON.
"""

import json
import select
import socket
import sys
import time
from collections import deque
from pathlib import Path

CONNECTIONS = 16
_WARM_UP_S = 1.0  # not counted
_UNANSWERED_S_MAX = 10.0
_END = b"\r\n\r\n"


class Connection:
    """One that is kept open; `due`: when its request should have left, None while it is free."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due: float | None = None
        self._read = b""

    def fileno(self) -> int:
        """Of its socket."""
        return self.socket.fileno()

    def take(self, status: bytes) -> bool:
        """Read what is there; True when the answer is whole."""
        self._read += self.socket.recv(1 << 17)
        head, end, body = self._read.partition(_END)
        if not end:
            return False
        if status not in head.split(b"\r\n", 1)[0]:
            raise SystemExit(f"paced: not answered by {status!r}: {head!r} {body[:200]!r}")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        if len(body) < length:
            return False
        self._read = b""
        return True


def prepared(one: dict[str, str | dict[str, str] | int | None], host: str) -> bytes:
    """A request as bytes."""
    body = str(one["body"] or "").encode()
    lines = [f"{one['method']} {one['path']} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    assert isinstance(one["headers"], dict)
    lines += [f"{name}: {value}" for name, value in one["headers"].items()]
    return "\r\n".join(lines).encode() + _END + body


def measure(host: str, port: int, requests: list[bytes], status: bytes, rate: int, seconds: int) -> list[float]:
    """Milliseconds from due to answered, in order of answers."""
    free = deque(Connection(host, port) for _ in range(CONNECTIONS))
    busy: dict[int, Connection] = {}
    started = time.perf_counter()
    count, sent, found = int(rate * (seconds + _WARM_UP_S)), 0, []
    while len(found) < count:
        now = time.perf_counter()
        while free and sent < count and started + sent / rate <= now:
            connection = free.popleft()
            connection.due = started + sent / rate
            connection.socket.sendall(requests[sent % len(requests)])
            busy[connection.fileno()] = connection
            sent += 1
        # select waits in microseconds, epoll in milliseconds
        wait = max(0.0, started + sent / rate - time.perf_counter()) if free and sent < count else _UNANSWERED_S_MAX
        ready, _, _ = select.select(list(busy), [], [], wait)
        if not ready and wait == _UNANSWERED_S_MAX:
            raise SystemExit("paced: no answer")
        for number in ready:
            connection = busy[number]
            if connection.take(status):
                assert connection.due is not None
                found.append((time.perf_counter() - connection.due) * 1000)
                free.append(busy.pop(number))
    return found[int(rate * _WARM_UP_S) :]


def _main() -> None:
    address, file, rate, seconds = sys.argv[1:]
    host, _, port = address.removeprefix("http://").partition(":")
    asked = json.loads(Path(file).read_text())
    requests = [prepared(one, f"{host}:{port}") for one in asked]
    found = sorted(measure(host, int(port), requests, str(asked[0]["status"]).encode(), int(rate), int(seconds)))
    shown = {"p50": found[len(found) // 2], "p99": found[int(len(found) * 0.99)], "max": found[-1]}
    print(json.dumps(shown | {"requests": len(found)}))


if __name__ == "__main__":
    _main()

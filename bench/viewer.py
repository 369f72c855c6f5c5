"""One viewer of an operator's stream, as `latency` has it: when which number of payments was shown."""

import contextlib
import http.client
import threading
import time
from bisect import bisect_left
from typing import Self

import orjson

from bench.processes import Server, token
from stream_app.api.description.reference import PREFIX
from stream_app.domain.tables import MONTHLY

_EVENT, _DATA = b"event: ", b"data: "


class Viewer:
    """`looks`: (time of the event in epoch milliseconds, payments that its document counts), in order."""

    def __init__(self, server: Server, operator: str) -> None:
        self.operator, self.looks = operator, list[tuple[float, int]]()
        host, port = server.address.removeprefix("http://").rsplit(":", 1)
        self._connection = http.client.HTTPConnection(host, int(port), timeout=30)
        self._thread = threading.Thread(target=self._run, name="viewer")

    def __enter__(self) -> Self:
        path = f"{PREFIX}/stream?operatorId={self.operator}"
        self._connection.request("GET", path, headers={"Authorization": f"Bearer {token(self.operator)}"})
        self._response = self._connection.getresponse()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection.sock is not None:
            with contextlib.suppress(OSError):  # the server has ended the stream
                self._connection.sock.shutdown(2)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        event = b""
        while line := self._response.readline():
            if line.startswith(_EVENT):
                event = line[len(_EVENT) :].strip()
            elif line.startswith(_DATA) and event == MONTHLY.name.encode():
                months = orjson.loads(line[len(_DATA) :])["months"]
                self.looks.append((time.time() * 1000, sum(month["paymentCount"] for month in months)))

    def latencies(self, appended_ms: list[int], first: int) -> list[float]:
        """Milliseconds from each append, those from the `first` on, to the event whose document counts as many payments as had been appended then."""
        counts = [count for _, count in self.looks]
        return [self.looks[bisect_left(counts, at + 1)][0] - appended_ms[at] for at in range(first, len(appended_ms))]

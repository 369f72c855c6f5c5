"""Our monitor, as `stream-app monitor` starts it, with all its settings at their defaults; what it says on /status, look by look."""

import json
import threading
from typing import Any

from bench.compare.loopback import get
from bench.compare.reading import Reading

_EVERY_S = 0.25


def reading(group: dict[str, Any], from_ms: int, to_ms: int) -> Reading | None:
    """Of the one partition that each group reads; None while there is none."""
    for found in [*group["partitions"], *([group] if group["status"] == "UNSUPPORTED" else [])]:
        return Reading(from_ms, to_ms, found["status"], found["lag_records"], found["lag_seconds"])
    return None


class Ours(threading.Thread):
    """`readings`: group -> what it said."""

    def __init__(self, port: int, groups: list[str]) -> None:
        super().__init__(name="ours", daemon=True)
        self._url = f"http://127.0.0.1:{port}/status"
        self.readings: dict[str, list[Reading]] = {group: [] for group in groups}
        self._end = threading.Event()

    def run(self) -> None:
        """Until `end`."""
        looked_ms = 0
        while not self._end.wait(_EVERY_S):
            answer = get(self._url)
            if answer is None or (shown := json.loads(answer))["kafka"]["looked_ms"] == looked_ms:
                continue
            looked_ms = shown["kafka"]["looked_ms"]
            to_ms = looked_ms + int(1000 * shown["kafka"]["look_seconds"])
            for group in shown["groups"]:
                if group["group"] in self.readings and (found := reading(group, looked_ms, to_ms)):
                    self.readings[group["group"]].append(found)

    def end(self) -> None:
        """Ask no more."""
        self._end.set()
        self.join(30)

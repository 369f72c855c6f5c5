"""Kafka's own tool, ConsumerGroupCommand: asked again and again, each time by a JVM of its own."""

import re
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.compare import programs
from bench.compare.driver import now_ms
from bench.compare.reading import Reading
from stream_app.local import downloads

_CLASS: Final = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
_PAUSE_S: Final = 8.0
_SECONDS_MAX: Final = 60.0
GONE: Final = "no active members"


def parsed(said: str, from_ms: int, to_ms: int) -> dict[str, Reading]:
    """Group -> what it says of it: the word GONE where it says so, and the lag where it has a number."""
    found = {
        name: Reading(from_ms, to_ms, GONE, None) for name in re.findall(rf"Consumer group '([^']+)' has {GONE}", said)
    }
    for line in said.splitlines():
        words = line.split()
        if len(words) >= 6 and words[2].isdigit():
            before = found.get(words[0])
            lag = int(words[5]) if re.fullmatch(r"-?\d+", words[5]) else None
            found[words[0]] = Reading(from_ms, to_ms, before.word if before else "", lag)
    return found


class Console(threading.Thread):
    """`readings`: group -> what it said. `took_s`: how long each answer took."""

    def __init__(self, servers: str, lib: Path, groups: Sequence[str]) -> None:
        super().__init__(name="console", daemon=True)
        jars, java = programs.kafka_tools(lib), downloads.java(lib)
        self._command = [str(java), "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*", "-Dlog4j2.level=ERROR", _CLASS]
        self._command += ["--bootstrap-server", servers, "--describe", "--all-groups"]
        self.readings: dict[str, list[Reading]] = {group: [] for group in groups}
        self.took_s: list[float] = []
        self._end = threading.Event()

    def run(self) -> None:
        """Until `end`."""
        while not self._end.is_set():
            from_ms = now_ms()
            # What it says of the whole goes to the other stream.
            said = subprocess.run(self._command, capture_output=True, text=True, check=False, timeout=_SECONDS_MAX)
            to_ms = now_ms()
            self.took_s.append((to_ms - from_ms) / 1000)
            for group, reading in parsed(said.stdout + said.stderr, from_ms, to_ms).items():
                if group in self.readings:
                    self.readings[group].append(reading)
            self._end.wait(_PAUSE_S)

    def end(self) -> None:
        """Wait for its last answer."""
        self._end.set()
        self.join(_SECONDS_MAX)

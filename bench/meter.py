"""What our processes use: CPU of a process with its children, and memory. Servers are not ours and not counted."""

import time
from collections.abc import Callable

import psutil

from bench.stack import Stack
from stream_app.local.errors import LocalError
from stream_app.local.processes import Running

_POLL_S = 0.02
_MEMORY_EVERY = 10  # polls; it is slower to ask


class Meter:
    """A process from its start on. `cpu_s`: user and system, as of the last look; `rss_bytes`: the most that was seen."""

    def __init__(self, stack: Stack, running: Running) -> None:
        self._stack, self.running = stack, running
        self._started = time.monotonic()
        self.cpu_s = self.wall_s = 0.0
        self.rss_bytes = 0

    def look(self, *, memory: bool = True) -> None:
        """Look at it. `Raises` LocalError when it has ended."""
        try:
            family = [self.running.process, *self.running.process.children(recursive=True)]
            times = [process.cpu_times() for process in family]
            if memory:
                self.rss_bytes = max(self.rss_bytes, sum(process.memory_info().rss for process in family))
            gone = self.running.process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            gone, times = True, []
        if gone:
            raise LocalError(f"{self.running.name} ended; {self._stack.end_of_log(self.running.name)}")
        self.cpu_s = sum(t.user + t.system + t.children_user + t.children_system for t in times)
        self.wall_s = time.monotonic() - self._started

    def until(self, done: Callable[[], bool], what: str, seconds_max: float) -> None:
        """Look until it is done. `Raises` LocalError when that takes too long."""
        deadline, polls = time.monotonic() + seconds_max, 0
        while not done():
            if time.monotonic() > deadline:
                raise LocalError(
                    f"{what} took longer than {seconds_max:.0f} s; {self._stack.end_of_log(self.running.name)}"
                )
            self.look(memory=polls % _MEMORY_EVERY == 0)
            polls += 1
            time.sleep(_POLL_S)
        self.look()

"""What is told of a system on a data set. Values only; bench.peers.page shows them."""

import math
from typing import Final, NamedTuple

_SECONDS_MIN: Final = 0.05  # clocks of processes tick each 0.01 s


def _rate(events: int, seconds: float) -> float:
    return events / seconds if seconds >= _SECONDS_MIN else math.nan


class Measured(NamedTuple):
    """`cpu_s`, `wall_s`: from the start of the process until all results are out; `start_…`: of the start alone, on empty topics in the same run.

    `rss_bytes`: the most that was seen; `broker_cpu_s`, `sinks_cpu_s` (Redis and ClickHouse): what they used meanwhile. `rows`: results that were
    compared, each as it must be.
    """

    system: str
    data: str
    events: int
    cpu_s: float
    start_cpu_s: float
    wall_s: float
    start_wall_s: float
    rss_bytes: int
    broker_cpu_s: float
    sinks_cpu_s: float
    rows: int

    @property
    def per_cpu_s(self) -> float:
        """Events for each CPU-second of its processes, without their start; not a number where that can't be told from the start."""
        return _rate(self.events, self.cpu_s - self.start_cpu_s)

    @property
    def per_s(self) -> float:
        """Events a second, without the start; likewise."""
        return _rate(self.events, self.wall_s - self.start_wall_s)


class Missing(NamedTuple):
    """A system that could not be measured, and why."""

    system: str
    data: str
    why: str


class Used(NamedTuple):
    """What processes and servers have used since a start."""

    cpu_s: float
    wall_s: float
    broker_cpu_s: float
    sinks_cpu_s: float = 0.0

"""What the service was measured to take: the file costs.json, which `make bench ARGS="state served steady million curves --page"` writes and nobody edits.

Each part says on what data, machine, commit and day it was measured. Bytes are bytes, cores are CPU-seconds a second.
"""

from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Final

import msgspec

FILE: Final = "costs.json"


class Measurement(msgspec.Struct, frozen=True):
    """Where and when a part was measured; `commit`: the last one that changed the service."""

    date: str
    commit: str
    machine: str
    data: str


class Points(msgspec.Struct, frozen=True, array_like=True):
    """Measured values `ys` at rising `xs`: between two of them straight lines."""

    xs: list[float]
    ys: list[float]

    def at(self, x: float) -> float:
        """Interpolated; beyond the measured ones, the nearest."""
        for (left, low), (right, high) in pairwise(zip(self.xs, self.ys, strict=True)):
            if x <= right:
                return low + (high - low) * (max(x, left) - left) / (right - left)
        return self.ys[-1]

    def beyond(self, x: float) -> float:
        """The same, but the outer lines go on: for what grows with x."""
        if self.xs[0] <= x <= self.xs[-1]:
            return self.at(x)
        (left, right), (low, high) = (self.xs[:2], self.ys[:2]) if x < self.xs[0] else (self.xs[-2:], self.ys[-2:])
        return low + (high - low) * (x - left) / (right - left)


class Growth(msgspec.Struct, frozen=True):
    """State of so many customers with as many events each: `size` before compression, `disk` in RocksDB; `rss`: peak of the process."""

    customers: int
    events: int
    size: int
    disk: int
    rss: int


class State(msgspec.Struct, frozen=True):
    """Bytes of rows, key and value, before compression.

    `customer`: the row by sessions (each with a payment) a customer in the retained time. `changelog_ratio`: bytes on the broker for each byte of rows,
    in batches of a tick's size. `growth`: of how many customers, and what all of it takes.
    """

    measured: Measurement
    session: float
    payment: float
    month_cell: float
    half_hour_cell: float
    operator: float
    group: float
    customer: Points
    changelog_ratio: float
    growth: list[Growth]

    @property
    def disk_ratio(self) -> float:
        """Bytes in RocksDB's files for each byte of rows: the most of what was measured."""
        return max(found.disk / found.size for found in self.growth)


class CaughtUp(msgspec.Struct, frozen=True):
    """A worker, the API and the servers on one data set, after the worker caught up on `events`.

    `events_per_cpu_s` and `rss` (the peak): of the worker while it did; neither its start nor memberships are counted. `started_cpu_s`, `emptied_cpu_s`: of its next starts, with
    its store, and from an empty disk, for which it reads `changelog_records`. `redis`: bytes of used memory of all its keys. `requests_per_cpu_s`:
    of the API.
    """

    data: str
    operators: int
    customers: int
    groups: int
    events: int
    events_per_cpu_s: float
    rss: int
    started_cpu_s: float
    emptied_cpu_s: float
    changelog_records: int
    redis: int
    requests_per_cpu_s: float


class Served(msgspec.Struct, frozen=True):
    """Of real servers. `started_cpu_s`, `rss`: of a worker's start on empty topics.

    By table, on the widest data: `clickhouse_row`, bytes on disk of a row once parts are merged.
    """

    measured: Measurement
    started_cpu_s: float
    rss: int
    clickhouse_row: dict[str, float]
    caught_up: list[CaughtUp]


class Pace(msgspec.Struct, frozen=True):
    """What all of it takes at a steady pace. `worker` and the like: cores; `rss`: of the worker.

    `topics`: bytes on the broker for each event, by kind of topic. `bookkeeping`: bytes a second in Kafka's own topics, whatever comes.
    `redis_in`: bytes that Redis is sent for each event; `clickhouse_rows`: rows inserted for each.
    """

    data: str
    groups: int
    events_per_second: float
    worker: float
    broker: float
    redis: float
    clickhouse: float
    rss: int
    topics: dict[str, float]
    bookkeeping: float
    redis_in: float
    clickhouse_rows: float


class Paced(msgspec.Struct, frozen=True):
    """Of real servers at a steady pace. `idle`: cores of a worker that has `partitions` and nothing to do.

    `record`: bytes on the broker of a results topic's record, by table, on the widest data.
    """

    measured: Measurement
    partitions: int
    idle: float
    record: dict[str, float]
    paces: list[Pace]


class Million(msgspec.Struct, frozen=True):
    """Starts of a worker with a million customers: seconds, and CPU-seconds, until ready. `records`: that a start from an empty disk reads.

    `nobody_cpu_s`: of a start on empty topics in the same run. `rss`: the peak while it caught up.
    """

    measured: Measurement
    customers: int
    records: int
    rss: int
    nobody_cpu_s: float
    started_cpu_s: float
    started_s: float
    emptied_cpu_s: float
    emptied_s: float


class Curve(msgspec.Struct, frozen=True):
    """Events a CPU-second when one thing changes: `values` of it, and the rates, the first of which the others are compared with."""

    name: str
    title: str
    measured: Measurement
    values: list[float]
    events_per_cpu_s: list[float]


class Costs(msgspec.Struct, frozen=True):
    """All of it."""

    state: State
    served: Served
    paced: Paced
    million: Million
    curves: dict[str, Curve]


@cache
def load() -> Costs:
    """What was measured last."""
    return read(files(__package__).joinpath(FILE).read_bytes())


def read(text: bytes) -> Costs:
    """Costs out of JSON. `Raises` msgspec.ValidationError."""
    return msgspec.json.decode(text, type=Costs)

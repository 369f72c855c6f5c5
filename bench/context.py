"""What every group of rows gets and gives: the stack, the sizes asked for, and rows of the table."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.stack import Space, Stack


class Row(NamedTuple):
    """One line of the table; `value` with its unit, `note`: what was done to get it."""

    group: str
    name: str
    value: str
    note: str = ""


class Loaded(NamedTuple):
    """What the whole path took, and the state it left. `start_cpu_s`: CPU until ready on empty topics, in the same run; the worker's other numbers hold it."""

    space: Space
    records: int
    size: int
    start_cpu_s: float
    start_wall_s: float
    cpu_s: float
    wall_s: float
    rss_bytes: int
    payments: int
    sessions: int


@dataclass(slots=True)
class Context:
    """One run. `data`, `systems`: what is measured side by side; `rates`: source records a second while latency is measured; `page`: it is written down; `curves`: which of them. `loaded`: the state that the whole path left, once `bench.load` ran it."""

    stack: Stack
    events: int
    peers_events: int
    rates: Sequence[int]
    seconds: int
    data: Sequence[str]
    systems: Sequence[str]
    page: bool
    curves: Sequence[str] = ()
    loaded: Loaded | None = field(default=None)


def say(text: str) -> None:
    """Tell what is being done, beside the table."""
    print(text, file=sys.stderr, flush=True)

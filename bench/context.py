"""What every group of rows gets and gives: the stack, the sizes asked for, and rows of the table."""

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from bench.stack import Stack

if TYPE_CHECKING:
    from bench.load import Loaded


class Row(NamedTuple):
    """One line of the table; `value` with its unit, `note`: what was done to get it."""

    group: str
    name: str
    value: str
    note: str = ""


@dataclass(slots=True)
class Context:
    """One run. `loaded`: the state that the whole path left, once it ran; see bench.load."""

    stack: Stack
    events: int
    peer_events: int
    rate: int
    seconds: int
    loaded: "Loaded | None" = field(default=None)


def say(text: str) -> None:
    """Tell what is being done, beside the table."""
    print(text, file=sys.stderr, flush=True)

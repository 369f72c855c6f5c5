"""A line of a plan: a number with its unit, what it is at best, and from which cost and assumption it comes."""

from typing import Final, NamedTuple

BYTES, BYTES_A_SECOND, CORES, SECONDS, COUNT, ROWS, A_SECOND = "bytes", "bytes/s", "cores", "s", "", "rows", "/s"
UNITS: Final = (BYTES, BYTES_A_SECOND, CORES, SECONDS, COUNT, ROWS, A_SECOND)


class Line(NamedTuple):
    """`key` names it for programs. `value`: to plan with, by the worst that was measured; `best`: by the best, None where there is one number only."""

    key: str
    name: str
    value: float
    unit: str
    why: str
    best: float | None = None


class Section(NamedTuple):
    """Lines of one thing."""

    title: str
    lines: list[Line]


class Limit(NamedTuple):
    """What breaks, and how many times today's demand it takes; `what` is a sentence with the size."""

    times: float
    what: str

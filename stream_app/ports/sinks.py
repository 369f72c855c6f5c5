"""What a sink may read, and what it is told: the committed state of a partition, and which of it changed.

A sink never sees what is not committed, and reads cells at the moment it writes, so a key that changed often is written once.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from stream_app.domain.cells import Group, HalfHour, HalfHourKey, Monthly, MonthlyKey, Operator


class View(Protocol):
    """The committed state of one partition. Fast and synchronous; raises nothing for what is not there."""

    partition: int

    def operators(self) -> Iterable[str]:
        """Ids of the known operators."""

    def operator(self, operator: str) -> Operator | None:
        """A known operator."""

    def groups(self, operator: str) -> dict[str, Group]:
        """All groups of an operator by id, ALL included, also those that only have a name."""

    def monthly(self, operator: str, group: str, months: Sequence[int]) -> list[Monthly | None]:
        """Monthly cells, in the order asked for."""

    def half_hours(self, operator: str, group: str, days: Sequence[int]) -> list[HalfHour | None]:
        """Half-hour cells, in the order asked for."""

    def monthly_cells(self, operator: str) -> Iterator[tuple[MonthlyKey, Monthly]]:
        """All retained monthly cells of an operator."""

    def half_hour_cells(self, operator: str) -> Iterator[tuple[HalfHourKey, HalfHour]]:
        """All kept half-hour cells of an operator."""


@dataclass
class Dirty:
    """What changed and is not in a sink yet. Keys of cells that left retention stay in it; their cell is gone from the view."""

    monthly: set[MonthlyKey] = field(default_factory=set)
    half_hour: set[HalfHourKey] = field(default_factory=set)
    operators: set[str] = field(default_factory=set)  # whose entry, groups or names of groups changed

    def __bool__(self) -> bool:
        return bool(self.monthly or self.half_hour or self.operators)

    def update(self, other: "Dirty") -> None:
        """Add what the other holds."""
        self.monthly |= other.monthly
        self.half_hour |= other.half_hour
        self.operators |= other.operators


class Sink(Protocol):
    """A place that copies are written to. Every call may raise OSError or one of `errors`; the caller waits, compares and tries again."""

    name: str
    errors: tuple[type[Exception], ...]  # what its calls raise when the place fails, besides OSError

    async def compare(self, view: View) -> Dirty:
        """Make what is missing (tables), and say what of a partition's state the sink does not hold as it is: after each (re)connection."""

    async def write(self, changes: Sequence[tuple[View, Dirty]]) -> None:
        """Bring the sink up to the state of the views for what is dirty. Idempotent; never replaces a higher version."""

    async def write_as_of(self, as_of_ms: dict[int, int]) -> set[int]:
        """Say up to when each partition's copies hold. Returns those found emptied meanwhile, which are not written: compare them again."""

    async def close(self) -> None:
        """Give connections back."""

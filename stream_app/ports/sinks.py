"""What a sink may read, and what it is told: the committed state of a partition, and which of it changed.

A sink never sees what is not committed, and reads cells at the moment it writes, so a key that changed often is written
once.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from stream_app.domain.cells import Cell, CellKey, Group, Operator
from stream_app.domain.tables import TABLES, Table

C = TypeVar("C", bound=Cell)


class View(Protocol):
    """The committed state of one partition. Fast and synchronous; raises nothing for what is not there."""

    partition: int

    @property
    def version(self) -> int:
        """The version of the state: nothing of it has a higher one, and an owner that comes later has none below."""

    def operators(self) -> Iterable[str]:
        """Ids of the known operators."""

    def operator(self, operator: str) -> Operator | None:
        """A known operator."""

    def groups(self, operator: str) -> dict[str, Group]:
        """All groups of an operator by id, ALL included, also those that only have a name."""

    def cells(self, table: Table[C], keys: Sequence[CellKey]) -> list[C | None]:
        """Cells of a table, in the order asked for."""

    def series(self, table: Table[C], operator: str, group: str, periods: Sequence[int]) -> list[C | None]:
        """Cells of a group in a table, in the order of periods."""

    def past(self, table: Table[Any]) -> Sequence[CellKey]:
        """Names of cells that left retention, and are held until the sink that keeps them for ever has them."""

    def last_cells(self, table: Table[C], keys: Sequence[CellKey]) -> list[C | None]:
        """Cells of a table, in the order asked for; those that left retention as they last were, while they are held."""

    def scan_cells(self, table: Table[C], operator: str) -> Iterator[tuple[CellKey, C]]:
        """All retained cells of an operator in a table."""


def _no_cells() -> dict[str, set[CellKey]]:
    return {table.name: set() for table in TABLES}


@dataclass
class Dirty:
    """What changed and is not in a sink yet; cells by name of table.

    Keys of cells that left retention stay in it; their cell is gone from the view.
    """

    cells: dict[str, set[CellKey]] = field(default_factory=_no_cells)
    operators: set[str] = field(default_factory=set)  # whose entry, groups or names of groups changed

    def __len__(self) -> int:
        return sum(map(len, self.cells.values())) + len(self.operators)

    @property
    def concerned(self) -> set[str]:
        """The operators of all of it."""
        return self.operators.union(key.operator for keys in self.cells.values() for key in keys)

    def update(self, other: "Dirty") -> None:
        """Add what the other holds."""
        for name, keys in other.cells.items():
            self.cells[name] |= keys
        self.operators |= other.operators

    def by_operator(self) -> dict[str, "Dirty"]:
        """The same by operator, in order, each with what is its own."""
        found = {operator: Dirty(operators=self.operators & {operator}) for operator in sorted(self.concerned)}
        for name, keys in self.cells.items():
            for key in keys:
                found[key.operator].cells[name].add(key)
        return found

    def take(self, operators: Collection[str]) -> "Dirty":
        """Give away what concerns these operators."""
        taken = Dirty(operators=self.operators.intersection(operators))
        self.operators -= taken.operators
        for name, keys in self.cells.items():
            taken.cells[name] = {key for key in keys if key.operator in operators}
            keys.difference_update(taken.cells[name])
        return taken


class Sink(Protocol):
    """A place that copies are written to.

    Every call may raise OSError or one of `errors`; the caller waits, compares and tries again.
    """

    name: str
    errors: tuple[type[Exception], ...]  # what its calls raise when the place fails, besides OSError
    keeps_past: bool  # cells that left retention stay in it as they last were: they are held until it has them

    async def compare(self, view: View) -> Dirty:
        """Make missing tables, and say what of a partition's state the sink does not hold.

        Called after each (re)connection.
        """

    def claimed_ms(self, partition: int) -> int:
        """The as-of that a partition must have reached before anything of it is written, after `compare`; 0: any."""

    async def write(self, changes: Sequence[tuple[View, Dirty]]) -> None:
        """Bring the sink up to the state of the views for what is dirty.

        Idempotent; never replaces a higher version.
        """

    async def write_as_of(self, as_of_ms: dict[int, int]) -> set[int]:
        """Say up to when each partition's copies hold.

        Returns those found emptied meanwhile, which are not written: compare them again.
        """

    async def look_over(self, view: View) -> Dirty:
        """What of the next few keys of a partition the sink does not hold; comes round to all of them, call by call.

        For what can go from a sink without a trace.
        """

    async def close(self) -> None:
        """Give connections back."""

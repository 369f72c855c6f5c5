"""The cells of one table in a working set.

Decoded cells live in a cache of two generations that is trimmed right after a freeze, when nothing in it is ahead of the rows.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from stream_app.domain.cells import Cell, CellKey, Operator
from stream_app.domain.steps import in_steps, outcome
from stream_app.domain.tables import Table
from stream_app.domain.working_rows import EncodedCells, Rows

C = TypeVar("C", bound=Cell)

CELLS_CACHED: Final = 5_000  # of each table
STEP_CELLS: Final = 2_000  # of what may concern very many: some milliseconds


class WorkingCells(Generic[C]):
    """The cells of one table: what of them was loaded, and which changed since the last freeze. `encoded`: what holds others as rows."""

    def __init__(self, table: Table[C], rows: Rows, encoded: EncodedCells[C] | None = None) -> None:
        self.table, self._rows, self._encoded = table, rows, encoded
        self._young: dict[CellKey, C] = {}
        self._old: dict[CellKey, C] = {}
        self.changed: dict[CellKey, C | None] = {}  # None: deleted
        self.dropped: dict[CellKey, C] = {}  # those that left retention, as they last were
        self.last: dict[CellKey, C] = {}  # those of them that have changed since the last freeze

    def __len__(self) -> int:
        """How many have changed since the last freeze."""
        return len(self.changed) + (0 if self._encoded is None else len(self._encoded))

    def load(self, keys: Iterable[CellKey]) -> None:
        """Load cells before `get`; one that does not exist is made."""
        young, old, changed = self._young, self._old, self.changed
        absent = [key for key in keys if key not in young and key not in old and key not in changed]
        if absent and self._encoded is not None:
            self._take(absent)
            absent = [key for key in absent if key not in young and key not in changed]
        if absent:
            for key, cell in zip(absent, self._rows.cells(self.table, absent), strict=True):
                young[key] = self.table.new() if cell is None else cell

    def get(self, key: CellKey) -> C:
        """A cell that was loaded; a new one where there is none."""
        cell = self._young.get(key)
        if cell is None:
            cell = self._young[key] = self._old.get(key) or self._made(key)
        return cell

    def peek(self, keys: Sequence[CellKey]) -> list[C]:
        """Cells in the order asked for, new ones where there are none, for who changes nothing."""
        if self._encoded is None:
            self.load(keys)
            return [self.get(key) for key in keys]
        changed, young, old = self.changed.get, self._young.get, self._old.get
        out = [changed(key) or young(key) or old(key) for key in keys]
        absent = [index for index, cell in enumerate(out) if cell is None]
        for index, cell in zip(absent, self._encoded.peek([keys[index] for index in absent]), strict=True):
            out[index] = self.table.new() if cell is None else cell
        return out  # type: ignore[return-value]  # no None is left

    def peek_rows(self, keys: Sequence[CellKey]) -> list[bytes | None]:
        """The rows of those of the cells that are known as rows, in the order asked for; empty or None for others."""
        if self._encoded is None:
            return [None] * len(keys)
        out = self._encoded.peek_rows(keys)
        if self.changed or self._young or self._old:
            for index, key in enumerate(keys):
                if key in self.changed or key in self._young or key in self._old:
                    out[index] = None
        return out

    def give(self, keys: Sequence[CellKey]) -> dict[CellKey, C]:
        """Hand over those of the cells that changed, and forget what is known of all of these."""
        out: dict[CellKey, C] = {}
        if self.changed or self._young or self._old:
            for key in keys:
                if key in self.changed:
                    out[key] = self.changed.pop(key) or self._made(key)
                self._young.pop(key, None)
                self._old.pop(key, None)
        return out

    def _take(self, keys: Iterable[CellKey]) -> None:
        """Have those of the cells as objects that are known as rows."""
        if self._encoded is not None:
            changed, others = self._encoded.take(keys)
            self._young |= others
            self._have(changed)

    def _have(self, changed: dict[CellKey, C]) -> None:
        self._young |= changed
        self.changed |= changed

    def complete(self, operators: Mapping[str, Operator]) -> None:
        """Add to changed cells, before they are frozen, what each must show."""
        if self._encoded is not None:
            self._have(self._encoded.take_lacking())
        self.table.complete(self.changed, operators)
        self.table.complete(self.last, operators)

    def _made(self, key: CellKey) -> C:
        """A cell without sums; one that was dropped and is back keeps the currencies that it was shown in."""
        cell = self.dropped.pop(key, None)
        self.last.pop(key, None)
        if cell is None:
            return self.table.new()
        self.table.clear(cell)
        return cell

    def drop(self, keys: Iterable[CellKey]) -> None:
        """Delete those of the cells that are there: they left retention."""
        young, old, changed = self._young, self._old, self.changed
        keys, absent = list(keys), []
        self._take(keys)
        for key in keys:
            cell = changed[key] if key in changed else young.pop(key, None) or old.pop(key, None)
            if cell is not None:
                if key in changed:
                    self.last[key] = cell
                self._delete(key, cell)
            elif key not in changed:
                absent.append(key)
        for key, cell in zip(absent, self._rows.cells(self.table, absent), strict=True):
            if cell is not None:
                self._delete(key, cell)

    def _delete(self, key: CellKey, cell: C) -> None:
        self._young.pop(key, None)
        self._old.pop(key, None)
        self.changed[key], self.dropped[key] = None, cell

    def keys(self, operator: str) -> list[CellKey]:
        """Names of all cells of an operator, after everything that was applied."""
        return outcome(self.listing(operator))

    def listing(self, operator: str) -> Generator[None, None, list[CellKey]]:
        """The same in steps."""
        if self._encoded is not None:
            self._have(self._encoded.take_changed(operator))
        changed, keys = self.changed, []
        for some in in_steps(self._rows.scan_cells(self.table, operator), STEP_CELLS):
            keys += [key for key, _ in some if key not in changed]
            yield
        return keys + [key for key, cell in changed.items() if key.operator == operator and cell is not None]

    def take_over(self, other: "WorkingCells[C]", operator: str) -> None:
        """The cells of an operator are those of another working set from now on, which nothing here has changed."""
        for known in (self._young, self._old):
            for key in [key for key in known if key.operator == operator]:
                del known[key]
        if self._encoded is not None:
            self._encoded.forget(operator)
        self._young |= {key: cell for key, cell in other.changed.items() if cell is not None}
        self.changed |= other.changed
        self.dropped |= other.dropped
        self.last |= other.last

    def freeze(
        self, version: int, as_of: int
    ) -> tuple[dict[CellKey, C | bytes | None], dict[CellKey, C], dict[bytes, bytes]]:
        """The cells that changed since the last freeze (None: deleted), those that left retention, as they last were, and rows of the first that are bytes."""
        changed: dict[CellKey, C | bytes | None] = {**self.changed}
        dropped, self.changed, self.dropped, self.last = self.dropped, {}, {}, {}
        encoded: dict[bytes, bytes] = {}
        if self._encoded is not None:
            by_name, encoded = self._encoded.freeze(version, as_of)
            changed |= by_name
        # Only here: nothing in it is ahead of the rows. Beside those that are rows it is empty but for what was just frozen.
        if self._encoded is not None or len(self._young) > CELLS_CACHED:
            self._young, self._old = {}, self._young
        return changed, dropped, encoded

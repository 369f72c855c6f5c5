"""Cells of one table as rows, between the native library and the store: what changed since the last freeze, and what lately did."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from stream_app.domain.cells import Cell, CellKey
from stream_app.domain.tables import Table
from stream_app.domain.working_cells import CELLS_CACHED
from stream_app.formats import rows

C = TypeVar("C", bound=Cell)
Load = Callable[[Sequence[bytes]], Sequence[bytes | None]]

_HEAD: Final = 2  # bytes: the mark of the format, and that of a list
_UNSTAMPED: Final = _HEAD + 2  # behind a version and an as-of of zero

_encode: Final = msgspec.msgpack.Encoder().encode


class EncodedCells(Generic[C]):
    """Rows of the cells of a table by their keys (domain.working_rows.EncodedCells).

    `changed`: the cell's name, and its row, whose version and as-of are zero until it is frozen; `lacking`: those of them that lack the operator's currency;
    `counts`: whether anything counts in those of them of which nobody has asked that yet.
    """

    def __init__(self, table: Table[C], stored: Load) -> None:
        self.table, self._stored = table, stored
        self._decode = rows.cell_decoder(table)
        self.changed: dict[bytes, tuple[CellKey, bytes]] = {}
        self.lacking: set[bytes] = set()
        self.counts: dict[bytes, bool] = {}
        self._young: dict[bytes, bytes] = {}  # as they were frozen
        self._old: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self.changed)

    # -- for who knows cells as rows

    def load(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Rows in the order of their keys, after everything that was applied."""
        changed, young, old = self.changed.get, self._young.get, self._old.get
        out = [found[1] if (found := changed(key)) is not None else young(key) or old(key) for key in keys]
        absent = [index for index, row in enumerate(out) if row is None]
        for index, row in zip(absent, self._stored([keys[index] for index in absent]), strict=True):
            out[index] = row
        return out

    def take_counts(self) -> list[tuple[CellKey, bool]]:
        """`counts` by name, once."""
        counts, self.counts = self.counts, {}
        return [(self.changed[key][0], counted) for key, counted in counts.items()]

    # -- for who knows them as objects

    def put(self, name: CellKey, cell: C) -> None:
        """Hold a cell that changed."""
        cell.version = cell.as_of = 0
        self.changed[rows.cell_key(self.table, name)] = name, rows.encode(cell)

    def take(self, names: Iterable[CellKey]) -> tuple[dict[CellKey, C], dict[CellKey, C]]:
        """Hand over those of the cells that are here: changed ones, and others."""
        changed: dict[CellKey, C] = {}
        others: dict[CellKey, C] = {}
        if self.changed or self._young or self._old:
            for name in names:
                key = rows.cell_key(self.table, name)
                frozen = self._forget(key)
                if (found := self.changed.pop(key, None)) is not None:
                    changed[name] = self._read(found[1])
                elif frozen is not None:
                    others[name] = self._read(frozen)
        return changed, others

    def take_changed(self, operator: str) -> dict[CellKey, C]:
        """Hand over all of an operator that changed."""
        return self._take({key: name for key, (name, _) in self.changed.items() if name.operator == operator})

    def take_lacking(self) -> dict[CellKey, C]:
        """Hand over those that changed, and lack the currency that each must show."""
        return self._take({key: self.changed[key][0] for key in self.lacking})

    def _take(self, names: dict[bytes, CellKey]) -> dict[CellKey, C]:
        return self.take(names.values())[0]

    def _read(self, row: bytes) -> C:
        return self.table.read(self._decode(row))

    def _forget(self, key: bytes) -> bytes | None:
        self.lacking.discard(key)
        self.counts.pop(key, None)
        old = self._old.pop(key, None)
        return self._young.pop(key, old)

    def forget(self, operator: str) -> None:
        """Know nothing of an operator's cells, of which none has changed, any longer."""
        prefix = rows.cells_prefix(self.table, operator)
        for frozen in (self._young, self._old):
            for key in [key for key in frozen if key.startswith(prefix)]:
                del frozen[key]

    def peek(self, names: Sequence[CellKey]) -> list[C | None]:
        """Cells in the order asked for, after everything that was applied; they stay here."""
        return self.table.read_all(self._decode.all(self.peek_rows(names)))

    def peek_rows(self, names: Sequence[CellKey]) -> list[bytes | None]:
        """Their rows."""
        return self.load(rows.keys_of_cells(self.table, names))

    def freeze(self, version: int, as_of: int) -> tuple[dict[CellKey, bytes], dict[bytes, bytes]]:
        """Rows that changed since the last freeze, with this version and as-of (epoch milliseconds), by name and by key."""
        stamp = _encode(version) + _encode(as_of)
        by_key = {key: row[:_HEAD] + stamp + row[_UNSTAMPED:] for key, (_, row) in self.changed.items()}
        by_name = dict(zip([name for name, _ in self.changed.values()], by_key.values(), strict=True))
        self.changed, self.lacking = {}, set()
        self._young |= by_key
        if len(self._young) > CELLS_CACHED:
            self._young, self._old = {}, self._young
        return by_name, by_key

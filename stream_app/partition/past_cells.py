"""Cells that left retention, as rows of the store, until the sink that keeps them for ever has their last state.

Place: part of the state of a partition; `changes` go into the transaction that drops the cells, so a crash in between
loses none. Bounded: while ClickHouse is away for longer than room is for, the oldest periods are let go, and counted.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest
from typing import Any, Final

from stream_app.domain.cells import Cell, CellKey
from stream_app.domain.tables import TABLES, Table
from stream_app.formats import rows
from stream_app.partition.frozen_rows import FrozenRows

log = logging.getLogger(__name__)

HELD_MAX: Final = 100_000  # cells of a partition: some 30 MB in the store


class PastCells:
    """Held cells by the keys of their rows. `let_go`: how many were deleted before the sink had them."""

    def __init__(self, stored: FrozenRows, partition: int) -> None:
        self._partition = partition
        self._held = {key for key, _ in stored.scan(rows.PAST)}
        self._released: set[bytes] = set()
        self.let_go = 0

    def __len__(self) -> int:
        return len(self._held)

    def release(self, written: Mapping[str, Iterable[CellKey]]) -> bool:
        """The sink has these cells, by name of table. Says whether rows are to be deleted by the next changes."""
        keys = {rows.past_key(table, key) for table in TABLES for key in written.get(table.name, ())}
        self._released |= keys & self._held
        return bool(self._released)

    def changes(self, dropped: Mapping[str, Mapping[CellKey, Cell]]) -> dict[bytes, bytes]:
        """Rows of what is held from now on, and of what is not any more (empty)."""
        out = dict.fromkeys(self._released, rows.DELETED)
        self._held -= self._released
        self._released = set()
        for table in _kept_for_ever():
            found = {rows.past_key(table, key): cell for key, cell in dropped[table.name].items()}
            out |= rows.encode_all(found.items())
            self._held |= found.keys()
        if (over := len(self._held) - HELD_MAX) > 0:
            oldest = nsmallest(over, self._held, key=lambda key: rows.parse_past_key(key).period)
            if not self.let_go:
                log.error(
                    "partition %d holds %d cells past retention that ClickHouse has not taken: older ones are let go",
                    self._partition,
                    HELD_MAX,
                )
            self.let_go += over
            self._held.difference_update(oldest)
            out |= dict.fromkeys(oldest, rows.DELETED)
        return out


def _kept_for_ever() -> Sequence[Table[Any]]:
    return [table for table in TABLES if table.past_retention]

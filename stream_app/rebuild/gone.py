"""Results that the serving generation shows and the new one does not have: zeros from now on, and tombstones of what is not kept.

The zeros are cells of the new generation, so every sink writes them together with all else of their operator, whoever
owns the partition by then. They are committed while the generation is muted: it has them before it shows anything.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from stream_app.domain.cells import CellKey, FigureCell
from stream_app.domain.tables import Table
from stream_app.formats.murmur2 import partition_for
from stream_app.partition.lane import Lane
from stream_app.ports.records import Record
from stream_app.ports.sinks import View
from stream_app.rebuild.shown import Name, cell_of
from stream_app.sinks.topics import ResultRecords

_POLL_S: Final = 0.02


async def show_zeros(lanes: Callable[[], Iterable[Lane]], gone: Mapping[int, Sequence[Name]]) -> None:
    """Show what is gone, by partition, as zeros where its period is kept; returns when the lanes have committed it."""
    wanted = {partition: [cell_of(name) for name in names] for partition, names in gone.items()}
    asked: set[Lane] = set()  # one that lost its partition and took it over again is another lane
    while wanted:
        for lane in lanes():
            cells = wanted.get(lane.partition)
            if cells is None:
                continue
            if lane not in asked:
                lane.show(cells)
                asked.add(lane)
            elif all(_is_settled(lane.view, *cell) for cell in cells):
                del wanted[lane.partition]
        if wanted:
            await asyncio.sleep(_POLL_S)


def _is_settled(view: View, table: Table[Any], key: CellKey, currency: str) -> bool:
    """Does a view show the cell, if it is kept?"""
    operator = view.operator(key.operator)
    if operator is None:
        return False
    if key.period < table.first_kept(operator):
        return True
    (cell,) = view.cells(table, [key])
    return cell is not None and (not isinstance(cell, FigureCell) or currency in cell.payments)


def without_cell(view: View, names: Iterable[Name]) -> list[Name]:
    """Those of the records' names whose cell a view does not have."""
    found = []
    for name in names:
        table, key, _ = cell_of(name)
        if view.cells(table, [key]) == [None]:
            found.append(name)
    return found


def tombstones(
    names: Iterable[Name], topics: Mapping[str, tuple[str, int]], results: ResultRecords, version: int, as_of_ms: int
) -> dict[tuple[str, int], list[Record]]:
    """Records that remove keys from their topics. `topics`: by table, the topic and its number of partitions."""
    out: dict[tuple[str, int], list[Record]] = {}
    for name in names:
        table, _, _ = cell_of(name)
        topic, partitions = topics[table.name]
        record = results.gone(table, name[1], version, as_of_ms)
        out.setdefault((topic, partition_for(record.key, partitions)), []).append(record)
    return out

"""Whether operators are on their way to another number of partitions: a table of what each generation has filled.

An answer takes its as-of from the partition that its operator's row names. While some operators have moved and others
have not, a partition's as-of would speak for rows of two generations. So it stands still from the moment in which a
generation with another number of partitions begins until all of its partitions are filled; what was claimed until then
holds for both, since no row of it is written before its partition has reached all that was claimed.
"""

from typing import Final, NamedTuple

from stream_app.sinks.clickhouse_client import Connection
from stream_app.sinks.clickhouse_migrations import shape
from stream_app.sinks.clickhouse_reader import as_of_ms
from stream_app.sinks.sql import MOVES, sql

_BEFORE_ANY: Final = 0  # stands for the generation that wrote before there was this table


class Moves(NamedTuple):
    """By generation the number of its partitions, and those of them that are filled."""

    generations: dict[int, tuple[int, set[int]]]

    def is_superseded(self, generation: int) -> bool:
        """Has a newer generation begun?"""
        return max(self.generations, default=generation) > generation

    def is_under_way(self, generation: int) -> bool:
        """Do operators have to move to the partitions of a generation still?"""
        count, _ = self.generations[generation]
        before = [number for number in self.generations if number < generation]
        if self._is_whole(generation) or not before:
            return False
        settled = max(filter(self._is_whole, before), default=min(before))
        return any(self.generations[number][0] != count for number in before if number >= settled)

    def _is_whole(self, generation: int) -> bool:
        count, filled = self.generations[generation]
        return len(filled) == count


def read(to: Connection) -> Moves:
    """What the table says."""
    found: dict[int, tuple[int, set[int]]] = {}
    for generation, partitions, partition, is_filled in to.run("read_moves"):
        _, filled = found.setdefault(generation, (partitions, set()))
        if is_filled:
            filled.add(partition)
    return Moves(found)


def begin(to: Connection, generation: int, partitions: int) -> Moves:
    """Note that a generation has begun, unless a newer one has; make the table, if it is not there."""
    if MOVES not in shape(to):  # who may not make what is there already gets along
        to.run("moves")
    found = read(to)
    rows = []
    if not found.generations and (claimed := as_of_ms(to)):
        rows.append((_BEFORE_ANY, max(claimed) + 1, 0, 0))
    if generation not in found.generations and not found.is_superseded(generation):
        rows.append((generation, partitions, 0, 0))
    if not rows:
        return found
    _insert(to, rows)
    return read(to)


def fill(to: Connection, generation: int, partitions: int, filled: set[int]) -> Moves:
    """Note which partitions of a generation are filled."""
    _insert(to, [(generation, partitions, partition, 1) for partition in sorted(filled)])
    return read(to)


def _insert(to: Connection, rows: list[tuple[int, int, int, int]]) -> None:
    to.insert(sql("insert_moves", to.database), [list(column) for column in zip(*rows, strict=True)])

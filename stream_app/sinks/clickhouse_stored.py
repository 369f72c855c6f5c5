"""What ClickHouse holds of a partition, and what of the partition's state it does not: the comparison of `clickhouse`.

Rows differ in their number, in their versions, or in what the figures add up to. Tables that may have lost rows since are found by their blocks.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from stream_app.domain.cells import Operator
from stream_app.domain.tables import TABLES
from stream_app.ports.sinks import Dirty, View
from stream_app.sinks import clickhouse_statements as statements
from stream_app.sinks.clickhouse_client import Connection, Rows
from stream_app.sinks.clickhouse_rows import Added, Row, added, added_rows, group_rows, operator_row, period_date
from stream_app.sinks.clickhouse_statements import AnyTable
from stream_app.sinks.clickhouse_writes import unfinished
from stream_app.sinks.sql import MOVES, OTHER_TABLES, WRITES

OPERATORS_MAX: Final = 500  # named in one question
_WITH_ROWS: Final = (  # tables that must not lose rows unnoticed
    OTHER_TABLES["operators"],
    OTHER_TABLES["groups"],
    MOVES,
    WRITES,
    *(table.clickhouse_table for table in TABLES),
)

Tables = dict[str, tuple[int, int, int]]  # table: modified, first block, last block
GroupRow = tuple[str | None, int]


class _Sums:
    """What a partition's rows of a table add up to, for operators that keep different periods."""

    def __init__(self, table: AnyTable, firsts: Sequence[str], rows: Rows) -> None:
        self._table, self._firsts = table, firsts
        self._rows: dict[str, list[tuple[int, Row]]] = defaultdict(list)
        for operator_id, kept_by, *sums in rows:
            self._rows[operator_id].append((kept_by, tuple(sums)))

    def of(self, operator_id: str, first: str) -> Added | None:
        """The sums of an operator's rows of the periods that begin on a day or later.

        None where the operator's first retained day is another one by now.
        """
        if first not in self._firsts:
            return None
        older = self._firsts.index(first)
        return added_rows(self._table, (sums for kept_by, sums in self._rows[operator_id] if kept_by > older))


class Stored(NamedTuple):
    """What ClickHouse holds of a partition; `sums` by name of table, `elsewhere`: operators that it holds in other ones."""

    elsewhere: dict[str, int]
    tables: Tables
    operators: dict[str, Row]
    groups: Mapping[str, Mapping[str, GroupRow]]
    unfinished: set[str]  # operators, of any partition
    sums: list[_Sums]

    async def missing(self, view: View) -> Dirty:
        """What of a view it is not: all cells of operators whose rows differ, and all that left retention."""
        dirty = Dirty()
        for operator_id in list(view.operators()):
            operator = view.operator(operator_id)
            if operator is None:
                continue
            is_known = operator_id not in self.unfinished and self.operators.get(operator_id) == operator_row(operator)
            if not is_known or self.groups.get(operator_id, {}) != group_rows(view.groups(operator_id)):
                dirty.operators.add(operator_id)
            for table, sums in zip(TABLES, self.sums, strict=True):
                cells = list(view.scan_cells(table, operator_id))
                if added(table, cells) != sums.of(operator_id, _first(table, operator)):
                    dirty.cells[table.name].update(key for key, _ in cells)
                await asyncio.sleep(0)
        for table in TABLES:
            dirty.cells[table.name].update(view.past(table))
        return dirty


def read_stored(to: Connection, partition: int, names: Sequence[str], firsts: Sequence[Sequence[str]]) -> Stored:
    """What ClickHouse holds of a partition whose operators have these names; `firsts`: by table, as `first_days` has them."""
    tables = read_tables(to)  # as they are before anything is summed: what is lost later shows
    operators = to.run("partition_operators", partition=partition)
    unknown = sorted(set(names) - {row[0] for row in operators})
    elsewhere = {
        operator_id: other
        for at in range(0, len(unknown), OPERATORS_MAX)
        for operator_id, other in to.run("operators_partitions", operators=tuple(unknown[at : at + OPERATORS_MAX]))
    }
    return Stored(
        elsewhere,
        tables,
        {row[0]: row[1:] for row in operators},
        groups_of(to.run("partition_groups", partition=partition)),
        unfinished(to),
        [_sums(to, table, partition, days) for table, days in zip(TABLES, firsts, strict=True)],
    )


def _sums(to: Connection, table: AnyTable, partition: int, firsts: Sequence[str]) -> _Sums:
    statement = statements.sum_rows(table, to.database)
    rows = to.ask(statement, partition=partition, first=firsts[0], firsts=list(firsts)) if firsts else []
    return _Sums(table, firsts, rows)


def groups_of(rows: Rows) -> defaultdict[str, dict[str, GroupRow]]:
    """Rows of groups by operator and group."""
    found: defaultdict[str, dict[str, GroupRow]] = defaultdict(dict)
    for operator_id, group_id, name, listed in rows:
        found[operator_id][group_id] = name, listed
    return found


def _first(table: AnyTable, operator: Operator) -> str:
    """The first day that an operator keeps of a table."""
    return period_date(table, table.first_kept(operator)).isoformat()


def first_days(view: View, table: AnyTable) -> list[str]:
    """The first days that operators of a view keep, each once, in order."""
    operators = [operator for name in view.operators() if (operator := view.operator(name)) is not None]
    return sorted({_first(table, operator) for operator in operators})


def read_tables(to: Connection) -> Tables:
    """The tables that must not lose rows, as they are."""
    return {name: tuple(row) for name, *row in to.run("signatures", database=to.database, tables=_WITH_ROWS)}


def are_whole(before: Tables | None, now: Tables) -> bool:
    """Do the tables still hold every block that they held?

    Merges keep the numbers of first and last blocks; inserts raise the last.
    """
    if before is None or before.keys() != now.keys():
        return False
    return all(
        modified == now[name][0] and last <= now[name][2] and (not first or first >= now[name][1])
        for name, (modified, first, last) in before.items()
    )

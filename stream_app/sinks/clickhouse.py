"""ClickHouse: every retained cell as rows, for questions that the default answers don't cover, and for BI tools.

Rows are inserted again whenever they may be missing; ReplacingMergeTree keeps the highest version of each. Operators
and groups have tables of their own, so that answers can be made from ClickHouse alone. The view is read in the event
loop only, the network is used in threads only. As-of goes last, and not for a partition whose tables may have lost rows
since it was compared: another table behind the name, or blocks gone. Cells that left retention stay as they last were:
they are held in the state until their last rows are here.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from clickhouse_driver.errors import Error as ClickHouseError

from stream_app.domain.tables import TABLES
from stream_app.ports.sinks import Dirty, View
from stream_app.sinks import clickhouse_moves
from stream_app.sinks import clickhouse_statements as statements
from stream_app.sinks.clickhouse_client import Connection, Connections
from stream_app.sinks.clickhouse_migrations import Migrations, UnusableTablesError
from stream_app.sinks.clickhouse_moves import Moves
from stream_app.sinks.clickhouse_reader import as_of_ms
from stream_app.sinks.clickhouse_rows import CellChunk, Columns, Row, as_columns, chunks_of, group_rows, operator_row
from stream_app.sinks.clickhouse_stored import (
    OPERATORS_MAX,
    Stored,
    Tables,
    are_whole,
    first_days,
    groups_of,
    read_stored,
    read_tables,
)
from stream_app.sinks.clickhouse_writes import begun, finished
from stream_app.sinks.sql import MOVES, sql

CELLS_HELD_MAX: Final = 10_000  # of one write, in memory: some 10 MB
_NEVER_MS: Final = 1 << 62  # an as-of that nothing reaches


class _OperatorRow(NamedTuple):
    """A row of an operator of a partition, `row` as `operator_row` has it; `named`: the partition that it names."""

    partition: int
    operator_id: str
    row: Row
    named: int
    version: int


class ClickHouseSink:
    """Copies of committed results in ClickHouse."""

    name = "clickhouse"
    errors: tuple[type[Exception], ...] = (ClickHouseError, EOFError, UnusableTablesError)
    keeps_past = True

    def __init__(self, url: str, database: str, *, generation: int, partitions: int) -> None:
        self._generation = generation
        self._partitions = partitions  # in all: as-of of others, of a generation before, is dropped
        self._connections, self._database = Connections(url, database, connections_max=1), database
        self._migrations = Migrations()
        self._tables: dict[int, Tables] = {}  # partition: the tables as they were when it was compared, and since
        self._operators: dict[int, dict[str, Row]] = {}  # partition: operator: its row
        self._elsewhere: dict[int, dict[str, int]] = {}  # partition: operator: the partition that its row names still
        self._claimed_ms: dict[int, int] = {}  # partition: as-of that its rows must have reached
        self._moves, self._moves_at = Moves({}), (0, 0, 0)  # and the table that it was read from

    async def compare(self, view: View) -> Dirty:
        """Migrate, and find the operators whose rows differ: all cells of those are dirty, and all that left retention."""
        self._tables.pop(view.partition, None)
        firsts = [first_days(view, table) for table in TABLES]
        names = list(view.operators())
        found = await self._connections.use(lambda to: self._stored(to, view.partition, names, firsts))
        if found is None:  # a newer generation serves
            self._claimed_ms[view.partition] = _NEVER_MS
            return Dirty()
        self._claimed_ms[view.partition], stored = found
        self._elsewhere[view.partition], self._tables[view.partition] = stored.elsewhere, stored.tables
        self._operators[view.partition] = stored.operators
        return await stored.missing(view)

    def _stored(
        self, to: Connection, partition: int, names: Sequence[str], firsts: Sequence[Sequence[str]]
    ) -> tuple[int, Stored] | None:
        """The as-of that the partition's rows must have reached, and what is there of them."""
        self._migrations.run(to)
        moves = clickhouse_moves.begin(to, self._generation, self._partitions)
        if moves.is_superseded(self._generation):
            return None
        claimed = as_of_ms(to) if moves.is_under_way(self._generation) else {}
        if claimed and partition not in claimed:  # what moves there would have none for a while
            to.insert(sql("insert_as_of", self._database), [[partition], [min(claimed.values()) // 1000]])
        return max(claimed.values(), default=0), read_stored(to, partition, names, firsts)

    def claimed_ms(self, partition: int) -> int:
        """As-of that rows of the partition must have reached to be written."""
        return self._claimed_ms.get(partition, 0)

    async def write(self, changes: Sequence[tuple[View, Dirty]]) -> None:
        """Insert operators and groups, then cells: a window moves on before the version that speaks for it.

        All rows of an operator are of the state in which the call finds it, and stand between two marks
        (`clickhouse_writes`). An operator with too many dirty cells for that has its second mark only if none of its
        cells changed while they were read: a further write follows where one did. An operator that comes from another
        partition goes on to name that one until all of its rows are here.
        """
        named = [(view, name, view.version) for view, dirty in changes for name in sorted(dirty.concerned)]
        chunks = _chunks(changes)
        held = sum(len(dirty) for _, dirty in changes) <= CELLS_HELD_MAX
        if held:
            chunks = iter(list(chunks))
        operators, moved = self._operator_rows(changes), self._moved_rows(changes)
        writes = sql("insert_writes", self._database)
        marked = [(view, name, version) for view, name, version in named if view.partition in self._operators]
        await self._insert(writes, begun((name, version) for _, name, version in marked))
        await self._insert_operators(operators)
        await self._write_groups(changes)
        for chunk in chunks:
            insert, sent = statements.insert(chunk.table, self._database), statements.sent(chunk.table)
            await self._insert(insert, chunk.columns(), sent)
        await self._insert_operators(moved)
        whole = [(name, version) for view, name, version in marked if held or _newest(view, name) <= version]
        await self._insert(writes, finished(whole))

    def _operator_rows(self, changes: Sequence[tuple[View, Dirty]]) -> "list[_OperatorRow]":
        """Rows of operators that are concerned, if they say something new."""
        rows = []
        for view, dirty in changes:
            known = self._operators.get(view.partition)
            if known is None:  # not compared: only what is gone is written
                continue
            elsewhere = self._elsewhere.get(view.partition, {})
            for operator_id in dirty.concerned:
                operator = view.operator(operator_id)
                if operator is not None and known.get(operator_id) != (row := operator_row(operator)):
                    partition = elsewhere.get(operator_id, view.partition)
                    rows.append(_OperatorRow(view.partition, operator_id, row, partition, view.version))
        return rows

    def _moved_rows(self, changes: Sequence[tuple[View, Dirty]]) -> "list[_OperatorRow]":
        """Rows of operators that came from other partitions, and name this one from now on."""
        rows = []
        for view, dirty in changes:
            for operator_id in dirty.concerned & self._elsewhere.get(view.partition, {}).keys():
                operator = view.operator(operator_id)
                if operator is not None:
                    row = operator_row(operator)
                    rows.append(_OperatorRow(view.partition, operator_id, row, view.partition, view.version))
        return rows

    async def _insert_operators(self, rows: "Sequence[_OperatorRow]") -> None:
        written = [(row.operator_id, *row.row, row.named, row.version) for row in rows]
        await self._insert(sql("insert_operators", self._database), as_columns(written))
        for row in rows:
            self._operators[row.partition][row.operator_id] = row.row
            if row.named == row.partition:
                self._elsewhere[row.partition].pop(row.operator_id, None)

    async def _write_groups(self, changes: Sequence[tuple[View, Dirty]]) -> None:
        """Rows of groups that say something new, those of groups that are gone included."""
        for view, dirty in changes:
            names = sorted(dirty.operators)
            for at in range(0, len(names), OPERATORS_MAX):
                await self._write_groups_of(view, names[at : at + OPERATORS_MAX])

    async def _write_groups_of(self, view: View, operators: list[str]) -> None:
        stored = groups_of(
            await self._connections.use(lambda to: to.run("operators_groups", operators=tuple(operators)))
        )
        rows = []
        for operator_id in operators:
            wanted = group_rows(view.groups(operator_id))
            for group_id in wanted.keys() | stored[operator_id].keys():
                row = wanted.get(group_id, (None, 0))
                if row != stored[operator_id].get(group_id, (None, 0)):
                    rows.append((operator_id, group_id, *row, view.partition, view.version))
        await self._insert(sql("insert_groups", self._database), as_columns(rows))

    async def _insert(self, statement: str, columns: Columns, sent: Sequence[statements.Column] = ()) -> None:
        """Insert columns, or what the statement makes of `sent` ones."""
        if sent:
            rows = list(zip(*columns, strict=True))
            await self._connections.use(lambda to: to.insert_out_of(statement, statements.SENT, sent, rows))
        elif columns:
            await self._connections.use(lambda to: to.insert(statement, columns))

    async def write_as_of(self, as_of_ms: dict[int, int]) -> set[int]:
        """Insert as-of; returns partitions whose rows may be gone, or that were not compared yet."""
        now = await self._connections.use(self._now)
        whole = {partition for partition in as_of_ms if are_whole(self._tables.get(partition), now)}
        for partition in whole:
            self._tables[partition] = now
        if self._moves.is_superseded(self._generation):
            return set(as_of_ms)
        if whole and await self._have_moved(whole):
            rows = [(partition, as_of_ms[partition] // 1000) for partition in sorted(whole)]
            await self._insert(sql("insert_as_of", self._database), as_columns(rows))
            await self._connections.use(self._drop_as_of_of_others)
        return as_of_ms.keys() - whole

    def _now(self, to: Connection) -> Tables:
        """The tables as they are, and the moves anew if somebody has noted one."""
        now = read_tables(to)
        if MOVES in now and now[MOVES] != self._moves_at:
            self._moves, self._moves_at = clickhouse_moves.read(to), now[MOVES]
        return now

    async def _have_moved(self, whole: set[int]) -> bool:
        """Have all operators come to the partitions of this generation? Those of `whole` partitions have."""
        if not self._moves.is_under_way(self._generation):
            return True
        _, filled = self._moves.generations[self._generation]
        if new := whole - filled:
            self._moves = await self._connections.use(
                lambda to: clickhouse_moves.fill(to, self._generation, self._partitions, new)
            )
        return not self._moves.is_under_way(self._generation)

    def _drop_as_of_of_others(self, to: Connection) -> None:
        if any(partition >= self._partitions for partition in as_of_ms(to)):
            to.run("drop_as_of", partitions=self._partitions)

    async def look_over(self, view: View) -> Dirty:
        """Nothing: lost rows leave a trace (`write_as_of`)."""
        del view
        return Dirty()

    async def close(self) -> None:
        """Give the connection back."""
        await self._connections.close()


def _chunks(changes: Sequence[tuple[View, Dirty]]) -> Iterator[CellChunk]:
    """Dirty cells, so many at a time."""
    return (
        chunk
        for table in TABLES
        for view, dirty in changes
        for chunk in chunks_of(view, table, dirty.cells[table.name])
    )


def _newest(view: View, operator_id: str) -> int:
    """The version of the last change of an operator's cells."""
    return max((group.version for group in view.groups(operator_id).values()), default=0)

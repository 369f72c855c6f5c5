"""Answers out of ClickHouse: any window of months or days, and everything while Redis can't be asked.

Each answer takes as-of before the rows, and its version from the rows themselves, so that neither is ahead of what it
stands for. Rows of an answer are all of one state: while they are being written there is no answer (`clickhouse_writes`). `Raises` clickhouse_driver.errors.Error or OSError when ClickHouse can't answer.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from stream_app.domain.cells import FigureCell, Operator
from stream_app.domain.report import Json, Place, count_document, figure_document, operator_entry
from stream_app.domain.tables import MONTHLY, CountTable, FigureTable
from stream_app.sinks import clickhouse_rows as rows_of
from stream_app.sinks import clickhouse_statements as statements
from stream_app.sinks.clickhouse_client import Connection, Connections
from stream_app.sinks.clickhouse_rows import operator_of, period_date
from stream_app.sinks.clickhouse_writes import check_mark, read_mark

T = TypeVar("T")
CONNECTIONS_MAX = 4


class KnownOperator(NamedTuple):
    """An operator and the partition that its results come from."""

    operator: Operator
    partition: int
    mark: int | None = None  # of its last write, as it was read before; None: not read in ClickHouse


class ClickHouseReader:
    """Reads from ClickHouse what answers are made of."""

    def __init__(self, url: str, database: str) -> None:
        self._connections = Connections(url, database, CONNECTIONS_MAX)

    async def operator(self, operator_id: str) -> KnownOperator | None:
        """An operator, if it is known. `Raises` WriteUnderWay."""

        def read(to: Connection) -> KnownOperator | None:
            mark = read_mark(to, operator_id)
            rows = to.run("read_operator", operator=operator_id)
            return KnownOperator(operator_of(rows[0][:-1]), rows[0][-1], mark) if rows else None

        return await self._connections.use(read)

    async def operators(self) -> dict[str, Json]:
        """Entries of the known operators by id."""
        rows = await self._connections.use(lambda to: to.run("read_operators"))
        return {
            operator_id: operator_entry(operator_id, Operator(name=name, timezone=timezone, currency=currency))
            for operator_id, name, timezone, currency in rows
        }

    async def groups(self, operator_id: str) -> dict[str, str | None]:
        """Names of an operator's groups by id, those that are shown."""
        return dict(await self._connections.use(lambda to: to.run("read_groups", operator=operator_id)))

    async def as_of_ms(self) -> dict[int, int]:
        """As-of of each partition's rows, in epoch milliseconds."""
        return await self._connections.use(as_of_ms)

    async def figures(
        self,
        table: FigureTable,
        operator_id: str,
        known: KnownOperator,
        group: str,
        periods: Sequence[int],
        currency: str,
    ) -> Json:
        """The answer of a table of figures for periods in any order, retained or not; version 0 without any row.

        `Raises` WriteUnderWay.
        """
        operator, partition, _ = known
        kept = table.first_kept(operator)

        as_of, cells = await self._of_one_state(
            operator_id, known, lambda to: figure_cells(to, table, operator_id, group, min(kept, *periods))
        )
        version = max((cell.version for period, cell in cells.items() if period >= kept), default=0)
        place = Place(operator_id, operator, group, partition, as_of, version)
        return figure_document(table, place, [cells.get(period) for period in periods], periods, currency)

    async def counts(
        self, table: CountTable, operator_id: str, known: KnownOperator, group: str, periods: Sequence[int]
    ) -> Json:
        """The answer of a table of counts over periods in a row that are kept; version 0 without any row.

        `Raises` WriteUnderWay.
        """
        operator, partition, _ = known
        first, begin, end = (
            period_date(table, period).isoformat() for period in (table.first_kept(operator), periods[0], periods[-1])
        )
        asked = {"operator": operator_id, "group": group, "first": first, "from": begin, "to": end}

        as_of, rows = await self._of_one_state(
            operator_id, known, lambda to: to.ask(statements.read_counts(table, to.database), **asked)
        )
        counts = table.new().slots
        for slot, charges, _ in rows:
            counts[slot] = charges
        version = max((newest for _, _, newest in rows), default=0)
        place = Place(operator_id, operator, group, partition, as_of, version)
        return count_document(table, place, counts, periods)

    async def _of_one_state(
        self, operator_id: str, known: KnownOperator, read: Callable[[Connection], T]
    ) -> tuple[int, T]:
        """As-of of an operator's partition, and rows that are all of one state, that of `known` where that was read here."""

        def marked(to: Connection) -> tuple[int, T]:
            mark = read_mark(to, operator_id) if known.mark is None else known.mark
            as_of = as_of_ms(to).get(known.partition, 0)
            found = read(to)
            check_mark(to, operator_id, mark)
            return as_of, found

        return await self._connections.use(marked)

    async def has_documents(self, operator_id: str, known: KnownOperator, group: str) -> bool:
        """Has the group documents in Redis, when all is well there? It has while it has a cell of the current month."""
        current = MONTHLY.current(known.operator)
        cells = await self._connections.use(lambda to: figure_cells(to, MONTHLY, operator_id, group, current))
        return bool(cells)

    async def close(self) -> None:
        """Give connections back."""
        await self._connections.close()


def as_of_ms(to: Connection) -> dict[int, int]:
    """As-of of each partition's rows, in epoch milliseconds."""
    return {partition: seconds * 1000 for partition, seconds in to.run("read_as_of")}


def figure_cells(to: Connection, table: FigureTable, operator_id: str, group: str, first: int) -> dict[int, FigureCell]:
    """A group's cells by period, from a period on."""
    statement = statements.read_figures(table, to.database)
    day = period_date(table, first).isoformat()
    return rows_of.figure_cells(table, to.ask(statement, operator=operator_id, group=group, first=day))

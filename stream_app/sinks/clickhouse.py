"""ClickHouse: every retained cell as rows, for questions that the default answers don't cover, and for BI tools.

Rows are inserted again whenever they may be missing; ReplacingMergeTree keeps the highest version of each. Operators and groups have tables of
their own, so that answers can be made from ClickHouse alone. The view is read in the event loop only, the network is used in threads only.
As-of goes last, and not for a partition whose tables may have lost rows since it was compared: another table behind the name, or blocks gone.
Cells that left retention stay as they last were.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from clickhouse_driver.errors import Error as ClickHouseError

from stream_app.domain.cells import SLOTS, HalfHourKey, MonthlyKey
from stream_app.domain.local_time import date_of, day_of
from stream_app.ports.sinks import Dirty, View
from stream_app.sinks.clickhouse_client import Connection, Connections, Rows
from stream_app.sinks.clickhouse_rows import (
    Columns,
    group_rows,
    half_hour_columns,
    month_date,
    monthly_columns,
    newest_version,
    operator_row,
)
from stream_app.sinks.sql import TABLES

OPERATORS_MAX: Final = 500  # named in one question
_MODULUS: Final = 2**64  # of sums of UInt64

Tables = dict[str, tuple[int, int, int]]  # table: modified, first block, last block


class _Stored(NamedTuple):
    """What ClickHouse holds of a partition."""

    tables: Tables
    operators: Rows
    groups: Rows
    monthly: Rows
    half_hours: Rows


class ClickHouseSink:
    """Copies of committed results in ClickHouse."""

    name = "clickhouse"
    errors: tuple[type[Exception], ...] = (ClickHouseError, EOFError)

    def __init__(self, url: str, database: str) -> None:
        self._connections = Connections(url, database, connections_max=1)
        self._tables: dict[int, Tables] = {}  # partition: the tables as they were when it was compared, and since
        self._operators: dict[int, dict[str, tuple[Any, ...]]] = {}  # partition: operator: its row

    async def compare(self, view: View) -> Dirty:
        """Make tables that are missing, and find operators whose rows differ in number or versions: those are dirty as a whole."""
        self._tables.pop(view.partition, None)
        first_month, first_day = _first_kept(view)
        stored = await self._connections.use(lambda to: _stored(to, view.partition, first_month, first_day))
        self._tables[view.partition] = stored.tables
        self._operators[view.partition] = {row[0]: row[1:] for row in stored.operators}
        groups: dict[str, dict[str, tuple[str | None, int]]] = defaultdict(dict)
        for operator_id, group_id, name, listed in stored.groups:
            groups[operator_id][group_id] = name, listed
        monthly, half_hours = _by_operator(stored.monthly), _by_operator(stored.half_hours)
        dirty = Dirty()
        for operator_id in list(view.operators()):
            operator = view.operator(operator_id)
            if operator is None:
                continue
            if self._operators[view.partition].get(operator_id) != operator_row(operator) or groups[
                operator_id
            ] != group_rows(view.groups(operator_id)):
                dirty.operators.add(operator_id)
            months = list(view.monthly_cells(operator_id))
            held = ((len(cell.money), cell.version * len(cell.money)) for _, cell in months)
            if _sum(held) != _sum(row for month, *row in monthly[operator_id] if month >= operator.first_month):
                dirty.monthly.update(key for key, _ in months)
            days = list(view.half_hour_cells(operator_id))
            held = ((SLOTS, cell.version * SLOTS) for _, cell in days)
            if _sum(held) != _sum(row for day, *row in half_hours[operator_id] if day_of(day) >= operator.first_day):
                dirty.half_hour.update(key for key, _ in days)
            await asyncio.sleep(0)
        return dirty

    async def write(self, changes: Sequence[tuple[View, Dirty]]) -> None:
        """Insert operators and groups, then cells: a window moves on before the version that speaks for it."""
        await self._write_operators(changes)
        await self._write_groups(changes)
        monthly = chain.from_iterable(monthly_columns(view, dirty.monthly) for view, dirty in changes)
        half_hours = chain.from_iterable(half_hour_columns(view, dirty.half_hour) for view, dirty in changes)
        for statement, chunks in (("insert_monthly", monthly), ("insert_charging_distri", half_hours)):
            for columns in chunks:
                await self._insert(statement, columns)

    async def _write_operators(self, changes: Sequence[tuple[View, Dirty]]) -> None:
        """Rows of operators that are concerned, if they say something new."""
        rows: list[tuple[Any, ...]] = []
        changed: list[tuple[dict[str, tuple[Any, ...]], str, tuple[Any, ...]]] = []
        for view, dirty in changes:
            known = self._operators.setdefault(view.partition, {})
            keys: Iterable[MonthlyKey | HalfHourKey] = chain(dirty.monthly, dirty.half_hour)
            for operator_id in dirty.operators.union(key.operator for key in keys):
                operator = view.operator(operator_id)
                if operator is None:
                    continue
                row = operator_row(operator)
                if known.get(operator_id) != row:
                    rows.append((operator_id, *row, view.partition, newest_version(view.groups(operator_id))))
                    changed.append((known, operator_id, row))
        await self._insert("insert_operators", _columns(rows))
        for known, operator_id, row in changed:
            known[operator_id] = row

    async def _write_groups(self, changes: Sequence[tuple[View, Dirty]]) -> None:
        """Rows of groups that say something new, those of groups that are gone included."""
        for view, dirty in changes:
            names = sorted(dirty.operators)
            for at in range(0, len(names), OPERATORS_MAX):
                await self._write_groups_of(view, names[at : at + OPERATORS_MAX])

    async def _write_groups_of(self, view: View, operators: list[str]) -> None:
        stored: dict[str, dict[str, tuple[str | None, int, int]]] = defaultdict(dict)
        for operator_id, group_id, *row in await self._connections.use(
            lambda to: to.run("operators_groups", operators=tuple(operators))
        ):
            stored[operator_id][group_id] = tuple(row)
        rows = []
        for operator_id in operators:
            groups = view.groups(operator_id)
            wanted, newest = group_rows(groups), newest_version(groups)
            for group_id in wanted.keys() | stored[operator_id].keys():
                name, listed = wanted.get(group_id, (None, 0))
                *there, version = stored[operator_id].get(group_id, (None, 0, 0))
                if there != [name, listed]:
                    rows.append((operator_id, group_id, name, listed, view.partition, max(version, newest)))
        await self._insert("insert_groups", _columns(rows))

    async def _insert(self, statement: str, columns: Columns) -> None:
        if columns:
            await self._connections.use(lambda to: to.insert(statement, columns))

    async def write_as_of(self, as_of_ms: dict[int, int]) -> set[int]:
        """Insert as-of; returns partitions whose rows may be gone, or that were not compared yet."""
        now = await self._connections.use(_tables)
        whole = {partition for partition in as_of_ms if _same(self._tables.get(partition), now)}
        for partition in whole:
            self._tables[partition] = now
        if whole:
            rows = [(partition, as_of_ms[partition] // 1000) for partition in sorted(whole)]
            await self._insert("insert_as_of", _columns(rows))
        return as_of_ms.keys() - whole

    async def close(self) -> None:
        """Give the connection back."""
        await self._connections.close()


def _first_kept(view: View) -> tuple[str, str]:
    """The earliest month and day that any operator of the view keeps, as dates."""
    operators = [operator for name in view.operators() if (operator := view.operator(name)) is not None]
    first_month = min((operator.first_month for operator in operators), default=0)
    first_day = min((operator.first_day for operator in operators), default=0)
    return month_date(first_month).isoformat(), date_of(first_day).isoformat()


def _stored(to: Connection, partition: int, first_month: str, first_day: str) -> _Stored:
    for table in TABLES:
        to.run(table)
    return _Stored(  # the tables as they are before anything is counted: what is lost later shows
        _tables(to),
        to.run("partition_operators", partition=partition),
        to.run("partition_groups", partition=partition),
        to.run("count_monthly", partition=partition, first=first_month),
        to.run("count_charging_distri", partition=partition, first=first_day),
    )


def _tables(to: Connection) -> Tables:
    return {name: tuple(row) for name, *row in to.run("signatures", database=to.database)}


def _same(before: Tables | None, now: Tables) -> bool:
    """Do the tables still hold every block that they held? Merges keep the numbers of first and last blocks; inserts raise the last."""
    if before is None or before.keys() != now.keys():
        return False
    return all(
        modified == now[name][0] and last <= now[name][2] and (not first or first >= now[name][1])
        for name, (modified, first, last) in before.items()
    )


def _by_operator(rows: Rows) -> dict[str, Rows]:
    found: dict[str, Rows] = defaultdict(list)
    for operator_id, *row in rows:
        found[operator_id].append(tuple(row))
    return found


def _sum(counts: Iterable[Iterable[int]]) -> tuple[int, int]:
    """Rows, and their versions as ClickHouse sums them."""
    rows = versions = 0
    for count, version in counts:
        rows += count
        versions += version
    return rows, versions % _MODULUS


def _columns(rows: Sequence[tuple[Any, ...]]) -> Columns:
    return [list(column) for column in zip(*rows, strict=True)]

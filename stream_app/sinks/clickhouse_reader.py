"""Answers out of ClickHouse: any window of months or days, and everything while Redis can't be asked.

Each answer takes as-of before the rows, and its version from the rows themselves, so that neither is ahead of what it stands for.
`Raises` clickhouse_driver.errors.Error or OSError when ClickHouse can't answer.
"""

from collections.abc import Sequence
from typing import NamedTuple

from stream_app.domain.cells import SLOTS, Monthly, Operator
from stream_app.domain.local_time import month_of_day
from stream_app.domain.report import Json, distribution_data, iso_date, monthly_data, operator_entry
from stream_app.sinks.clickhouse_client import Connection, Connections
from stream_app.sinks.clickhouse_rows import month_date, monthly_of, operator_of

CONNECTIONS_MAX = 4


class KnownOperator(NamedTuple):
    """An operator and the partition that its results come from."""

    operator: Operator
    partition: int


class ClickHouseReader:
    """What answers are made of."""

    def __init__(self, url: str, database: str) -> None:
        self._connections = Connections(url, database, CONNECTIONS_MAX)

    async def operator(self, operator_id: str) -> KnownOperator | None:
        """An operator, if it is known."""
        rows = await self._connections.use(lambda to: to.run("read_operator", operator=operator_id))
        return KnownOperator(operator_of(rows[0][:-1]), rows[0][-1]) if rows else None

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
        """Up to when the rows of each partition hold."""
        return await self._connections.use(as_of_ms)

    async def monthly(
        self, operator_id: str, known: KnownOperator, group: str, months: Sequence[int], currency: str
    ) -> Json:
        """The answer of `monthlyIndex` for months in any order, retained or not."""
        operator, partition = known

        def read(to: Connection) -> tuple[int, dict[int, Monthly]]:
            as_of = as_of_ms(to).get(partition, 0)
            first = month_date(min(operator.first_month, *months)).isoformat()
            return as_of, monthly_of(to.run("read_monthly", operator=operator_id, group=group, first=first))

        as_of, cells = await self._connections.use(read)
        version = max((cell.version for month, cell in cells.items() if month >= operator.first_month), default=0)
        return monthly_data(operator_id, group, operator, cells, months, currency, partition, as_of, version)

    async def has_documents(self, operator_id: str, known: KnownOperator, group: str) -> bool:
        """Has the group documents in Redis, when all is well there? It has while it has a cell of the current month."""
        first = month_date(month_of_day(known.operator.today)).isoformat()
        rows = await self._connections.use(
            lambda to: to.run("read_monthly", operator=operator_id, group=group, first=first)
        )
        return bool(rows)

    async def distribution(self, operator_id: str, known: KnownOperator, group: str, days: range) -> Json:
        """The answer of `chargingDistribute` for day numbers within those that are kept."""
        operator, partition = known
        window = {
            "operator": operator_id,
            "group": group,
            "first": iso_date(operator.first_day),
            "from": iso_date(days[0]),
            "to": iso_date(days[-1]),
        }

        def read(to: Connection) -> tuple[int, list[tuple[int, int, int]]]:
            return as_of_ms(to).get(partition, 0), to.run("read_charging_distri", **window)

        as_of, rows = await self._connections.use(read)
        counts = [0] * SLOTS
        for slot, charges, _ in rows:
            counts[slot] = charges
        version = max((newest for _, _, newest in rows), default=0)
        return distribution_data(operator_id, group, operator, counts, days, partition, as_of, version)

    async def close(self) -> None:
        """Give connections back."""
        await self._connections.close()


def as_of_ms(to: Connection) -> dict[int, int]:
    """Up to when the rows of each partition hold, in epoch milliseconds."""
    return {partition: seconds * 1000 for partition, seconds in to.run("read_as_of")}

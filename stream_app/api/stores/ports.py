"""What the API needs of a store. Redis gives documents ready to send, ClickHouse cells of any window.

Both `Raise` what their circuit knows as an outage; both take as-of before the rows or documents that it speaks for.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from stream_app.domain.report import Json
from stream_app.domain.tables import CountTable, FigureTable
from stream_app.sinks.clickhouse_reader import KnownOperator

AsOf = dict[bytes, bytes]  # partition -> as-of, as they stand in documents


class DocumentStore(Protocol):
    """A store of default answers, ready to send."""

    async def read(self, keys: Sequence[str]) -> "ReadResult":
        """Documents in the order of their keys."""

    async def operators(self, ids: Collection[str] | None) -> tuple[dict[str, bytes], AsOf]:
        """Entries of these operators by id, of all for None."""

    async def ping(self) -> None:
        """Return when the store answers."""


class ReadResult(NamedTuple):
    """Documents of one read, and the as-of that was taken before them."""

    documents: list[bytes | None]
    as_of: AsOf


class CellStore(Protocol):
    """A store of cells, for every question that the default answers don't cover.

    An operator and its cells `Raise` WriteUnderWay while they are being written: answers are of one state.
    """

    async def operator(self, operator_id: str) -> KnownOperator | None:
        """An operator, if it is known."""

    async def operators(self) -> Mapping[str, Json]:
        """Entries of the known operators by id."""

    async def groups(self, operator_id: str) -> Mapping[str, str | None]:
        """Names of an operator's groups by id."""

    async def as_of_ms(self) -> Mapping[int, int]:
        """Up to when the rows of each partition hold."""

    async def figures(
        self,
        table: FigureTable,
        operator_id: str,
        known: KnownOperator,
        group: str,
        periods: Sequence[int],
        currency: str,
    ) -> Json:
        """The answer of a table of figures; version 0 without any row."""

    async def counts(
        self, table: CountTable, operator_id: str, known: KnownOperator, group: str, periods: Sequence[int]
    ) -> Json:
        """The answer of a table of counts, over periods in a row; version 0 without any row."""

    async def has_documents(self, operator_id: str, known: KnownOperator, group: str) -> bool:
        """Has the group documents in Redis, when all is well there?"""

"""A table for each of domain.tables: the committed cells of this worker's partitions, by key.

They lie in the store, the changelog and the transaction of table `ledger`, so they can't disagree with it, and have nothing of their own to
recover.
"""

from typing import Any, Generic, TypeVar

from stream_app.domain.cells import Cell, CellKey
from stream_app.domain.tables import Table
from stream_app.faust_seam.tables import RecoveringTable
from stream_app.partition.lanes import Lanes
from tables.ledger import LedgerTable

C = TypeVar("C", bound=Cell)


class CellTable(RecoveringTable, Generic[C]):
    """CellKey -> cell of one table."""

    def __init__(self, app: Any, table: Table[C], *, ledger: LedgerTable, lanes: Lanes) -> None:
        super().__init__(
            app,
            source=ledger.source,
            name=table.name,
            partitions=ledger.partitions,
            key_type=bytes,
            value_type=bytes,
            changelog_topic=ledger.changelog_topic,
        )
        self._table, self._lanes = table, lanes

    async def on_start(self) -> None:
        """The changelog is declared by table `ledger`, which starts first."""
        await self.add_runtime_dependency(self.data)

    async def recover(self, partitions: set[int]) -> None:
        """Nothing to do: table `ledger` recovers the rows of all tables."""

    def cell(self, key: CellKey) -> C | None:
        """The cell as it was committed; None where there is none, or another worker has it."""
        found = (lane.view.cells(self._table, [key])[0] for lane in self._lanes.open_lanes())
        return next((cell for cell in found if cell is not None), None)

"""Tables `monthly` and `half_hour`: the committed cells of this worker's partitions, by key.

They lie in the store, the changelog and the transaction of table `ledger`, so they can't disagree with it, and have nothing of their own to
recover.
"""

from typing import Any

from stream_app.domain.cells import HalfHour, HalfHourKey, Monthly, MonthlyKey
from stream_app.faust_seam.tables import RecoveringTable
from stream_app.partition.lanes import Lanes
from tables.ledger import LedgerTable

MONTHLY, HALF_HOUR = "monthly", "half_hour"


class _CellTable(RecoveringTable):
    def __init__(self, app: Any, *, name: str, ledger: LedgerTable, lanes: Lanes) -> None:
        super().__init__(
            app,
            source=ledger.source,
            name=name,
            partitions=ledger.partitions,
            key_type=bytes,
            value_type=bytes,
            changelog_topic=ledger.changelog_topic,
        )
        self._lanes = lanes

    async def recover(self, partitions: set[int]) -> None:
        """Nothing to do: table `ledger` recovers the rows of all tables."""


class MonthlyTable(_CellTable):
    """Table `monthly`: MonthlyKey -> Monthly, of this worker's partitions."""

    def cell(self, key: MonthlyKey) -> Monthly | None:
        """The cell as it was committed; None where there is none, or another worker has it."""
        found = (lane.view.monthly(key.operator, key.group, [key.month])[0] for lane in self._lanes.open_lanes())
        return next((cell for cell in found if cell is not None), None)


class HalfHourTable(_CellTable):
    """Table `half_hour`: HalfHourKey -> HalfHour, of this worker's partitions."""

    def cell(self, key: HalfHourKey) -> HalfHour | None:
        """The cell as it was committed; None where there is none, or another worker has it."""
        found = (lane.view.half_hours(key.operator, key.group, [key.day])[0] for lane in self._lanes.open_lanes())
        return next((cell for cell in found if cell is not None), None)

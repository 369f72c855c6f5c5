"""Table `ledger`: all rows of a partition (entities, customers, cells, position), the one that owns store and changelog.

Key and value are bytes, see stream_app.formats.rows. Changelog `<app>-ledger-changelog`, compacted, written by the transactions of the lanes.
"""

from collections.abc import Mapping
from typing import Any

from stream_app.faust_seam.tables import RecoveringTable
from stream_app.partition.lanes import Lanes

NAME = "ledger"
_TOMBSTONES_MS = 7 * 24 * 3600 * 1000  # a worker that was away for half of it reads its whole state anew


def changelog(app_id: str) -> str:
    """The changelog of all tables."""
    return f"{app_id}-{NAME}-changelog"


class LedgerTable(RecoveringTable):
    """Hands recovery to the lanes. `durability`: settings of the changelog besides."""

    def __init__(self, app: Any, *, source: str, partitions: int, lanes: Lanes, durability: Mapping[str, str]) -> None:
        super().__init__(
            app,
            source=source,
            name=NAME,
            partitions=partitions,
            key_type=bytes,
            value_type=bytes,
            extra_topic_configs={"delete.retention.ms": _TOMBSTONES_MS, **durability},
        )
        self._lanes = lanes

    async def recover(self, partitions: set[int]) -> None:
        """Own exactly these partitions, up to date with the changelog and running."""
        await self._lanes.recover(partitions)

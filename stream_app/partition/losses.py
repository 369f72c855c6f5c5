"""Partitions that this worker lost, until it works on them again: how long each rests, and what the log says of all of them.

Where a broker goes, each partition loses its transaction: that is one line when the first is lost, and one when all are worked on again.
"""

import logging
import random
import time
from collections.abc import Collection
from typing import Final

from stream_app.trouble import Trouble

log = logging.getLogger(__name__)

_QUIET_S: Final = 30.0  # between two lines that partitions are lost in the same way
_REMEMBERED_S: Final = 60.0
_REST_S: Final = 0.5, 10.0  # before a partition is taken over again: after its first loss, and at most


class Losses:
    """See the module. A partition may be lost in several ways, and is back once."""

    def __init__(self) -> None:
        self._at: dict[int, list[float]] = {}  # by partition, when it was lost
        self._kinds: dict[str, tuple[Trouble[int], float]] = {}  # by what happened, with when it began

    def rest_s(self, partition: int) -> float:
        """Count a loss; seconds to wait before the partition is taken over again: the longer, the more often it was lost of late."""
        now = time.monotonic()
        at = self._at[partition] = [at for at in self._at.get(partition, []) if now - at < _REMEMBERED_S] + [now]
        first, largest = _REST_S
        return min(largest, first * 2.0 ** (len(at) - 1)) * random.uniform(0.5, 1)  # noqa: S311  # hides nothing

    def lost(self, partition: int, what: str, why: object = None) -> None:
        """A partition is not worked on. `what`: the kind of loss, `why`: of this one. To be called again while it lasts."""
        trouble, _ = self._kinds.setdefault(what, (Trouble(_QUIET_S), 0.0))
        now = time.monotonic()
        if trouble.has(partition, now):
            self._kinds[what] = trouble, now
            log.warning("partition %d: %s%s", partition, what, "" if why is None else f" ({why})")

    def back(self, partitions: Collection[int]) -> None:
        """Partitions are worked on."""
        for what, (trouble, since) in self._kinds.items():
            if had := trouble.is_over(partitions):
                log.warning(
                    "partitions %s are worked on again, %.1f s after the first line (%s)",
                    sorted(had),
                    time.monotonic() - since,
                    what,
                )

    def forget(self, partitions: Collection[int]) -> None:
        """Partitions are given away: nothing is to be told of them."""
        for trouble, _ in self._kinds.values():
            trouble.is_over(partitions)

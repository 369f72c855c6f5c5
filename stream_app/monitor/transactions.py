"""Open transactions of producers to source topics: they hold all who read committed, and as-of with them.

From look to look, beside watch.py. A partition that can be read up to its end is not asked about, nor one whose transaction is young.
"""

from collections.abc import Collection
from contextlib import suppress
from typing import Final

from stream_app.clients.waiting import ClusterError
from stream_app.monitor.document import HeldRow
from stream_app.monitor.look import Look
from stream_app.observing.observer import Observer

_YOUNG_MS: Final = 10_000  # what is held for no longer is nobody's trouble
_SHOWN_MAX: Final = 20


class Transactions:
    """What is held, and since when. `topics`: those of the sources."""

    def __init__(self, observer: Observer, topics: Collection[str]) -> None:
        self._observer, self._topics = observer, frozenset(topics)
        self._held: dict[tuple[str, int], tuple[int, int]] = {}  # partition: last stable offset, and since when

    async def look(self, look: Look) -> list[HeldRow]:
        """The partitions that are held, the longest first. Who holds one is not known where Kafka does not say it."""
        stable, ends = look.partitions.stable, look.partitions.ends
        held = {tp: offset for tp, offset in stable.items() if tp[0] in self._topics and offset < ends.get(tp, offset)}
        before, self._held = self._held, {}
        for tp, offset in held.items():
            known = before.get(tp)
            self._held[tp] = known if known is not None and known[0] == offset else (offset, look.time_ms)
        old = sorted((since_ms, tp) for tp, (_, since_ms) in self._held.items() if look.time_ms - since_ms >= _YOUNG_MS)
        return [await self._row(tp, since_ms) for since_ms, tp in old[:_SHOWN_MAX]]

    async def _row(self, tp: tuple[str, int], since_ms: int) -> HeldRow:
        offset = self._held[tp][0]
        with suppress(ClusterError):
            for found in await self._observer.open_transactions(tp):
                if found.start_offset <= offset:
                    return HeldRow(*tp, offset, since_ms, found.producer_id)
        return HeldRow(*tp, offset, since_ms, None)

"""Source topics: the age of their last records, and whether that is silence, by what came on the days before.

The age is told by the end that moves while the monitor watches; before that by the newest timestamp. What came before is told by ListOffsets: the
records of the hour up to now, and of the day, on each of the last seven days. Asked anew every ten minutes; nothing is read.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from stream_app.health.silence import DAYS, judge_silence
from stream_app.monitor.document import SourceRow
from stream_app.observing.answers import OffsetAndTime, Offsets
from stream_app.observing.observer import Observer

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_COUNT_MS: Final = 600_000
_DENIED: Final = "the right to describe it is missing"

Counts = tuple[list[int | None], list[int | None]]  # of the hours, of the days; the latest first


class Sources:
    """What is known of the source topics from look to look."""

    def __init__(self, observer: Observer, topics: Sequence[str], optional: Sequence[str] = ()) -> None:
        """`optional`: those of the topics that may be missing, and are left out while they are."""
        self._observer, self._topics, self._optional = observer, topics, frozenset(optional)
        self._ends: dict[str, tuple[str, int]] = {}  # topic: its id, and the sum of its ends
        self._last_ms: dict[str, int] = {}
        self._counts: dict[str, Counts] = {}
        self._counted_ms = 0

    async def look(self, now_ms: int) -> list[SourceRow]:
        """A row for each topic. `Raises` ClusterError."""
        known = await self._observer.topics(self._topics, denied_ok=True)
        found = {topic: state for topic, state in known.items() if not state.is_denied}
        partitions = [(topic, p) for topic, state in found.items() for p in range(state.partitions)]
        ends = await self._observer.ends(partitions, missing_ok=True)
        sums = _by_topic(ends)
        new = [topic for topic in sums if self._ends.get(topic, ("", 0))[0] != found[topic].topic_id]
        if new:
            newest = _times(await self._observer.newest([tp for tp in partitions if tp[0] in new]))
            for topic in new:
                self._last_ms.pop(topic, None)
                if topic in newest:
                    self._last_ms[topic] = min(now_ms, max(newest[topic]))
        for topic, end in sums.items():
            if topic not in new and end > self._ends[topic][1]:
                self._last_ms[topic] = now_ms
            self._ends[topic] = found[topic].topic_id, end
        if new or now_ms - self._counted_ms >= _COUNT_MS:
            self._counts = await self._count(now_ms, ends)
            self._counted_ms = now_ms
        shown = [topic for topic in self._topics if topic in found or topic not in self._optional]
        rows = [self._row(topic, now_ms, exists=topic in found) for topic in shown]
        return [
            msgspec.structs.replace(row, failure=_DENIED) if row.topic in known.keys() - found.keys() else row
            for row in rows
        ]

    def _row(self, topic: str, now_ms: int, *, exists: bool) -> SourceRow:
        last_ms = self._last_ms.get(topic) if exists else None
        age_s = None if last_ms is None else (now_ms - last_ms) / 1000
        hours, days = self._counts.get(topic, ([], [])) if exists else ([], [])
        found = judge_silence(age_s, hours, days)
        return SourceRow(topic, exists, last_ms, age_s, found.per_hour, found.missed, found.is_silent)

    async def _count(self, now_ms: int, ends: Offsets) -> dict[str, Counts]:
        """Records between times, per topic: offsets at the later one less offsets at the earlier one."""
        first = await self._observer.at(dict.fromkeys(ends, 0), stable=False)
        begins = {topic: min(times) for topic, times in _times(first).items()}
        ago = [(now_ms - day * _DAY_MS, now_ms - day * _DAY_MS - _HOUR_MS) for day in range(1, DAYS + 1)]
        then = [await self._at(time_ms, ends) for time_ms, _ in ago]
        before = [await self._at(time_ms, ends) for _, time_ms in ago]

        def between(topic: str, later: Mapping[str, int], earlier: Mapping[str, int], from_ms: int) -> int | None:
            is_kept = topic in begins and begins[topic] <= from_ms and topic in later and topic in earlier
            return later[topic] - earlier[topic] if is_kept else None

        return {
            topic: (
                [between(topic, then[i], before[i], from_ms) for i, (_, from_ms) in enumerate(ago)],
                [between(topic, then[i], then[i + 1], from_ms) for i, (from_ms, _) in enumerate(ago[1:])],
            )
            for topic in {topic for topic, _ in ends}
        }

    async def _at(self, time_ms: int, ends: Offsets) -> dict[str, int]:
        """By topic the sum of the offsets at a time; without those of which a partition did not answer."""
        found = await self._observer.at(dict.fromkeys(ends, time_ms), stable=False)
        whole = {tp: ends[tp] if at is None else at.offset for tp, at in found.items()}
        missing = {topic for topic, _ in ends.keys() - whole.keys()}
        return {topic: total for topic, total in _by_topic(whole).items() if topic not in missing}


def _by_topic(offsets: Mapping[tuple[str, int], int]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for (topic, _), offset in offsets.items():
        sums[topic] = sums.get(topic, 0) + offset
    return sums


def _times(found: Mapping[tuple[str, int], OffsetAndTime | None]) -> dict[str, list[int]]:
    times: dict[str, list[int]] = {}
    for (topic, _), at in found.items():
        if at is not None:
            times.setdefault(topic, []).append(at.time_ms)
    return times

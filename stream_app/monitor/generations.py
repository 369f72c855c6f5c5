"""The topic of generations, followed: has a newer one taken the place of the one that is watched, and how far is one that is being built?"""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from stream_app.formats import generations
from stream_app.formats.generations import Generation
from stream_app.monitor.conf import Conf
from stream_app.monitor.document import RebuildRow
from stream_app.observing.answers import Offsets
from stream_app.observing.follow import Follower
from stream_app.observing.observer import Observer

_PACE_MS: Final = 60_000
_TAIL: Final = 1000  # records; two of each generation are written

Partitions = Iterable[tuple[str, int]]


class Generations:
    """What the topic said up to the last look."""

    def __init__(self, conf: Conf, observer: Observer) -> None:
        self._conf, self._observer = conf, observer
        self._follower = Follower(conf.kafka, conf.topic_generations, _TAIL)
        self._known: dict[int, Generation] = {}
        self._pace = Pace()
        self.serving_since_ms = 0  # of the generation that is watched; 0: it was there before the topic

    async def look(self) -> None:
        """Read what came. `Raises` ClusterError."""
        for record in await self._follower.drain():
            for generation in generations.read([record.value]):
                self._known[generation.number] = generation
                if generation.number == self._conf.generation and generation.state == "serving":
                    self.serving_since_ms = record.time_ms

    @property
    def is_superseded(self) -> bool:
        """Does a newer generation serve than the one that is watched?"""
        return any(found.number > self._conf.generation and found.state == "serving" for found in self._known.values())

    async def rebuild(self, now_ms: int) -> RebuildRow | None:
        """How far the generation is that is being built; None: none is, or nothing is left of it. `Raises` ClusterError."""
        row = await self._rebuild()
        return None if row is None else self._pace.of(row, now_ms)

    async def _rebuild(self) -> RebuildRow | None:
        building = [found for found in self._known.values() if found.number > self._conf.generation]
        if not building:
            return None
        target, conf = max(building, key=lambda found: found.number), self._conf
        group, events = f"{conf.ledger_prefix}{target.number}", f"{conf.events_prefix}{target.events}"
        wanted = {group: [(events, partition) for partition in range(target.partitions)]}
        if events != conf.events:  # what is copied from the events topic that is read now
            copied = [(conf.events, partition) for partition in range(conf.events_partitions)]
            wanted[f"{conf.copy_prefix}{target.events}"] = copied
        state = (await self._observer.describe_groups([group])).get(group)
        members = len(state.members) if state is not None else 0
        committed = {name: await self._observer.committed(name) for name in wanted}
        if not members and not any(committed.values()):
            return None
        partitions = [tp for tps in wanted.values() for tp in tps]
        starts = await self._observer.starts(partitions, missing_ok=True)
        ends = await self._observer.ends(partitions, missing_ok=True)
        return RebuildRow(
            generation=target.number,
            group=group,
            events_partitions=target.partitions,
            members=members,
            lag_records=sum(_lag(committed[name], tps, starts, ends) for name, tps in wanted.items()),
            records=sum(ends[tp] - starts[tp] for tp in starts.keys() & ends.keys()),
        )


class Pace:
    """How fast a rebuild goes, from one look to the next."""

    def __init__(self) -> None:
        self._looks: deque[tuple[int, RebuildRow]] = deque()  # of the last minute, and one before

    def of(self, row: RebuildRow, now_ms: int) -> RebuildRow:
        """The row with its rate; a rebuild that nobody runs, or that is another one, has none yet."""
        if not row.members or (self._looks and self._looks[-1][1].group != row.group):
            self._looks.clear()
        if not row.members:
            return row
        self._looks.append((now_ms, row))
        while len(self._looks) > 2 and now_ms - self._looks[1][0] >= _PACE_MS:
            self._looks.popleft()
        from_ms, first = self._looks[0]
        if now_ms <= from_ms:
            return row
        seconds = (now_ms - from_ms) / 1000
        rate = max(0, (row.records - row.lag_records) - (first.records - first.lag_records)) / seconds
        gain = (first.lag_records - row.lag_records) / seconds
        left = 0.0 if not row.lag_records else row.lag_records / gain if gain > 0 else None
        return msgspec.structs.replace(row, rate=rate, catch_up_seconds=left)


def _lag(committed: Mapping[tuple[str, int], int], partitions: Partitions, starts: Offsets, ends: Offsets) -> int:
    """Offsets of these partitions that are not read yet."""
    return sum(
        max(0, ends[tp] - max(committed.get(tp, 0), starts[tp])) for tp in partitions if tp in starts and tp in ends
    )

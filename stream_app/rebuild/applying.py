"""How far a generation that is being built has applied the events, beside the one that serves: what a rebuild waits for."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from config.settings import Settings
from stream_app.clients.waiting import ClusterError, until_kafka_answers
from stream_app.observing.answers import Offsets
from stream_app.observing.observer import Observer
from stream_app.partition.lanes import Lanes
from stream_app.ports.sinks import View
from stream_app.rebuild.catching_up import CatchingUp
from stream_app.rebuild.copying import Copying

_POLL_S: Final = 0.5
_LANES_S: Final = 0.02  # between two looks at lanes
_WHO: Final = "the rebuild"  # waits for Kafka
_LETTERS_S: Final = (
    30.0  # a serving generation that is further behind is not passed without sending some dead letters again
)


class Applying:
    """The events that the lanes of the new generation have applied. `settings` are its own, `old` those of the serving one."""

    def __init__(
        self, settings: Settings, old: Settings, lanes: Lanes, observer: Observer, copying: Copying, *, copies: bool
    ) -> None:
        self._settings, self._old, self._lanes, self._observer = settings, old, lanes, observer
        self._copying, self._copies = copying, copies  # of the events into another topic

    async def catch_up(self, copy: "asyncio.Task[None] | None", tell: Callable[[int, int, int], None]) -> None:
        """Wait until each partition is applied up to its end of some seconds before.

        `copy`: the work of copying, which may fail; `tell` is told of offsets done, of so many, and of events counted.
        """
        await self._lanes.recovered.wait()
        events, partitions = self._settings.events, range(self._settings.events_partitions)
        tps = [(events, partition) for partition in partitions]
        old = [(self._old.events, partition) for partition in range(self._old.events_partitions)]
        catching_up = CatchingUp()
        first: int | None = None
        while True:
            if copy is not None and copy.done():
                copy.result()
            with suppress(ClusterError):
                ends = dict(await self._observer.ends(tps + (old if copy is not None else [])))
                lanes = list(self._lanes.open_lanes())
                done = sum(lane.committed for lane in lanes)
                first = done if first is None else min(first, done)
                todo = sum(ends[tp] for tp in tps)
                counted = sum(lane.events for lane in lanes)
                tell(done - first, max(todo - first, 1), counted)
                if catching_up.is_done(time.monotonic(), ends, self._has_passed):
                    return
            await asyncio.sleep(_POLL_S)

    async def settle(self) -> None:
        """Wait until both generations have applied all events that there are now."""
        old = [(self._old.events, partition) for partition in range(self._old.events_partitions)]
        ends = await self._ends(old)
        while True:
            committed = await until_kafka_answers(lambda: self._observer.committed(self._old.ledger_group), _WHO)
            if all(committed.get(tp, 0) >= end for tp, end in ends.items()):
                break
            await asyncio.sleep(_POLL_S)
        await self.until_applied({partition: end for (_, partition), end in ends.items()})

    async def until_applied(self, offsets: Mapping[int, int]) -> None:
        """Wait until all is applied that the serving generation has applied up to these offsets, by partition."""
        wanted = {(self._old.events, partition): offset for partition, offset in offsets.items()}
        if self._copies:  # and all that ingest had appended when its offsets were taken over
            ends = await self._ends(list(wanted))
            wanted = {tp: max(offset, ends[tp]) for tp, offset in wanted.items()}
        await self._wait_passed(wanted)
        if self._copies:
            tps = [(self._settings.events, partition) for partition in range(self._settings.events_partitions)]
            await self._wait_passed(await self._ends(tps))

    async def _ends(self, partitions: Sequence[tuple[str, int]]) -> Offsets:
        """While nobody serves, a broker that goes away must not end it."""
        return await until_kafka_answers(lambda: self._observer.ends(partitions), _WHO)

    async def _wait_passed(self, ends: Mapping[tuple[str, int], int]) -> None:
        while not self._has_passed(ends):  # noqa: ASYNC110  # lanes tell nobody
            await asyncio.sleep(_LANES_S)

    def _has_passed(self, ends: Mapping[tuple[str, int], int]) -> bool:
        lanes = {lane.partition: lane for lane in self._lanes.open_lanes()}
        for (topic, partition), end in ends.items():
            if topic == self._settings.events:
                if partition not in lanes or lanes[partition].committed < end:
                    return False
            elif self._copying.positions.get(partition, 0) < end:
                return False
        return True

    async def views(self) -> Sequence[View]:
        """Of all partitions, once all of them are worked on: of one that is lost for a moment, it would seem that nothing is there."""
        while len(lanes := self._lanes.open_lanes()) < self._settings.events_partitions:  # noqa: ASYNC110  # lanes tell nobody
            await asyncio.sleep(_LANES_S)
        return [lane.view for lane in lanes]

    async def follow_letters(self) -> None:
        """Dead letters of what the serving generation has applied are its own: they are forgotten here."""
        seen: list[tuple[float, dict[int, int]]] = []
        while True:
            now = time.monotonic()
            with suppress(ClusterError):
                if self._copies:  # offsets of the two topics can't be compared: what is old enough is the other's
                    lanes = self._lanes.open_lanes()
                    seen.append((now, {lane.partition: lane.committed for lane in lanes}))
                    applied = next((offsets for at, offsets in reversed(seen) if now - at > _LETTERS_S), {})
                    seen = [(at, offsets) for at, offsets in seen if now - at <= 2 * _LETTERS_S]
                else:
                    committed = await self._observer.committed(self._old.ledger_group)
                    applied = {p: offset for (topic, p), offset in committed.items() if topic == self._old.events}
                for lane in self._lanes.open_lanes():
                    if lane.muted:
                        lane.forget_letters(applied.get(lane.partition, 0))
            await asyncio.sleep(_POLL_S)

"""Copies committed results of all partitions of this worker into one sink, at the sink's own pace.

What changed is kept as sets of keys until it is written, so a sink that is down costs bounded memory and holds up
nobody. After each failure and each start a partition is compared with the sink first. As-of is written after the
documents it speaks for: it is taken in the same moment as the keys that are about to be written. Where a sink claims an
as-of for a partition already, which another generation's documents have reached, nothing of the partition is written
before its own have. Cells that left retention are released once a sink that keeps them for ever has written them.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from stream_app.domain.cells import CellKey
from stream_app.domain.tables import TABLES
from stream_app.partition.lane import BEHIND_FACTOR, Lane
from stream_app.partition.store import StoreClosed
from stream_app.ports.sinks import Dirty, Sink, View
from stream_app.ports.store import StoreCorrupt

log = logging.getLogger(__name__)

KEYS_MAX = 5_000  # of one write, but for an operator that has more
_BACKOFF_S = (0.25, 5.0)
AS_OF_S = 1.0  # between two writes of an as-of that stands still: they tell whether the sink was emptied
LOOK_S = 2.0  # between two looks for keys that are gone, of some hundred keys each
_REST_S = 0.1  # until a write where no tick was committed: as-of moves by samples alone, too
_BEHIND_REST = 9  # while lanes are behind: times as long as a write took, so that a tenth of the time goes into it
_BEHIND_REST_S_MAX = 10.0
_SAY_S = 60.0  # between two lines of what was found


class SinkWriter:
    """Writes the committed results of all open lanes, which `lanes` gives, into one sink."""

    def __init__(self, sink: Sink, interval_s: float, lanes: Callable[[], list[Lane]]) -> None:
        self._sink, self._interval_s, self._lanes = sink, interval_s, lanes
        self._dirty: dict[Lane, Dirty] = {}
        self._compared: set[Lane] = set()
        self.failing = False
        self._as_of_due, self._look_at, self._turn = 0.0, 0.0, 0
        self._say_at, self._lost = 0.0, 0
        self.as_of_ms: dict[int, int] = {}  # by partition, for the monitor
        self._news = asyncio.Event()

    @property
    def pending(self) -> int:
        """Keys that are not in the sink yet."""
        return sum(map(len, self._dirty.values()))

    def told(self, lane: Lane, dirty: Dirty) -> None:
        """A tick of a lane was committed."""
        if lane in self._compared:  # else the comparison will see it
            self._dirty.setdefault(lane, Dirty()).update(dirty)
        self._news.set()

    async def run(self) -> None:
        """Write, until cancelled. A sink that fails is tried again; an error of our own is raised."""
        backoff = _BACKOFF_S[0]
        while True:
            self._news.clear()
            started = time.monotonic()
            try:
                await self._step()
                if self.failing:
                    log.warning("%s answers again", self._sink.name)
                self.failing, backoff = False, _BACKOFF_S[0]
                await self._rest(time.monotonic() - started)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_REST_S):
                        await self._news.wait()
            except StoreCorrupt:
                self._forget()
                for lane in self._lanes():
                    lane.look_at_store()  # the one whose it is takes the partition over again
                await asyncio.sleep(self._interval_s)
            except StoreClosed:
                self._forget()  # a partition was given away in the middle: nobody knows what of the others is written
                await asyncio.sleep(self._interval_s)
            except (OSError, *self._sink.errors) as exc:  # type: ignore[misc]  # a tuple of exceptions
                if not self.failing:
                    log.warning("%s fails, results are kept for it: %s: %s", self._sink.name, type(exc).__name__, exc)
                self.failing = True
                self._forget()
                await asyncio.sleep(backoff * random.uniform(0.5, 1))  # noqa: S311  # spreads workers, hides nothing
                backoff = min(backoff * 2, _BACKOFF_S[1])

    async def _rest(self, took_s: float) -> None:
        """Wait after a write: the sink's interval, and longer while lanes are behind, when many keys would be written again and again, and be old each time."""
        rest_s = max(BEHIND_FACTOR * self._interval_s, min(_BEHIND_REST * took_s, _BEHIND_REST_S_MAX))
        until = time.monotonic() + rest_s
        while True:
            await asyncio.sleep(self._interval_s)
            if time.monotonic() >= until or not any(lane.is_behind for lane in self._lanes()):
                return

    def _forget(self) -> None:
        self._compared.clear()
        self._dirty.clear()

    async def _step(self) -> None:
        lanes = self._lanes()
        for gone in (self._compared | self._dirty.keys()) - set(lanes):
            self._compared.discard(gone)
            self._dirty.pop(gone, None)
        for lane in lanes:
            if lane not in self._compared:
                self._compared.add(lane)  # from now on ticks are told, so that nothing falls in between
                found = await self._sink.compare(lane.view)
                self._dirty.setdefault(lane, Dirty()).update(found)
        lanes = [lane for lane in lanes if lane.is_open and lane in self._compared]
        as_of = {lane.partition: lane.frontiers.as_of(lane.committed) for lane in lanes}
        lanes = [lane for lane in lanes if as_of[lane.partition] >= self._sink.claimed_ms(lane.partition)]
        as_of = {lane.partition: as_of[lane.partition] for lane in lanes}
        taken = {lane: dirty for lane in lanes if (dirty := self._dirty.pop(lane, None))}
        for portion in self._portions(taken):
            past = {lane: _past(lane.view, dirty) for lane, dirty in portion.items() if self._sink.keeps_past}
            await self._sink.write([(lane.view, dirty) for lane, dirty in portion.items()])
            for lane, written in past.items():
                lane.release(written)
        as_of = {partition: time_ms for partition, time_ms in as_of.items() if time_ms}
        if taken or as_of != self.as_of_ms or time.monotonic() >= self._as_of_due:
            self._as_of_due = time.monotonic() + AS_OF_S
            emptied = await self._sink.write_as_of(as_of) if as_of else set()
            self.as_of_ms = {partition: time_ms for partition, time_ms in as_of.items() if partition not in emptied}
            self._compared -= {lane for lane in lanes if lane.partition in emptied}
        await self._look_over(lanes)

    def _portions(self, taken: dict[Lane, Dirty]) -> Iterator[dict[Lane, Dirty]]:
        """What was taken, some thousand keys at a time, that of an operator at once.

        What has become dirty of an operator meanwhile goes along: so all that is dirty of it is written of one state.
        """
        if sum(map(len, taken.values())) <= KEYS_MAX:
            if taken:
                yield taken
            return
        portion: dict[Lane, Dirty] = {}
        count = 0
        for lane, dirty in taken.items():
            for own in dirty.by_operator().values():
                if count and count + len(own) > KEYS_MAX:
                    yield self._with_news(portion)
                    portion, count = {}, 0
                portion.setdefault(lane, Dirty()).update(own)
                count += len(own)
        yield self._with_news(portion)

    def _with_news(self, portion: dict[Lane, Dirty]) -> dict[Lane, Dirty]:
        for lane, dirty in portion.items():
            if lane in self._dirty:
                dirty.update(self._dirty[lane].take(dirty.concerned))
        return portion

    async def _look_over(self, lanes: Sequence[Lane]) -> None:
        """Find what is gone from the sink of a few keys of one of the lanes, each in turn, at a bounded pace."""
        if time.monotonic() < self._look_at or not lanes:
            return
        self._look_at = time.monotonic() + LOOK_S
        self._turn += 1
        lane = lanes[self._turn % len(lanes)]
        found = await self._sink.look_over(lane.view)
        if lane not in self._compared:
            return
        dirty = self._dirty.setdefault(lane, Dirty())
        self._lost += len(_without(found, dirty))
        dirty.update(found)
        if self._lost and time.monotonic() >= self._say_at:
            log.warning("%s has lost %d keys: they are written again", self._sink.name, self._lost)
            self._lost, self._say_at = 0, time.monotonic() + _SAY_S

    async def close(self) -> None:
        """Disconnect. What is not written yet is found by the next owner's comparison."""
        await self._sink.close()


def _past(view: View, dirty: Dirty) -> dict[str, set[CellKey]]:
    """The dirty cells that have left retention by now, by name of table: what is written of them is their last state."""
    return {table.name: dirty.cells[table.name].intersection(view.past(table)) for table in TABLES}


def _without(found: Dirty, dirty: Dirty) -> Dirty:
    """What of the found has not changed lately, and so should have been there."""
    changed = {(name, *key[:2]) for name, cells in dirty.cells.items() for key in cells}
    cells = {
        name: {key for key in keys if (name, *key[:2]) not in changed and key.operator not in dirty.operators}
        for name, keys in found.cells.items()
    }
    return Dirty(cells, found.operators - dirty.operators)

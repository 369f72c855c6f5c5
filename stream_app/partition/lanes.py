"""All partitions that this worker owns: taking them over, and giving them away.

Taking over: fence, replay the changelog, go on from the row of the position. The group's committed offset is never
asked: it can be that of a zombie.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from stream_app.domain.cells import CellKey
from stream_app.partition.conf import Conf, Crash
from stream_app.partition.lane import Lane, SupersededError
from stream_app.partition.sink_writer import SinkWriter
from stream_app.partition.store import Store, new_cache
from stream_app.ports.kafka import ChangelogLost, Kafka, Range, Sample
from stream_app.ports.records import Batch
from stream_app.ports.sinks import Dirty

log = logging.getLogger(__name__)

# A tombstone must not be gone before each store has taken it: a store is dropped at half the time that tombstones are
# kept, for the times of store and broker are told by different clocks.
_CLOCKS_FACTOR = 2
_SUPERSEDED_S_MAX = 60.0
_SUPERSEDED_POLL_S = 5.0


class Lanes:
    """The lanes of the partitions that this worker owns.

    `writers`: the sink writers that each lane tells of its ticks.
    """

    _conf: Conf

    def __init__(self, kafka: Kafka, path: Path, block_cache_mb: int, crash: Crash) -> None:
        self._kafka, self._path, self._crash = kafka, path, crash
        self._cache = new_cache(block_cache_mb)
        self._lock = asyncio.Lock()
        self._unwanted = False
        self.lanes: dict[int, Lane] = {}
        self.writers: list[SinkWriter] = []
        self.recovered = asyncio.Event()  # for the first time

    def configure(self, conf: Conf) -> None:
        """Set what is known only after the cluster was asked; called before the first recovery."""
        self._conf = conf

    def open_lanes(self) -> list[Lane]:
        """The lanes that are open."""
        return [lane for lane in self.lanes.values() if lane.is_open]

    def serving_lanes(self) -> list[Lane]:
        """The open lanes whose results are shown: those that are not muted."""
        return [lane for lane in self.lanes.values() if lane.is_open and not lane.muted]

    def unmute(self, offsets: Mapping[int, int], shown: Mapping[int, Iterable[tuple[CellKey, str]]]) -> None:
        """Serve from now on, in place of a generation that has applied the events partitions up to these offsets.

        `shown`: by partition, cells and currencies that the generation has shown them in.
        """
        self._conf = msgspec.structs.replace(self._conf, muted=False)
        for lane in self.open_lanes():
            lane.unmute(offsets.get(lane.partition, 0), shown.get(lane.partition, ()))

    def positions(self) -> dict[int, int]:
        """The next offset to fetch, by events partition."""
        return {lane.partition: lane.expected for lane in self.open_lanes()}

    def reached(self, sample: Sample) -> None:
        """Hand a reached sample of the as-of frontier to the open lanes."""
        for lane in self.open_lanes():
            lane.frontiers.add(sample.time_ms, sample.ends[lane.partition])

    def _told(self, lane: Lane, dirty: Dirty) -> None:
        for writer in self.writers:
            writer.told(lane, dirty)

    async def put(self, partition: int, batches: Sequence[Batch]) -> None:
        """Hand frames to their lane; those of one that was given away are somebody else's."""
        if (lane := self.lanes.get(partition)) is not None:
            await lane.put(batches)

    async def recover(self, partitions: set[int]) -> None:
        """Own exactly these partitions, up to date with the changelog and running.

        Ends early when they are given away meanwhile.
        """
        await self.park()
        async with self._lock:
            self._unwanted, started = False, time.monotonic()
            self._path.mkdir(parents=True, exist_ok=True)
            for partition in sorted(partitions):
                self.lanes[partition] = self._new_lane(partition)
            if self.lanes:
                await asyncio.gather(*(lane.fence() for lane in self.lanes.values()))
                count = await self._replay(lambda: not self._unwanted)
                ranges = await self._kafka.ranges(self._conf.topics.events, list(self.lanes))
                for partition, lane in self.lanes.items():
                    if self._unwanted:
                        return
                    await self._start(lane, ranges[partition])
                log.info(
                    "recovered partitions %s: %d records in %.2f s",
                    sorted(partitions),
                    count,
                    time.monotonic() - started,
                )
            self.recovered.set()

    async def _start(self, lane: Lane, where: Range) -> None:
        """Start a lane; one of a superseded generation waits: this worker is about to end."""
        deadline = time.monotonic() + _SUPERSEDED_S_MAX
        while not self._unwanted:
            try:
                await lane.start(where)
            except SupersededError as exc:
                if time.monotonic() > deadline:
                    raise
                log.warning("partition %d waits: %s", lane.partition, exc)
                await asyncio.sleep(_SUPERSEDED_POLL_S)
            else:
                return

    def _new_lane(self, partition: int) -> Lane:
        store = Store(self._path / str(partition), self._cache)
        return Lane(self._conf, partition, store, self._kafka.new_log(partition), self._told, self._crash)

    async def _replay(self, wanted: Callable[[], bool]) -> int:
        """Bring the stores up to the end of the changelog; the number of records. One that can't be is dropped and read anew."""
        topic = self._conf.topics.changelog
        stores = {partition: lane.store for partition, lane in self.lanes.items()}
        began_ms = int(time.time() * 1000)
        age_ms_max = await self._kafka.tombstones_ms(topic) // _CLOCKS_FACTOR
        for partition, store in stores.items():
            if store.log and not began_ms - age_ms_max <= store.clean_ms <= began_ms + age_ms_max:
                log.warning(
                    "partition %d: the local state is from %s, and the changelog may have lost deletions since: it is dropped and read anew",
                    partition,
                    time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(store.clean_ms / 1000)),
                )
                store.wipe()
        while True:
            for store in stores.values():
                if not store.log:
                    store.clean_ms = began_ms
            try:
                count = await self._kafka.replay(topic, stores, wanted)
            except ChangelogLost as exc:
                log.warning("partition %d: the local state is dropped and read anew: %s", exc.partition, exc)
                stores[exc.partition].wipe()
                continue
            if wanted():  # else some may have stopped on the way
                for store in stores.values():
                    store.clean_ms = began_ms
            return count

    async def park(self) -> None:
        """Close all lanes: what was applied is committed, stores are closed.

        Called before partitions are given away.
        """
        self._unwanted = True
        async with self._lock:
            lanes, self.lanes = self.lanes, {}
            await asyncio.gather(*(lane.stop() for lane in lanes.values()))
            for lane in lanes.values():
                lane.store.close()

    async def close(self) -> None:
        """Disconnect all sinks."""
        for writer in self.writers:
            await writer.close()

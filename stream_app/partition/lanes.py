"""All partitions that this worker owns: taking them over, and giving them away.

Taking over: fence, replay the changelog, go on from the row of the position. The group's committed offset is never
asked: it can be that of a zombie.

A transaction that Kafka refused or interrupted loses its partition: another owner may have come, but the transaction may as well have timed out,
or its coordinator be away. The consumer group knows: what it still gives to this worker is taken over again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec

from stream_app.partition.conf import Conf, Crash
from stream_app.partition.lane import Lane
from stream_app.partition.losses import Losses
from stream_app.partition.positions import SupersededError
from stream_app.partition.room import Room
from stream_app.partition.sink_writer import SinkWriter
from stream_app.partition.store import Store, new_cache
from stream_app.ports.kafka import ChangelogLost, Kafka, Range, Sample
from stream_app.ports.records import Batch
from stream_app.ports.sinks import Dirty
from stream_app.ports.store import StoreCorrupt, StoreFull
from stream_app.ports.tracing import Tracing

log = logging.getLogger(__name__)

# A tombstone must not be gone before each store has taken it: a store is dropped at half the time that tombstones are
# kept, for the times of store and broker are told by different clocks.
_CLOCKS_FACTOR = 2
_FENCE_S = 10.0  # for which all partitions that are taken over wait for each other
_SUPERSEDED_S_MAX = 60.0
_SUPERSEDED_POLL_S = 5.0
# A partition that was lost to another worker, and that no rebalance takes away by then, is a mistake.
_LOST_S_MAX = 60.0
_LOST_POLL_S = 0.5


class Lanes:
    """The lanes of the partitions that this worker owns.

    `writers`: the sink writers that each lane tells of its ticks. `arrived` is called when frames have come. `seek`: tells the consumer to go on from `positions`.
    `tracing`: where traces are followed.
    """

    _conf: Conf

    def __init__(
        self, kafka: Kafka, path: Path, block_cache_mb: int, crash: Crash, seek: Callable[[], Awaitable[None]]
    ) -> None:
        self._kafka, self._path, self._crash, self._seek = kafka, path, crash, seek
        self._cache, self._room = new_cache(block_cache_mb), Room()
        self._lock = asyncio.Lock()
        self._taking: set[asyncio.Task[None]] = set()  # partitions that are being taken over
        self._losses = Losses()
        self.lanes: dict[int, Lane] = {}
        self.writers: list[SinkWriter] = []
        self.arrived: Callable[[], None] = lambda: None
        self.tracing: Tracing | None = None
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

    def unmute(self, offsets: Mapping[int, int]) -> None:
        """Serve from now on, in place of a generation that has applied the events partitions up to these offsets."""
        self._conf = msgspec.structs.replace(self._conf, muted=False)
        for lane in self.open_lanes():
            lane.unmute(offsets.get(lane.partition, 0))

    def positions(self) -> dict[int, int]:
        """The next offset to fetch, by events partition."""
        return {lane.partition: lane.fetch_from for lane in self.open_lanes()}

    def full(self) -> set[int]:
        """Events partitions of which nothing should be fetched now: enough is queued."""
        return {lane.partition for lane in self.open_lanes() if lane.is_full}

    def reached(self, sample: Sample) -> None:
        """Hand a reached sample of the as-of frontier to the open lanes; what comes to none of them is fetched anew. `Raises` PositionError."""
        waiting = [
            lane.partition for lane in self.open_lanes() if lane.reached(sample.time_ms, sample.ends[lane.partition])
        ]
        if waiting:
            log.warning("partitions %s: frames are there and do not come, they are fetched anew", waiting)
            self._begin(self._or_crash(self._seek, "frames can't be fetched anew"))

    def _told(self, lane: Lane, dirty: Dirty) -> None:
        for writer in self.writers:
            writer.told(lane, dirty)

    async def put(self, partition: int, batches: Sequence[Batch]) -> None:
        """Hand frames to their lane; those of one that was given away are somebody else's."""
        self.arrived()
        if (lane := self.lanes.get(partition)) is not None and not await lane.put(batches):
            await self._seek()

    async def recover(self, partitions: set[int]) -> None:
        """Own exactly these partitions, up to date with the changelog and running.

        Ends early when they are given away meanwhile.
        """
        await self.park()
        async with self._lock:
            taking = self._begin(self._take(sorted(partitions)))
            try:
                await asyncio.wait({taking})
            finally:
                taking.cancel()
            if not taking.cancelled():
                taking.result()
                self._note_recovered()

    def _note_recovered(self) -> None:
        if all(lane.is_open for lane in self.lanes.values()):
            self.recovered.set()

    def _begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Work that `park` cancels."""
        task = asyncio.create_task(work)
        self._taking.add(task)
        task.add_done_callback(self._taking.discard)
        return task

    async def _or_crash(self, work: Callable[[], Awaitable[None]], failed: str) -> None:
        """Work that nobody awaits: where it fails the worker ends, with these words in the log."""
        try:
            await work()
        except Exception as exc:
            log.exception(failed)
            await self._crash(exc)

    def _cancel_taking(self) -> None:
        for task in self._taking:
            if not task.cancelling():  # what it does at its end is not to be cancelled
                task.cancel()

    async def _take(self, partitions: Sequence[int], *, seeks: bool = False) -> None:
        """Take partitions over, whose lanes are closed or were never there. Those that can't be fenced soon follow by themselves."""
        taken: dict[int, Lane] = {}
        for partition in partitions:
            taken[partition] = self.lanes[partition] = await self._new_lane(partition)
        if not taken:
            return
        fences = {lane.partition: asyncio.ensure_future(lane.fence()) for lane in taken.values()}
        try:
            await asyncio.wait(fences.values(), timeout=_FENCE_S)
        except asyncio.CancelledError:
            for fence in fences.values():
                fence.cancel()
            raise
        for partition, fence in fences.items():
            if not fence.done():
                self._losses.lost(partition, "it is taken over later, for Kafka does not start its transactions")
                late = partial(self._take_late, taken.pop(partition), fence)
                self._begin(self._or_crash(late, f"partition {partition} can't be taken over"))
        for partition in taken:
            fences[partition].result()
        if taken:
            await self._go_on(taken, seeks=seeks)

    async def _take_late(self, lane: Lane, fence: asyncio.Future[None]) -> None:
        """Take a partition over once it is fenced, while others work already."""
        await fence
        await self._go_on({lane.partition: lane}, seeks=True)
        await self._seek()
        self._note_recovered()

    async def _go_on(self, taken: Mapping[int, Lane], *, seeks: bool) -> None:
        """Bring fenced lanes up to date with the changelog, and start them."""
        started = time.monotonic()
        count = await self._replay(taken)
        ranges = await self._kafka.ranges(self._conf.topics.events, list(taken))
        for partition, lane in taken.items():
            await self._start(lane, ranges[partition], seeks=seeks)
        if not seeks:
            log.info("recovered partitions %s: %d records in %.2f s", list(taken), count, time.monotonic() - started)
        self._losses.back(taken)

    async def _start(self, lane: Lane, where: Range, *, seeks: bool) -> None:
        """Start a lane; one of a superseded generation waits: this worker is about to end."""
        deadline = time.monotonic() + _SUPERSEDED_S_MAX
        while True:
            try:
                return await lane.start(where, seeks=seeks)
            except SupersededError as exc:
                if time.monotonic() > deadline:
                    raise
                self._losses.lost(lane.partition, "it waits", exc)
                await asyncio.sleep(_SUPERSEDED_POLL_S)
            except StoreCorrupt as exc:
                self._losses.lost(lane.partition, "the local state can't be read", exc)
                await self._replay({lane.partition: lane})

    # -- partitions that were lost

    def _lost(self, lane: Lane, what: str, why: str) -> None:
        """A transaction of the lane was refused or interrupted, or its store can't be read; the lane is closed."""
        self._losses.lost(lane.partition, what, why)
        if self.lanes.get(lane.partition) is lane:  # else it is being given away
            again = partial(self._take_again, lane)
            self._begin(self._or_crash(again, f"partition {lane.partition} can't be taken over again"))

    async def _take_again(self, lane: Lane) -> None:
        """Take a lost partition over again, unless the group has given it to another worker: a rebalance follows then."""
        await asyncio.sleep(self._losses.rest_s(lane.partition))
        await self._until_owned(lane.partition)
        await lane.stop()
        await self._take([lane.partition], seeks=True)
        await self._seek()

    async def _until_owned(self, partition: int) -> None:
        others_since: float | None = None  # time in which Kafka is away, or the group rebalances, does not count
        while not (owns := await self._kafka.owns(partition)):
            now = time.monotonic()
            others_since = None if owns is None else others_since or now
            if others_since is not None and now - others_since > _LOST_S_MAX:
                raise RuntimeError(f"partition {partition} was lost to another worker, and no rebalance followed")
            await asyncio.sleep(_LOST_POLL_S)

    async def _new_lane(self, partition: int) -> Lane:
        before, path = self.lanes.get(partition), self._path / str(partition)
        store = await self._room.until(lambda: Store(path, self._cache)) if before is None else before.store
        new_log = self._kafka.new_log(partition)
        return Lane(
            self._conf, partition, store, new_log, self._told, self._lost, self._crash, self._room, self.tracing
        )

    async def _replay(self, lanes: Mapping[int, Lane]) -> int:
        """Bring the stores up to the end of the changelog; the number of records. One that can't be is dropped and read anew."""
        topic = self._conf.topics.changelog
        stores = {partition: lane.store for partition, lane in lanes.items()}
        began_ms = int(time.time() * 1000)
        age_ms_max = await self._kafka.tombstones_ms(topic) // _CLOCKS_FACTOR
        for partition, store in stores.items():
            if store.log and not began_ms - age_ms_max <= store.clean_ms <= began_ms + age_ms_max:
                log.warning(
                    "partition %d: the local state is from %s, and the changelog may have lost deletions since: it is dropped and read anew",
                    partition,
                    time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(store.clean_ms / 1000)),
                )
                await self._room.until(store.wipe)
        while True:
            for partition, store in stores.items():
                if store.is_corrupt:
                    log.warning("partition %d: the local state is dropped and read anew: it is corrupt", partition)
                    await self._room.until(store.wipe)
                if not store.log:
                    store.clean_ms = began_ms
            try:
                count = await self._kafka.replay(topic, stores)
            except ChangelogLost as exc:
                log.warning("partition %d: the local state is dropped and read anew: %s", exc.partition, exc)
                await self._room.until(stores[exc.partition].wipe)
                continue
            except StoreCorrupt:
                continue
            except StoreFull:
                for store in stores.values():
                    await self._room.until(partial(store.write, {}, store.log))
                continue
            for store in stores.values():
                store.clean_ms = began_ms
            return count

    async def park(self) -> None:
        """Close all lanes: what was applied is committed, stores are closed.

        Called before partitions are given away.
        """
        self._cancel_taking()
        async with self._lock:
            while self._taking:
                self._cancel_taking()  # a partition may be lost as long as its lane works: also while the lock was waited for
                await asyncio.wait(self._taking)
            lanes, self.lanes = self.lanes, {}
            ended = await asyncio.gather(*(lane.stop() for lane in lanes.values()))
            self._losses.forget(lanes)
            if left := [partition for partition, is_done in zip(lanes, ended, strict=True) if not is_done]:
                log.warning("partitions %s: the commits under way are left to the next owner", left)
            for lane in lanes.values():
                lane.store.close()

    async def close(self) -> None:
        """Disconnect all sinks."""
        for writer in self.writers:
            await writer.close()

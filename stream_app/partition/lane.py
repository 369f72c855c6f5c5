"""One events partition, owned by this worker: a queue of frames, and a pipeline of two ticks.

The order of a tick, and what a failure between two steps means:
1. Frames are applied in memory. Lost: they are read again, onto a store that never saw them.
2. Freeze, with nothing in between: rows, cells, position, results, dead letters of one offset.
3. One Kafka transaction holds all of it. Not committed: aborted, as after 1. A zombie is fenced here.
4. One RocksDB write. Lost: replayed from the changelog.
5. Sinks are told. Lost: a sink is compared with the state at each start and connection.
While a tick commits, the next frames are applied. After any failure everything in memory is dropped.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from stream_app.domain.cells import CellKey
from stream_app.domain.tables import Table
from stream_app.formats.frames import checksum
from stream_app.formats.rows import POSITION
from stream_app.partition.conf import Conf, Crash
from stream_app.partition.frame_queue import FrameQueue, check_frame
from stream_app.partition.frontiers import Frontiers
from stream_app.partition.frozen_rows import CommittedRows, FrozenRows
from stream_app.partition.partition_state import PartitionState, Tick
from stream_app.partition.positions import position_of
from stream_app.partition.room import Room
from stream_app.ports.kafka import Fenced, Interrupted, Log, Range
from stream_app.ports.records import Batch
from stream_app.ports.sinks import Dirty
from stream_app.ports.store import Store, StoreCorrupt
from stream_app.ports.tracing import Tracing, ending

T = TypeVar("T")

log = logging.getLogger(__name__)

_SLICE_BYTES = 150_000  # of frames applied without letting other work in: some 20 ms
_TICK_BYTES_MAX = 1_000_000  # of frames in a tick under load; an event is some 75
_TICK_CELLS_MAX = 10_000  # changed in a tick: with their rows and records some 50 MB, of each partition
_APART_MAX = 100_000  # events held of operators apart: some 50 MB
_BEHIND_S = 5.0  # as-of older than this: catching up
BEHIND_FACTOR = 3  # then results topics and sinks are written so much more seldom
_STOP_S = 5.0  # a commit that hangs when the partition is given away is left to its next owner, who ends it


class Lane:
    """One events partition at work.

    `told` is called after each committed tick, with what sinks must copy of the partition; `lost`, with what happened and why, when a transaction
    was refused or interrupted: the lane is closed then, and the partition must be taken over again by whoever owns it.
    """

    def __init__(
        self,
        conf: Conf,
        partition: int,
        store: Store,
        log_: Log,
        told: "Callable[[Lane, Dirty], None]",
        lost: "Callable[[Lane, str, str], None]",
        crash: Crash,
        room: Room | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._conf, self.partition, self.store, self._log, self._tracing = conf, partition, store, log_, tracing
        self._told, self._lost, self._crash, self._room = told, lost, crash, room or Room()
        self.view = CommittedRows(partition, store)
        self._rows = FrozenRows(store)
        self._name = f"{conf.topics.events}/{partition}"
        self._queue = FrameQueue(self._name)
        self._wake = asyncio.Event()
        self._ticked_at = self._published_at = -math.inf
        self._as_of_ms = 0  # of the last tick
        self._task: asyncio.Task[None] | None = None
        self._commit_task: asyncio.Task[None] | None = None
        self._apart_task: asyncio.Task[None] | None = None
        self._closing = False
        self._stepping = False  # in the middle of what nothing may come between
        self._deferred: list[Callable[[], None]] = []  # to be done behind it
        self.muted = conf.muted
        self.committed = self.published = 0  # offsets, in the store and in the results topics
        self.frontiers = Frontiers(0, 0)
        self.ticks = self.frames = 0  # since the start, for the monitor

    # -- becoming the owner, and giving it back

    async def fence(self) -> None:
        """Become the owner: Kafka refuses what an earlier one may still send."""
        await self._log.open()

    async def start(self, where: Range, *, seeks: bool = False) -> None:
        """Go on from the row of the position, which the store has by now. `Raises` PositionError.

        `seeks`: the consumer is further on, and is told to go back; what it fetched before is dropped.
        """
        (row,) = self.store.load([POSITION])
        position = position_of(row, self._conf, self._name, where)
        topics = self._conf.topics
        names = (*topics.results.values(), topics.dead_letters)
        counts = await asyncio.gather(*map(self._log.partitions, names))
        partitions = dict(zip(names, counts, strict=True))
        self.frontiers = Frontiers(position.as_of, position.offset)
        keeps_past = not (self.muted and where.first)
        self._state = PartitionState(
            self._conf,
            self.partition,
            self._rows,
            position,
            partitions,
            muted=self.muted,
            keeps_past=keeps_past,
            tracing=self._tracing,
        )
        self.committed = position.offset
        self.published = 0 if self._state.unpublished or self.muted else position.offset
        self._queue.open(position, where.first, seeks=seeks)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> bool:
        """Commit and publish what was applied, drop what was not; all of it where that takes too long. Whether it did not."""
        late: set[asyncio.Task[None]] = set()
        self._closing = True
        self._queue.is_open = False
        self._wake.set()
        if self._task is not None:
            _, late = await asyncio.wait({self._task}, timeout=_STOP_S)
            if late:
                for task in (self._task, self._commit_task):
                    if task is not None:
                        task.cancel()
                await asyncio.wait({self._task})
            self._task = None
        await self._log.close()
        return not late

    # -- a generation that is being built

    def forget_letters(self, offset: int) -> None:
        """The serving generation has applied the events partition up to this offset."""
        self._state.forget_letters(offset)

    def show(self, cells: Iterable[tuple[Table[Any], CellKey, str]]) -> None:
        """Show cells, those of figures in a currency, from the next commit on: with zeros where nothing counts in them."""
        self._between_steps(lambda: self._state.show(cells))

    def unmute(self, offset: int) -> None:
        """Serve from now on; the retired generation has applied the events partition up to this offset."""

        def unmute() -> None:
            self._state.forget_letters(offset)
            self._state.unmute()
            self.muted = False

        self._between_steps(unmute)

    def _between_steps(self, work: Callable[[], None]) -> None:
        """Do what changes the state at once, or behind what nothing may come between."""
        if self._stepping:
            self._deferred.append(work)
        else:
            work()
            self._wake.set()

    # -- cells past retention, for the sink that keeps them for ever

    def release(self, written: Mapping[str, Iterable[CellKey]]) -> None:
        """The sink has these, by name of table: they are held no longer."""
        if self.is_open:
            self._state.release(written)
            self._wake.set()

    @property
    def past(self) -> tuple[int, int]:
        """Cells that are held, and that were let go before the sink had them, since the start."""
        return self._state.past

    # -- work

    @property
    def is_open(self) -> bool:
        """Does it take frames?"""
        return self._queue.is_open

    @property
    def expected(self) -> int:
        """The offset of the frame to come next."""
        return self._queue.expected

    @property
    def fetch_from(self) -> int:
        """Where the consumer is to fetch from."""
        return self._queue.fetch_from

    @property
    def queued_bytes(self) -> int:
        """Of frames that are not applied yet."""
        return self._queue.size

    def reached(self, time_ms: int, end: int) -> bool:
        """Take a sample of the as-of frontier: the end of the events partition by then. `Raises` PositionError.

        True: frames are there, and none has come for long. The consumer should go back to `fetch_from`.
        """
        is_in_vain = self._queue.reached(end, is_fetched=not self.is_full)
        self.frontiers.add(time_ms, end)
        if self._state.changed or self._state.unpublished:
            self._wake.set()  # a tick may be due
        return is_in_vain

    @property
    def is_full(self) -> bool:
        """Is so much queued that nothing more should be fetched? What has been is taken all the same, and other partitions don't wait."""
        return self._queue.is_full or (self.is_open and self._state.apart.events >= _APART_MAX)

    def look_at_store(self) -> None:
        """Somebody who reads the store found something wrong."""
        self._wake.set()

    async def put(self, batches: Sequence[Batch]) -> bool:
        """Queue frames; False: the consumer must go back to `fetch_from` first. `Raises` PositionError for a gap."""
        if not self.is_open:
            return True
        traces = self._state.traces
        is_next = self._queue.put(batches, None if traces is None else traces.arrived)
        if is_next:
            self._wake.set()
        return is_next

    async def _run(self) -> None:
        try:
            while not self._closing:
                self._check_store()
                if self._commit_task is not None and self._commit_task.done():
                    await self._commit_task  # a failure must not wait for the next tick
                    self._commit_task = None
                await self._gather()
                await self._look_apart()
                if not (self._state.changed or self._is_publish_due()):
                    due = self._published_at + self._publish_s() if self._state.unpublished else None
                    await self._sleep_until(due)
                    continue
                if self._commit_task is not None:
                    await self._commit_task
                self._ticked_at = time.monotonic()
                self._commit_task = asyncio.create_task(
                    self._commit(await self._freeze(publish=self._is_publish_due()))
                )
                self._commit_task.add_done_callback(lambda _: self._wake.set())
            if self._commit_task is not None:
                await self._commit_task
            if self._state.changed or self._state.unpublished:
                await self._commit(await self._freeze(publish=True))
        except (Fenced, Interrupted) as exc:
            self._queue.close()
            self._lost(self, "the transaction is lost", f"{type(exc).__name__}: {exc}")
        except StoreCorrupt as exc:
            self._queue.close()
            self._lost(self, "the local state can't be read", str(exc))
        except Exception as exc:
            self._queue.close()
            log.exception("partition %d failed", self.partition)
            await self._crash(exc)
        finally:
            if self._apart_task is not None:
                self._apart_task.cancel()

    async def _look_apart(self) -> None:
        """Take over operators apart that have caught up, and let the others work beside all else."""
        task = self._apart_task
        if task is not None and task.done():
            self._apart_task = None
            await task
        if self._apart_task is None:
            await self._step_through(self._state.rejoining())
        if self._apart_task is None and not self._state.apart.are_near:
            self._apart_task = asyncio.create_task(self._work_apart())
            self._apart_task.add_done_callback(lambda _: self._wake.set())

    async def _work_apart(self) -> None:
        while self._state.apart.step():  # noqa: ASYNC110  # there is work
            await asyncio.sleep(0)

    def _check_store(self) -> None:
        if self.store.is_corrupt:
            raise StoreCorrupt("as a sink writer found")

    async def _gather(self) -> None:
        """Apply what is queued, until the next tick is due or there is much."""
        size = 0
        while (
            not (self._closing or self._state.must_freeze)
            and size < _TICK_BYTES_MAX
            and self._state.cells < _TICK_CELLS_MAX
        ):
            if self._queue:
                size += await self._apply()
                await asyncio.sleep(0)
            elif self._state.changed and time.monotonic() < (due := self._tick_due()):
                await self._sleep_until(due)
            else:
                break
        self._state.tidy()

    async def _apply(self) -> int:
        frames = self._queue.take(_SLICE_BYTES)
        first, ahead, began_ns = self._state.read, self._state.position.ahead, time.time_ns()
        count = await self._step_through(self._state.applying([frame for frame, _ in frames]))
        self._queue.give_back(frames[count:])
        self.frames += count
        if count:
            self._state.frame_before = checksum(*frames[count - 2]) if count > 1 else self._state.last_frame
            self._state.last_frame = checksum(*frames[count - 1])
        if self._state.traces is not None:
            self._state.traces.applied(first, first + count, began_ns)
        if ahead is not None and first < ahead.offset <= first + count:
            # an earlier owner had applied it, with operators apart
            check_frame(self._name, ahead.offset - 1, frames[ahead.offset - first - 1], ahead.last_frame)
        return sum(len(frame) for frame, _ in frames[:count])

    @property
    def events(self) -> int:
        """The number of events applied since the start."""
        return self._state.events

    @property
    def is_behind(self) -> bool:
        """Is as-of so old that fewer, larger steps are better than fresh results?"""
        return time.time() - self.frontiers.as_of(self._state.applied) / 1000 > _BEHIND_S

    def _tick_due(self) -> float:
        """When the next tick is due. One that would not raise as-of waits for the next sample, as long again at most: readers see nothing before."""
        if self.is_behind:
            return self._ticked_at + self._conf.pace.publish_s
        raises = self.frontiers.as_of(self._state.complete) > self._as_of_ms
        return self._ticked_at + self._conf.pace.tick_s * (1 if raises else 2)

    def _publish_s(self) -> float:
        return self._conf.pace.publish_s * (BEHIND_FACTOR if self.is_behind else 1)

    def _is_publish_due(self) -> bool:
        if not (self._state.unpublished or self._state.changed):
            return False
        return time.monotonic() >= self._published_at + self._publish_s()

    async def _freeze(self, *, publish: bool) -> Tick:
        if publish:
            self._published_at = time.monotonic()
        self._as_of_ms = self.frontiers.as_of(self._state.complete)
        tick = await self._step_through(self._state.freezing(self._as_of_ms, publish=publish))
        if publish and self._state.unpublished:  # more than one transaction takes
            self._published_at = -math.inf
        return tick

    async def _step_through(self, steps: Generator[None, None, T]) -> T:
        """Let other partitions and tasks work between steps; what the steps return."""
        self._stepping = True
        try:
            while True:
                next(steps)
                await asyncio.sleep(0)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        finally:
            self._stepping = False
            deferred, self._deferred = self._deferred, []
            for work in deferred:
                self._between_steps(work)

    async def _commit(self, tick: Tick) -> None:
        began_ms = int(time.time() * 1000)
        with ending(tick.spans):
            log_position = await self._log.commit(tick.rows, tick.records, tick.offset)
        self.store.clean_ms = began_ms  # nobody else wrote a tombstone before
        await self._room.until(lambda: self.store.write(tick.rows, log_position))
        self._state.committed()
        self.committed = tick.offset
        if tick.published is not None:
            self.published = tick.published
        self.frontiers.forget(min(self.committed, self.published))
        self.ticks += 1
        self._told(self, tick.dirty)

    async def _sleep_until(self, when: float | None) -> None:
        """Sleep until a time, or until frames come, a commit ends or the lane is stopped; None: until one of these."""
        self._wake.clear()
        if self._queue or self._closing:
            return
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._wake.wait(), None if when is None else max(0.0, when - time.monotonic()))

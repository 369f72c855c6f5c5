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
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from stream_app.domain.cells import CellKey
from stream_app.domain.tables import Table
from stream_app.formats.frames import checksum
from stream_app.formats.rows import POSITION, Ahead, Position, decode_position
from stream_app.partition.conf import Conf, Crash
from stream_app.partition.frontiers import Frontiers
from stream_app.partition.frozen_rows import CommittedRows, FrozenRows
from stream_app.partition.partition_state import PartitionState, Tick
from stream_app.partition.positions import changed_rules, new_position, renewed_position
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
_QUEUED_BYTES_MAX = 2 * _TICK_BYTES_MAX
_APART_MAX = 100_000  # events held of operators apart: some 50 MB
_BEHIND_S = 5.0  # as-of older than this: catching up
BEHIND_FACTOR = 3  # then results topics and sinks are written so much more seldom
_STOP_S = 5.0  # a commit that hangs when the partition is given away is left to its next owner, who ends it


class PositionError(Exception):
    """The rows don't fit the events topic, or today's rules. Operator action: the message says it."""


class SupersededError(Exception):
    """A newer generation has taken the place of this one: what this worker owned is served there."""


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
        self._queue: deque[tuple[bytes, int]] = deque()  # frames, and the times of their appends
        self._queued = 0
        self._wake = asyncio.Event()
        self._published_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._commit_task: asyncio.Task[None] | None = None
        self._apart_task: asyncio.Task[None] | None = None
        self._closing = False
        self._stepping = False  # in the middle of what nothing may come between
        self._deferred: list[Callable[[], None]] = []  # to be done behind it
        self._seeks = False  # frames behind those that come next are of before the seek
        self.is_open = False
        self.muted = conf.muted
        self.expected = self.committed = self.published = (
            0  # offsets: to come next, in the store, in the results topics
        )
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
        position = self._position(where)
        topics = self._conf.topics
        names = (*topics.results.values(), topics.dead_letters)
        partitions = {topic: await self._log.partitions(topic) for topic in names}
        self.frontiers = Frontiers(position.as_of, position.offset)
        self._first, self._last_frame, self._fetched = where.first, position.last_frame, 0
        self._leader_epoch = -1
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
        self.expected = self.committed = position.offset
        self.published = 0 if self._state.unpublished or self.muted else position.offset
        self._seeks, self.is_open = seeks, True
        self._task = asyncio.create_task(self._run())

    def _position(self, where: Range) -> Position:
        conf, (raw,) = self._conf, self.store.load([POSITION])
        if raw is None:
            return new_position(conf.ledger, conf.topic_id, conf.generation, where.first)
        position, name = decode_position(raw), f"{conf.topics.events}/{self.partition}"
        if position.superseded_by:  # first: the topic may be gone by now, or have been empty
            raise SupersededError(f"generation {position.superseded_by} has taken the place of {conf.generation}")
        if (position.topic_id, position.generation) != (conf.topic_id, conf.generation):
            raise PositionError(
                f"{name} is another topic than the one the state was made from: see docs/operating.md, Another history"
            )
        if position.applied > where.end:
            raise self._other_history(f"it ends at {where.end}, and the state goes on at {position.applied}")
        if position.offset < where.first:
            raise PositionError(
                f"{name} has offsets {where.first} to {where.end}, the state goes on at {position.offset}: see docs/operating.md, Another history"
            )
        if changed := changed_rules(position, conf.ledger):
            raise PositionError(f"{name} was counted by other rules ({changed}): run `stream-app rebuild`")
        return renewed_position(position, conf.ledger)

    async def stop(self) -> bool:
        """Commit and publish what was applied, drop what was not; all of it where that takes too long. Whether it did not."""
        late: set[asyncio.Task[None]] = set()
        self._closing = True
        self.is_open = False
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
    def fetch_from(self) -> int:
        """Where to fetch from: the frame before those that come next, by which a history that changed is found out."""
        return max(self._first, self.expected - 1)

    def reached(self, time_ms: int, end: int) -> None:
        """Take a sample of the as-of frontier: the end of the events partition by then. `Raises` PositionError."""
        if end < self._fetched:
            raise self._other_history(f"it ends at {end}, and its frames up to {self._fetched} were read")
        self._fetched = self.expected  # before the next sample is taken
        self.frontiers.add(time_ms, end)

    @property
    def is_full(self) -> bool:
        """Is so much queued that nothing more should be fetched? What has been is taken all the same, and other partitions don't wait."""
        return self._queued >= _QUEUED_BYTES_MAX or (self.is_open and self._state.apart.events >= _APART_MAX)

    def look_at_store(self) -> None:
        """Somebody who reads the store found something wrong."""
        self._wake.set()

    async def put(self, batches: Sequence[Batch]) -> bool:
        """Queue frames; known ones are dropped. `Raises` PositionError for a gap.

        False: the partition has a new leader, which may know another history. The consumer must go back to `fetch_from` first; what it has fetched
        till then is dropped.
        """
        if not self.is_open:
            return True
        for batch in batches:
            if self._seeks and batch.offsets[0] > self.fetch_from:
                continue
            self._seeks = False
            is_next = batch.offsets[0] == self.expected > self._first
            if batch.leader_epoch > self._leader_epoch >= 0 and is_next:
                self._leader_epoch, self._seeks = batch.leader_epoch, True
                return False
            self._leader_epoch = max(self._leader_epoch, batch.leader_epoch)
            if batch.offsets[0] > self.expected or batch.next_offset - batch.offsets[0] != len(batch):
                raise PositionError(
                    f"{self._conf.topics.events}/{self.partition}: expected offset {self.expected}, got {batch.offsets[0]}"
                )
            known = max(0, self.expected - batch.offsets[0])
            self._compare(batch, known - 1)
            self.expected = max(self.expected, batch.next_offset)
            for frame, timestamp_ms in zip(batch.values[known:], batch.timestamps[known:], strict=True):
                if frame is None:
                    raise PositionError(f"{self._conf.topics.events}/{self.partition} holds a record without a value")
                self._queue.append((frame, timestamp_ms))
                self._queued += len(frame)
            if batch.headers and self._state.traces is not None:
                self._state.traces.arrived(batch.headers, batch.offsets[0] + known)
            if known < len(batch):
                self._last_frame = checksum(*self._queue[-1])
        self._wake.set()
        return True

    def _compare(self, batch: Batch, index: int) -> None:
        """Raise PositionError if the last known frame, which the batch has at an index, if it has, is another one now."""
        if not 0 <= index < len(batch):
            return
        frame = batch.values[index] or b""
        if self._last_frame not in {0, checksum(frame, batch.timestamps[index])}:
            raise self._other_history(
                f"at offset {batch.offsets[index]} stands another frame than the one that was read there"
            )

    def _other_history(self, how: str) -> PositionError:
        """What to raise when frames that were read are gone."""
        return PositionError(
            f"{self._conf.topics.events}/{self.partition} has lost frames that Kafka had acknowledged: {how}. "
            "The state holds them, and not what took their place: see docs/operating.md, Another history"
        )

    async def _run(self) -> None:
        try:
            committed_at = 0.0
            while not self._closing:
                self._check_store()
                if self._commit_task is not None and self._commit_task.done():
                    await self._commit_task  # a failure must not wait for the next tick
                    self._commit_task = None
                await self._gather(committed_at + self._tick_s())
                await self._look_apart()
                if not (self._state.changed or self._is_publish_due()):
                    due = self._published_at + self._publish_s() if self._state.unpublished else None
                    await self._sleep_until(due)
                    continue
                if self._commit_task is not None:
                    await self._commit_task
                committed_at = time.monotonic()
                self._commit_task = asyncio.create_task(
                    self._commit(await self._freeze(publish=self._is_publish_due()))
                )
                self._commit_task.add_done_callback(lambda _: self._wake.set())
            if self._commit_task is not None:
                await self._commit_task
            if self._state.changed or self._state.unpublished:
                await self._commit(await self._freeze(publish=True))
        except (Fenced, Interrupted) as exc:
            self._drop()
            self._lost(self, "the transaction is lost", f"{type(exc).__name__}: {exc}")
        except StoreCorrupt as exc:
            self._drop()
            self._lost(self, "the local state can't be read", str(exc))
        except Exception as exc:
            self._drop()
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

    async def _gather(self, until: float) -> None:
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
            elif self._state.changed and time.monotonic() < until:
                await self._sleep_until(until)
            else:
                break
        self._state.tidy()

    async def _apply(self) -> int:
        frames: list[tuple[bytes, int]] = []
        size = 0
        while self._queue and size < _SLICE_BYTES:
            frames.append(self._queue.popleft())
            size += len(frames[-1][0])
        first, ahead, began_ns = self._state.read, self._state.position.ahead, time.time_ns()
        count = await self._step_through(self._state.applying([frame for frame, _ in frames]))
        self._queue.extendleft(reversed(frames[count:]))
        size -= sum(len(frame) for frame, _ in frames[count:])
        self._queued -= size
        self.frames += count
        if count:
            self._state.frame_before = checksum(*frames[count - 2]) if count > 1 else self._state.last_frame
            self._state.last_frame = checksum(*frames[count - 1])
        if self._state.traces is not None:
            self._state.traces.applied(first, first + count, began_ns)
        if ahead is not None and first < ahead.offset <= first + count:
            self._compare_ahead(ahead, frames[ahead.offset - first - 1])
        return size

    def _compare_ahead(self, ahead: Ahead, frame: tuple[bytes, int]) -> None:
        """Raise PositionError if the last frame that an earlier owner had applied, with operators apart, is another one now."""
        if checksum(*frame) != ahead.last_frame:
            raise self._other_history(
                f"at offset {ahead.offset - 1} stands another frame than the one that was read there"
            )

    @property
    def events(self) -> int:
        """The number of events applied since the start."""
        return self._state.events

    @property
    def is_behind(self) -> bool:
        """Is as-of so old that fewer, larger steps are better than fresh results?"""
        return time.time() - self.frontiers.as_of(self._state.applied) / 1000 > _BEHIND_S

    def _tick_s(self) -> float:
        return self._conf.pace.publish_s if self.is_behind else self._conf.pace.tick_s

    def _publish_s(self) -> float:
        return self._conf.pace.publish_s * (BEHIND_FACTOR if self.is_behind else 1)

    def _is_publish_due(self) -> bool:
        if not (self._state.unpublished or self._state.changed):
            return False
        return time.monotonic() >= self._published_at + self._publish_s()

    async def _freeze(self, *, publish: bool) -> Tick:
        if publish:
            self._published_at = time.monotonic()
        as_of_ms = self.frontiers.as_of(self._state.complete)
        return await self._step_through(self._state.freezing(as_of_ms, publish=publish))

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

    def _drop(self) -> None:
        self.is_open = False
        self._queue.clear()
        self._queued = 0

"""A lane with a store and a log in memory: where it goes on, what it takes, what it does when a step of a tick fails."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from stream_app.formats.rows import POSITION, Position, decode_position, encode_position, version_of
from stream_app.partition import frame_queue, outbox
from stream_app.partition import lane as lane_module
from stream_app.partition.lane import Lane
from stream_app.partition.positions import PositionError, SupersededError, new_position
from stream_app.ports.kafka import Fenced, Interrupted, Range
from stream_app.ports.records import Batch
from tests.support.by_hand import clock, session
from tests.support.in_memory import RESULTS, MemoryLog, MemoryStore, batch, conf, frame

NOON = "2026-11-03 12:00"
FRAMES = [frame(clock("2026-11-24 12:00")), *[frame(session(f"s{i}", NOON), offset=i) for i in range(1, 6)]]
POSITION_ROW = msgspec.structs.replace(new_position(conf().ledger, "the topic", 3, 0), offset=17)


class World:
    """A lane, what its sinks were told, and what it crashed of."""

    def __init__(
        self,
        *,
        muted: bool = False,
        store: MemoryStore | None = None,
        log: MemoryLog | None = None,
        tick_s: float = 0.0,
        publish_s: float = 0.0,
    ) -> None:
        self.store, self.log = store or MemoryStore(), log or MemoryLog()
        self.told: list[tuple[int, set[str]]] = []
        self.crashes: list[Exception] = []
        self.lost: list[Lane] = []
        self.told_of: Callable[[], None] = lambda: None
        made = conf(muted=muted, tick_s=tick_s, publish_s=publish_s)
        self.lane = Lane(made, 0, self.store, self.log, self._told, self._lost, self._crash)

    def _told(self, lane, dirty) -> None:
        assert self.store.log == len(self.log.commits), "a sink is told of what the store has"
        self.told.append((lane.committed, dirty.operators))
        self.told_of()

    def _lost(self, lane: Lane, what: str, why: str) -> None:
        assert what
        assert why
        self.lost.append(lane)

    async def _crash(self, exc: Exception) -> None:
        self.crashes.append(exc)

    async def start(self, first: int = 0, end: int = 100) -> "World":
        await self.lane.fence()
        await self.lane.start(Range(first, end))
        return self

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110  # a lane tells nobody
                await asyncio.sleep(0)

    def sessions(self) -> int:
        """The counted sessions that the results topic shows last."""
        shown = [value for commit in self.log.commits for _, value, _ in commit.records.get(RESULTS["monthly"], [])]
        return int(json.loads(shown[-1] or b"")["sessionCount"]) if shown else 0


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = await World().start()
    yield made
    await made.lane.stop()


def stored(**said: object) -> MemoryStore:
    store = MemoryStore()
    store.rows[POSITION] = encode_position(msgspec.structs.replace(POSITION_ROW, **said))
    return store


STARTS: list[tuple[str, MemoryStore, tuple[int, int], int | tuple[type[Exception], str]]] = [
    ("no rows: at the first offset of the topic", MemoryStore(), (5, 100), 5),
    ("at the row of the position", stored(), (0, 100), 17),
    ("at the end of the topic", stored(), (17, 17), 17),
    (
        "the topic lost what comes next",
        stored(),
        (18, 100),
        (PositionError, "offsets 18 to 100, the state goes on at 17"),
    ),
    (
        "the topic ends before it",
        stored(),
        (0, 16),
        (PositionError, "lost frames that Kafka had acknowledged: it ends at 16, and the state goes on at 17"),
    ),
    ("another topic of the name", stored(topic_id="other"), (0, 100), (PositionError, "another topic")),
    ("another generation's rows", stored(generation=2), (0, 100), (PositionError, "another topic")),
    (
        "a generation took its place",
        stored(superseded_by=4),
        (0, 100),
        (SupersededError, "generation 4 has taken the place of 3"),
    ),
    ("… and its topic is gone", stored(superseded_by=4), (0, 0), (SupersededError, "generation 4")),
    (
        "… before it had any rows",
        stored(superseded_by=4, topic_id="", generation=0),
        (0, 9),
        (SupersededError, "generation 4"),
    ),
    (
        "counted by other zones",
        stored(tzdata="2020a"),
        (0, 100),
        (PositionError, "time zones: 2020a.*stream-app rebuild"),
    ),
    (
        "counted by another retention",
        stored(retention_months=25),
        (0, 100),
        (PositionError, "retention_months: 25, now 13"),
    ),
]


@pytest.mark.parametrize(("situation", "store", "topic", "expected"), STARTS)
async def test_a_lane_goes_on_here(situation, store, topic, expected):
    """Or it says why it can't."""
    world = World(store=store)
    if isinstance(expected, tuple):
        error, message = expected
        with pytest.raises(error, match=message):
            await world.start(*topic)
        assert not world.lane.is_open
    else:
        await world.start(*topic)
        assert (world.lane.expected, world.lane.committed) == (expected, expected)
        await world.lane.stop()


FETCHES = [
    # batches as they come: (first offset, frames); what is expected next, the sessions that count
    ("one after the other", [(0, FRAMES[:3]), (3, FRAMES[3:])], 6, 5),
    ("at once", [(0, FRAMES)], 6, 5),
    ("a fetch that begins before, and one that was known", [(0, FRAMES[:3]), (1, FRAMES[1:4]), (0, FRAMES[:2])], 4, 3),
    ("the same frames twice", [(0, FRAMES), (0, FRAMES)], 6, 5),
]


@pytest.mark.parametrize(("situation", "fetches", "expected", "count"), FETCHES)
async def test_frames_are_applied_once(situation, fetches, expected, count, world):
    """Those below the position are dropped."""
    for first, frames in fetches:
        await world.lane.put([batch(first, *frames)])
    await world.until(lambda: world.lane.committed == expected)
    await world.until(lambda: world.sessions() == count)
    assert world.lane.expected == expected
    assert world.lane.published == expected
    assert not world.crashes


def at(first: int, *frames: bytes, append_ms: int = 0, leader_epoch: int = -1) -> Batch:
    """A record batch of frames that were appended then, under that leader."""
    made = batch(first, *frames)
    made.timestamps, made.leader_epoch = [append_ms] * len(made), leader_epoch
    return made


LOST = [
    # what stands in the topic from offset 0 on, when it is read again after frames 0 to 3 were: the same, or other frames
    ("the same frames", [at(0, *FRAMES[:6])], None),
    ("… from the last one on", [at(3, *FRAMES[3:6])], None),
    ("… of which the known ones end a batch", [at(0, *FRAMES[:4]), at(4, *FRAMES[4:])], None),
    ("another frame in place of the last one", [at(0, *FRAMES[:3], FRAMES[5])], 3),
    ("… which alone is read again", [at(3, FRAMES[5], FRAMES[4])], 3),
    ("the same content, appended again", [at(0, *FRAMES[:3]), at(3, FRAMES[3], append_ms=9)], 3),
]


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(("situation", "topic", "lost_at"), LOST)
async def test_frames_that_kafka_lost_and_replaced_are_found_out(situation, topic, lost_at, restarts):
    """By the lane that read them, and by the next owner of its rows: what took their place would never be applied."""
    world = await World().start()
    await world.lane.put([at(0, *FRAMES[:4])])
    await world.until(lambda: world.lane.committed == 4)
    if restarts:
        await world.lane.stop()
        world = await World(store=world.store, log=world.log).start()
    assert world.lane.fetch_from == 3
    if lost_at is None:
        await world.lane.put(topic)
        assert world.lane.expected == 6
    else:
        with pytest.raises(
            PositionError, match=f"events/0 has lost frames .* at offset {lost_at} stands another frame"
        ):
            await world.lane.put(topic)
        assert world.lane.expected == 4
    await world.lane.stop()


async def test_under_a_new_leader_the_last_known_frame_is_read_again_first(world):
    """The leader may have lost it, and more were appended since: frames that follow can't tell."""
    assert await world.lane.put([at(0, *FRAMES[:2], leader_epoch=4)])
    moved = [at(2, FRAMES[2], leader_epoch=5), at(3, FRAMES[3], leader_epoch=5)]
    assert not await world.lane.put(moved)
    assert await world.lane.put([at(4, FRAMES[4], leader_epoch=5)])  # fetched before the consumer went back
    assert (world.lane.expected, world.lane.fetch_from) == (2, 1)
    assert await world.lane.put([at(1, FRAMES[1], leader_epoch=4), *moved])
    assert world.lane.expected == 4
    assert not await world.lane.put([at(4, FRAMES[4], leader_epoch=7)])
    with pytest.raises(PositionError, match="at offset 3 stands another frame"):
        await world.lane.put([at(3, FRAMES[2], FRAMES[4], leader_epoch=7)])


async def test_an_end_below_what_was_read_is_found_out(world):
    """An end that was told before the last frames were read is none."""
    await world.lane.put([at(0, *FRAMES[:2])])
    world.lane.reached(1000, 1)
    await world.lane.put([at(2, *FRAMES[2:4])])
    world.lane.reached(2000, 3)
    with pytest.raises(
        PositionError, match=r"events/0 has lost frames .* it ends at 3, and its frames up to 4 were read"
    ):
        world.lane.reached(3000, 3)


async def test_frames_that_are_there_and_do_not_come_are_to_be_fetched_anew(world, monkeypatch):
    """Not while nothing more is asked for, and not where one came in between."""
    monkeypatch.setattr(frame_queue, "_IN_VAIN_MAX", 3)

    def looks(count, end):
        return [at for at in range(1, count + 1) if world.lane.reached(1000 + at, end)]

    assert looks(9, 0) == []
    assert looks(30, 2) == [3, 6, 12, 24]
    await world.lane.put([at(0, *FRAMES[:2])])
    assert looks(9, 2) == []
    assert looks(2, 4) == []
    await world.lane.put([at(2, FRAMES[2])])
    assert looks(4, 4) == [4]
    monkeypatch.setattr(frame_queue, "_BYTES_MAX", 0)
    assert looks(9, 4) == []


async def test_a_gap_between_frames_is_an_error(world):
    """So is one inside of a batch, and a record without a value: nothing may be skipped."""
    await world.lane.put([batch(0, *FRAMES[:2])])
    with pytest.raises(PositionError, match="expected offset 2, got 3"):
        await world.lane.put([batch(3, FRAMES[3])])
    gap = batch(2, FRAMES[2], FRAMES[3])
    gap.next_offset = 5
    with pytest.raises(PositionError, match="expected offset 2, got 2"):
        await world.lane.put([gap])
    with pytest.raises(PositionError, match="events/0 holds a record without a value"):
        await world.lane.put([batch(2, None)])


async def test_a_tick_is_in_the_log_then_in_the_store_then_told(world):
    """While one commits the next frames are applied; they are of the next tick."""
    world.log.gate.clear()
    await world.lane.put([batch(0, *FRAMES[:2])])
    await world.until(lambda: world.lane.frames == 2)
    await world.lane.put([batch(2, *FRAMES[2:])])
    await world.until(lambda: world.lane.frames == 6)
    assert (world.store.rows, world.told, world.lane.committed) == ({}, [], 0)
    world.log.gate.set()
    await world.until(lambda: world.lane.committed == 6)
    assert [offset for offset, _ in world.told] == [commit.offset for commit in world.log.commits]
    assert [operators for _, operators in world.told if operators] == [{"M1"}]
    assert decode_position(world.store.rows[POSITION]).offset == 6


async def test_a_tick_that_would_not_raise_as_of_waits_for_the_next_sample_as_long_again_at_most():
    """Readers see nothing before as-of has passed it."""
    worlds = {True: World(tick_s=0.3), False: World(tick_s=0.3)}
    order = []
    for has_sample, world in worlds.items():
        await world.start()
        world.lane.reached(int(time.time() * 1000), 1)
        await world.lane.put([batch(0, *FRAMES[:1])])
        await world.until(lambda world=world: world.lane.committed == 1)
        await world.lane.put([batch(1, *FRAMES[1:])])
        await world.until(lambda world=world: world.lane.frames == 6)
        if has_sample:
            world.lane.reached(int(time.time() * 1000) + 1, 6)
        world.told_of = lambda has_sample=has_sample: order.append(has_sample)
    await worlds[False].until(lambda: len(order) == 2)
    assert order == [True, False]
    for world in worlds.values():
        await world.lane.stop()


async def test_results_that_waited_are_published_at_once_when_a_sample_says_that_nothing_is_behind():
    """Though the time that is kept between two is longer while as-of is old."""
    world = await World(publish_s=8.0).start()
    now_ms = int(time.time() * 1000)
    world.lane.reached(now_ms - 290_000, 1)
    await world.lane.put([batch(0, *FRAMES[:1])])
    await world.until(lambda: world.lane.published == 1)
    world.lane._published_at = time.monotonic() - 9.0
    await world.lane.put([batch(1, *FRAMES[1:])])
    await world.until(lambda: world.lane.committed == 6)
    await asyncio.sleep(0.1)
    assert (world.lane.published, world.sessions()) == (1, 0)
    world.lane.reached(now_ms, 6)
    await world.until(lambda: world.lane.published == 6)
    assert world.sessions() == 5
    await world.lane.stop()


async def test_results_that_one_transaction_can_t_hold_go_with_the_next_ones_at_once(monkeypatch):
    """However far away the next time to publish is."""
    monkeypatch.setattr(outbox, "_PUBLISHED_MAX", 1)
    world = await World(publish_s=60.0).start()
    days = [frame(session(f"s{day}", f"2026-11-{day:02d} 12:00"), offset=day) for day in range(1, 6)]
    await world.lane.put([batch(0, FRAMES[0], *days)])
    await world.until(lambda: world.lane.published == 6)
    counts = [len(commit.records.get(RESULTS["half_hour"], [])) for commit in world.log.commits]
    assert max(counts) == 1
    assert sum(counts) == 6  # five days, and today
    await world.lane.stop()


async def test_what_was_applied_is_committed_when_a_lane_stops():
    """And what is in the queue is not: its next owner reads it."""
    world = await World().start()
    await world.lane.put([batch(0, *FRAMES[:3])])
    await world.until(lambda: world.lane.frames == 3)
    await world.lane.stop()
    assert (world.lane.committed, world.lane.published, world.sessions()) == (3, 3, 2)
    assert not world.log.is_open
    await world.lane.put([batch(3, *FRAMES[3:])])
    assert world.lane.expected == 3
    heir = await World(store=world.store, log=world.log).start()
    await heir.lane.put([batch(3, *FRAMES[3:])])
    await heir.until(lambda: heir.sessions() == 5)
    await heir.lane.stop()


@pytest.mark.parametrize("refusal", [Fenced("newer epoch"), Interrupted("no coordinator")])
async def test_a_lane_whose_transaction_is_refused_drops_all_and_says_that_it_is_lost(world, refusal):
    """Somebody else may have the partition: neither an error nor a commit more."""
    world.log.fails = [refusal]
    await world.lane.put([batch(0, *FRAMES)])
    await world.until(lambda: bool(world.lost))
    assert (world.lost, world.lane.is_open) == ([world.lane], False)
    assert (world.log.commits, world.store.rows, world.told, world.crashes) == ([], {}, [], [])


async def test_a_commit_that_hangs_does_not_hold_up_the_next_owner(world, monkeypatch):
    """The partition is given away without it; whoever takes it over ends the transaction."""
    monkeypatch.setattr(lane_module, "_STOP_S", 0.05)
    world.log.gate.clear()
    await world.lane.put([batch(0, *FRAMES)])
    await world.until(lambda: world.lane.frames == len(FRAMES))
    async with asyncio.timeout(5):
        await world.lane.stop()
    world.log.gate.set()
    await asyncio.sleep(0.05)
    assert (world.log.commits, world.store.rows, world.told, world.crashes) == ([], {}, [], [])


async def test_after_a_seek_frames_of_before_it_are_dropped():
    """The consumer was further on; from the frame that comes next on, a gap is an error again."""
    world = World()
    await world.lane.fence()
    await world.lane.start(Range(0, 100), seeks=True)
    await world.lane.put([batch(3, *FRAMES[3:])])
    assert world.lane.expected == 0
    await world.lane.put([batch(0, *FRAMES[:2])])
    with pytest.raises(PositionError):
        await world.lane.put([batch(3, *FRAMES[3:])])
    await world.lane.put([batch(0, *FRAMES)])
    await world.until(lambda: world.sessions() == 5)
    await world.lane.stop()


async def test_a_lane_that_fails_ends_the_worker():
    """With the error, and without anything of the tick."""
    world = await World().start()
    world.log.fails = [None, OSError("no broker")]
    await world.lane.put([batch(0, *FRAMES[:2])])
    await world.until(lambda: world.lane.committed == 2)
    await world.lane.put([batch(2, *FRAMES[2:])])
    await world.until(lambda: bool(world.crashes))
    assert [str(exc) for exc in world.crashes] == ["no broker"]
    assert (world.lane.is_open, world.lane.committed, len(world.told)) == (False, 2, 1)
    await world.lane.stop()


async def test_a_frame_that_can_not_be_read_ends_the_worker():
    """One of a newer format, say."""
    world = await World().start()
    await world.lane.put([batch(0, b"\x92\x63\xc0")])
    await world.until(lambda: bool(world.crashes))
    assert "a frame of format 99" in str(world.crashes[0])
    await world.lane.stop()


async def test_a_muted_lane_commits_and_publishes_nothing_until_it_is_unmuted():
    """Then all; a start in between changes nothing."""
    world = await World(muted=True).start()
    await world.lane.put([batch(0, *FRAMES[:4])])
    await world.until(lambda: world.lane.committed == 4)
    await world.lane.stop()
    world = await World(muted=True, store=world.store, log=world.log).start()
    assert (world.lane.published, [commit.records for commit in world.log.commits if commit.records]) == (0, [])
    world.lane.unmute(4)
    await world.until(lambda: world.lane.published == 4)
    assert not world.lane.muted
    assert world.sessions() == 3
    position: Position = decode_position(world.store.rows[POSITION])
    assert position.published == version_of(3, 4)
    await world.lane.stop()

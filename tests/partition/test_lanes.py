"""The lanes of a worker over real stores, and Kafka in memory: how partitions are taken over, and what a store is good for."""

import asyncio
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stream_app.domain import calendar
from stream_app.partition import frame_queue, frozen_rows, room
from stream_app.partition import lane as lane_module
from stream_app.partition import lanes as lanes_module
from stream_app.partition.frozen_rows import FrozenRows
from stream_app.partition.lanes import Lanes
from stream_app.partition.sink_writer import SinkWriter
from stream_app.partition.store import Store, StoreClosed, new_cache
from stream_app.ports.kafka import Fenced, Interrupted, Sample
from stream_app.ports.sinks import Dirty
from stream_app.ports.store import StoreCorrupt
from tests.support.by_hand import World, announced, clock, member, payment, session
from tests.support.in_memory import MemoryKafka, batch, conf, frame

NOON, HOUR_S = "2026-11-03 12:00", 3600.0
FIRST = [
    frame(clock("2026-11-24 12:00")),
    frame(session("s1", NOON, "ann"), payment("p1", NOON, "ann", 1000), offset=1),
]
# Another customer's, so that ann's row is deleted.
CORRECTED = frame(session("s1", NOON, "ben", version=1), payment("p1", NOON, "ben", 1000, version=1), offset=2)
LATER = frame(session("s2", NOON, "ann"), member("ann", "vip"), offset=3)


class Workers:
    """Workers with a disk each, of which one at a time has partition 0. `now_s`: the wall clock of all."""

    def __init__(self, path, monkeypatch) -> None:
        self.path, self.kafka = path, MemoryKafka()
        self.crashes: list[Exception] = []
        self.seeks = 0
        self.now_s = time.time()
        monkeypatch.setattr(time, "time", lambda: self.now_s)

    async def _crash(self, exc: Exception) -> None:
        self.crashes.append(exc)

    async def _seek(self) -> None:
        self.seeks += 1

    async def start(self, name: str, *partitions: int) -> Lanes:
        lanes = Lanes(self.kafka, self.path / name, 8, self._crash, self._seek)
        lanes.configure(conf())
        await lanes.recover(set(partitions))
        return lanes

    async def work(self, name: str, *frames: bytes) -> None:
        """Let a worker take the partition over, apply frames, and give it away."""
        lanes = await self.start(name, 0)
        lane = lanes.lanes[0]
        if frames:
            await lanes.put(0, [batch(lane.expected, *frames)])
        await until(lambda: lane.committed == lane.expected)
        await lanes.park()

    def rows(self, name: str) -> dict[bytes, bytes]:
        store = Store(self.path / name / "0", new_cache(8))
        try:
            return {key: value for key, value in store.scan(b"") if key != b"l"}
        finally:
            store.close()


@pytest.fixture
def workers(tmp_path, monkeypatch) -> Workers:
    return Workers(tmp_path, monkeypatch)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(40):
        while not condition():  # noqa: ASYNC110  # a lane tells nobody
            await asyncio.sleep(0.01)


async def test_frames_that_do_not_come_are_fetched_anew(workers, monkeypatch, caplog):
    """Whatever became of the consumer: the partition would stand still, and nobody would say so."""
    monkeypatch.setattr(frame_queue, "_IN_VAIN_MAX", 3)
    lanes = await workers.start("one", 0, 1)
    for _ in range(3):
        lanes.reached(Sample(1000, {0: 2, 1: 0}))
    await until(lambda: workers.seeks == 1)
    assert "partitions [0]: frames are there and do not come, they are fetched anew" in caplog.text
    await lanes.park()
    assert not workers.crashes


AWAY = [
    # hours that a worker was away; is its store still good, where tombstones are kept for a day
    (11, True),
    (13, False),
    (100, False),
    (-11, True),
    (-13, False),
]


@pytest.mark.parametrize(("hours", "is_good"), AWAY)
async def test_a_store_that_may_have_missed_deletions_is_read_anew(hours, is_good, workers):
    """Whatever it holds then equals what a worker without a disk reads. A clock that ran back is no proof of youth."""
    await workers.work("old", *FIRST)
    position = len(workers.kafka.changelog[0])
    await workers.work("other", CORRECTED)
    workers.now_s += hours * HOUR_S
    if not is_good:
        workers.kafka.compact(0)
    await workers.work("old", LATER)
    assert workers.kafka.replayed[-1] == (0, position if is_good else 0)
    await workers.work("new")
    assert workers.rows("old") == workers.rows("new")
    assert not workers.crashes


async def test_a_store_stays_good_while_it_is_written(workers):
    """Its age counts from its last commit, or its last whole replay."""
    await workers.work("old", *FIRST)
    workers.now_s += 11 * HOUR_S
    await workers.work("old", CORRECTED)
    workers.now_s += 11 * HOUR_S
    await workers.work("old", LATER)
    assert [begin > 0 for _, begin in workers.kafka.replayed] == [False, True, True]


async def test_only_the_store_that_is_ahead_of_the_changelog_is_dropped(workers):
    """The stores of other partitions are gone on with."""
    lanes = await workers.start("old", 0, 1)
    for partition in (0, 1):
        await lanes.put(partition, [batch(0, *FIRST)])
    await until(lambda: all(lane.committed == 2 for lane in lanes.lanes.values()))
    await lanes.park()
    kept = len(workers.kafka.changelog[1])
    workers.kafka.changelog[0].clear()
    lanes = await workers.start("old", 0, 1)
    assert sorted(workers.kafka.replayed[-2:]) == [(0, 0), (1, kept)]
    assert (lanes.lanes[0].expected, lanes.lanes[1].expected) == (0, 2)
    await lanes.park()


LOST = [Fenced("newer epoch"), Interrupted("no coordinator")]


@pytest.mark.parametrize("refusal", LOST)
async def test_a_lost_partition_that_the_group_leaves_here_is_taken_over_again(refusal, workers):
    """It goes on from what is committed, and the others don't notice: the transaction had timed out, nobody else has come."""
    lanes = await workers.start("one", 0, 1)
    other = lanes.lanes[1]
    workers.kafka.logs[0][0].fails = [None, refusal]
    await lanes.put(0, [batch(0, *FIRST)])
    await until(lambda: lanes.lanes[0].committed == 2)
    await lanes.put(0, [batch(2, CORRECTED)])
    await until(lambda: workers.seeks == 1)
    await lanes.put(0, [batch(3, LATER)])  # fetched before the seek
    assert lanes.positions() == {0: 1, 1: 0}
    await lanes.put(0, [batch(1, FIRST[1], CORRECTED, LATER)])
    await until(lambda: lanes.lanes[0].committed == 4)
    assert len(workers.kafka.logs[0]) == 2
    assert lanes.lanes[1] is other
    assert other.is_open
    await lanes.park()
    await workers.work("new")
    assert workers.rows("one") == workers.rows("new")
    assert not workers.crashes


async def test_the_log_tells_of_all_partitions_that_are_lost_at_once_in_two_lines(workers, caplog):
    """Where a broker goes, each loses its transaction; one that is lost again soon after is not told anew."""
    lanes = await workers.start("one", *range(8))
    for _ in range(2):
        before = list(lanes.lanes.values())
        for partition in range(8):
            workers.kafka.logs[partition][-1].fails = [Interrupted("no coordinator")]
            await lanes.put(partition, [batch(0, FIRST[0])])
        await until(lambda before=before: not set(before) & set(lanes.open_lanes()))
        await until(lambda: len(lanes.open_lanes()) == 8)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 2
    assert re.fullmatch(r"partition \d: the transaction is lost \(Interrupted: no coordinator\)", said[0])
    assert said[1].startswith("partitions [0, 1, 2, 3, 4, 5, 6, 7] are worked on again, ")
    await lanes.park()
    assert not workers.crashes


async def test_a_partition_that_was_lost_to_another_worker_waits_for_the_rebalance(workers, monkeypatch):
    """It is not fought for. Where no rebalance follows, the worker ends."""
    lanes = await workers.start("one", 0)
    workers.kafka.others.add(0)
    workers.kafka.logs[0][0].fails = [Fenced("newer epoch")]
    await lanes.put(0, [batch(0, *FIRST)])
    await until(lambda: not lanes.lanes[0].is_open)
    await asyncio.sleep(1.5)
    assert len(workers.kafka.logs[0]) == 1
    assert not workers.crashes
    await lanes.park()
    monkeypatch.setattr(lanes_module, "_LOST_S_MAX", 0.1)
    lanes = await workers.start("one", 0)
    workers.kafka.logs[0][1].fails = [Fenced("newer epoch")]
    await lanes.put(0, [batch(0, *FIRST)])
    await until(lambda: bool(workers.crashes))
    assert "no rebalance followed" in str(workers.crashes[0])
    await lanes.park()


async def test_a_group_that_rebalances_for_long_ends_no_worker(workers, monkeypatch):
    """Who owns the partition can't be told meanwhile; it is taken over again when the group leaves it here."""
    monkeypatch.setattr(lanes_module, "_LOST_S_MAX", 0.1)
    lanes = await workers.start("one", 0)
    workers.kafka.rebalances = True
    workers.kafka.logs[0][0].fails = [Interrupted("no coordinator")]
    await lanes.put(0, [batch(0, *FIRST)])
    await until(lambda: not lanes.lanes[0].is_open)
    await asyncio.sleep(2)
    assert not workers.crashes
    workers.kafka.rebalances = False
    await until(lambda: lanes.lanes[0].is_open)
    await lanes.park()


async def test_a_take_over_that_hangs_does_not_hold_up_the_rebalance(workers, monkeypatch):
    """Kafka is away while a partition is taken over, and the group gives it to another worker."""
    hangs = asyncio.Event()

    async def replay(topic, stores) -> int:
        hangs.set()
        await asyncio.Event().wait()

    lanes = await workers.start("one")
    with monkeypatch.context() as patch:
        patch.setattr(workers.kafka, "replay", replay)
        recovering = asyncio.create_task(lanes.recover({0}))
        await hangs.wait()
        async with asyncio.timeout(5):
            await lanes.park()
            await recovering
    assert not lanes.lanes
    await workers.work("one", *FIRST)


async def test_a_partition_lost_while_others_are_given_up_does_not_hold_up_the_rebalance(workers, monkeypatch):
    """One of those that were taken over takes its time to end, and another one's transaction is lost in it: the group is asked whose that is, and waits for us."""
    ends, start = asyncio.Event(), lane_module.Lane.start

    async def start_slowly(lane, where, **how) -> None:
        if lane.partition == 1:
            try:
                await asyncio.Event().wait()
            finally:
                await ends.wait()
        await start(lane, where, **how)

    monkeypatch.setattr(lane_module.Lane, "start", start_slowly)
    lanes = await workers.start("one")
    recovering = asyncio.create_task(lanes.recover({0, 1}))
    await until(lambda: [lane.partition for lane in lanes.open_lanes()] == [0])
    workers.kafka.rebalances = True
    parking = asyncio.create_task(lanes.park())
    await asyncio.sleep(0)
    workers.kafka.logs[0][0].fails = [Interrupted("no coordinator")]
    await lanes.put(0, [batch(0, *FIRST)])
    await until(lambda: not lanes.open_lanes())
    ends.set()
    async with asyncio.timeout(20):
        await parking
        await recovering
    assert not lanes.lanes
    assert not workers.crashes


async def test_the_consumer_goes_back_by_a_frame_when_a_partition_has_a_new_leader(workers):
    """It fetches from the last known frame on, as it does after each recovery."""
    lanes = await workers.start("one", 0)
    assert lanes.positions() == {0: 0}
    for epoch in (1, 2):
        made = batch(2 * epoch - 2, *FIRST)
        made.leader_epoch = epoch
        await lanes.put(0, [made])
    assert (workers.seeks, lanes.positions()) == (1, {0: 1})
    await lanes.park()


async def test_a_partition_whose_commit_hangs_takes_no_more_than_it_can_queue(workers, monkeypatch):
    """Nobody waits for it, and the other partitions commit. It goes on when the commit does."""
    monkeypatch.setattr(frame_queue, "_BYTES_MAX", 300)
    lanes = await workers.start("one", 0, 1)
    held = workers.kafka.logs[0][0].gate
    held.clear()
    frames = [*FIRST, *[frame(session(f"s{n}", NOON), offset=n) for n in range(4, 40)]]
    async with asyncio.timeout(40):
        for n, each in enumerate(frames):
            await lanes.put(0, [batch(n, each)])
            await lanes.put(1, [batch(n, each)])
        await until(lambda: lanes.lanes[1].committed == len(frames))
    assert lanes.lanes[0].committed == 0
    for n in range(len(frames), len(frames) + 40):  # frames that were fetched before
        await lanes.put(0, [batch(n, frame(session(f"s{n}", NOON), offset=n))])
    await until(lambda: lanes.full() == {0})
    held.set()
    await until(lambda: lanes.lanes[0].committed == len(frames) + 40)
    assert lanes.full() == set()
    await lanes.park()


def _garble(folder: Path, what: str, at: int) -> None:
    for path in folder.glob(what):
        content = bytearray(path.read_bytes())
        content[at : at + 16] = b"\xff" * 16
        path.write_bytes(content)


ROT = [
    # files of RocksDB, and from which byte on they are garbled; None: they are gone
    ("CURRENT", 0),
    ("MANIFEST-*", 8),
    ("*.sst", -48),  # found when the file is opened
    ("*.sst", 8),  # found when rows are read
    ("*.sst", None),
    ("CURRENT", None),
]


@pytest.mark.parametrize(("what", "at"), ROT)
async def test_a_store_that_is_found_corrupt_is_read_anew(what, at, workers):
    """Nothing of it is used, and the partition is not given up."""
    await workers.work("old", *FIRST)
    await workers.work("old", CORRECTED)
    folder = workers.path / "old" / "0"
    if at is None:
        for path in folder.glob(what):
            path.unlink()
    else:
        _garble(folder, what, at)
    await workers.work("old", LATER)
    await workers.work("new")
    assert workers.rows("old") == workers.rows("new")
    assert not workers.crashes


class Reader:
    """A sink that reads a store while it is compared with it (ports.sinks.Sink), and finds it corrupt, once."""

    name, errors, keeps_past = "reader", (), False

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self.compared = 0

    async def compare(self, view) -> Dirty:
        self.compared += 1
        if self.compared == 1:
            self._lanes.lanes[view.partition].store.is_corrupt = True
            raise StoreCorrupt("block checksum mismatch")
        return Dirty()

    def claimed_ms(self, partition: int) -> int:
        return 0

    async def write(self, changes) -> None:
        pass

    async def write_as_of(self, as_of_ms) -> set[int]:
        return set()


async def test_a_store_that_a_sink_writer_finds_corrupt_is_read_anew(workers):
    """While its lane has nothing to do; the partition is taken over again, and the writer goes on."""
    await workers.work("one", *FIRST)
    lanes = await workers.start("one", 0)
    sink = Reader(lanes)
    writer = asyncio.create_task(SinkWriter(sink, 0.01, lanes.serving_lanes).run())
    await until(lambda: workers.seeks == 1 and sink.compared == 2)
    writer.cancel()
    assert workers.kafka.replayed[-1] == (0, 0)
    await lanes.put(0, [batch(1, FIRST[1], CORRECTED)])
    await until(lambda: lanes.lanes[0].committed == 3)
    await lanes.park()
    await workers.work("new")
    assert workers.rows("one") == workers.rows("new")
    assert not workers.crashes


async def test_a_full_disk_is_waited_for(workers, monkeypatch, caplog):
    """By the partitions at work and by those that are taken over, with one line in the log; nothing is lost, and the worker can be ended."""
    is_full, write, open_ = True, Store.write, Store._open_files

    def fail_write(store, rows, log) -> None:
        with store.errors():
            if is_full:
                raise OSError("IO error: No space left on device: While appending to file: 000008.sst")
        write(store, rows, log)

    def fail_open(store) -> None:
        if is_full:
            raise OSError("IO error: No space left on device: While appending to file: 000000.dbtmp")
        open_(store)

    monkeypatch.setattr(room, "_POLL_S", 0.01)
    monkeypatch.setattr(lane_module, "_STOP_S", 0.1)
    lanes = await workers.start("one", 0, 1)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", fail_write)
        patch.setattr(Store, "_open_files", fail_open)
        for partition in (0, 1):
            await lanes.put(partition, [batch(0, *FIRST)])
        await until(lambda: all(workers.kafka.changelog[partition] for partition in (0, 1)))
        await asyncio.sleep(0.1)
        assert [lane.committed for lane in lanes.lanes.values()] == [0, 0]
        said = [record.getMessage() for record in caplog.records if "No space left" in record.getMessage()]
        assert len(said) == 1
        assert said[0].startswith(f"no room on the disk of {workers.path / 'one'}")
        assert said[0].endswith("results stand still until there is some, nothing is lost")
        await lanes.park()
        recovering = asyncio.create_task(lanes.recover({0, 1}))
        await asyncio.sleep(0.1)
        assert not recovering.done()
        is_full = False
        await recovering
    for partition in (0, 1):
        await lanes.put(partition, [batch(1, FIRST[1], CORRECTED)])
    await until(lambda: [lane.committed for lane in lanes.lanes.values()] == [3, 3])
    assert "waiting for room on the disk has ended" in caplog.text
    await lanes.park()
    await workers.work("new")
    assert workers.rows("one") == workers.rows("new")
    assert not workers.crashes


async def test_a_scan_of_a_store_that_is_closed_ends_with_an_error(tmp_path):
    """Not as if nothing followed; and it holds nothing that the next one to open the store needs."""
    store = Store(tmp_path / "0", new_cache(8))
    store.write({b"a1": b"1", b"a2": b"2", b"a3": b"3", b"b": b"4"}, 4)
    assert [key for key, _ in store.scan(b"a")] == [b"a1", b"a2", b"a3"]
    assert [key for key, _ in store.scan(b"a", b"a1")] == [b"a2", b"a3"]
    assert [key for key, _ in store.scan(b"a", b"a11")] == [b"a2", b"a3"]
    scan = iter(store.scan(b"a"))
    assert next(scan) == (b"a1", b"1")
    store.wipe()
    with pytest.raises(StoreClosed):
        next(scan)
    assert (list(store.scan(b"")), store.log) == ([], 0)
    store.close()


def _shown(lanes: Lanes) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """Figures and slots of operator M1, as the store of partition 0 has them."""
    shown = World()
    shown.rows = FrozenRows(lanes.lanes[0].store)
    return shown.figures(), shown.slots()


async def test_while_a_zone_changes_other_partitions_commit(workers, monkeypatch):
    """It is counted anew in steps. What stands behind it waits, another change of the zone too, and counts once."""
    monkeypatch.setattr(calendar, "_STEP_ROWS", 1)
    monkeypatch.setattr(frozen_rows, "_STEP_ROWS", 1)
    events = [*[session(f"s{n}", f"2026-11-{n % 20 + 1:02} 20:30", f"c{n}") for n in range(300)]]
    behind = [
        announced("Asia/Tokyo", version=1),
        session("s1", "2026-11-02 21:30", "c7", version=2),
        announced("America/St_Johns", version=2),
        member("c7", "vip", version=1),
    ]
    expected = World(None)
    expected.apply([clock("2026-11-24 12:00"), *events, *behind])
    lanes = await workers.start("one", 0, 1)
    frames = [
        frame(clock("2026-11-24 12:00")),
        *[frame(each, offset=n) for n, each in enumerate([*events, *behind], 1)],
    ]
    before = len(frames) - len(behind)
    await lanes.put(0, [batch(0, *frames[:before])])
    await lanes.put(1, [batch(0, frames[0])])
    await until(lambda: [lane.committed for lane in lanes.lanes.values()] == [before, 1])
    await lanes.put(0, [batch(before, *frames[before:])])
    other = lanes.lanes[1]
    async with asyncio.timeout(20):
        while lanes.lanes[0].committed == before:
            if other.committed == other.expected:
                await lanes.put(
                    1, [batch(other.expected, frame(session(f"x{other.expected}", NOON), offset=other.expected))]
                )
            await asyncio.sleep(0)
    assert other.committed > 20
    await until(lambda: lanes.lanes[0].committed == len(frames))
    assert _shown(lanes) == (expected.figures(), expected.slots())
    await lanes.park()


@pytest.mark.parametrize("is_given_away", [False, True])
async def test_a_partition_that_can_not_be_fenced_holds_up_the_others_for_a_while_only(
    is_given_away, workers, monkeypatch
):
    """The coordinator of its transactions is away, say. It follows when it can, and may be given away before."""
    monkeypatch.setattr(lanes_module, "_FENCE_S", 0.1)
    answers, new_log = asyncio.Event(), workers.kafka.new_log

    def new_slow_log(partition: int):
        log = new_log(partition)
        if partition == 0:
            monkeypatch.setattr(log, "open", answers.wait)
        return log

    monkeypatch.setattr(workers.kafka, "new_log", new_slow_log)
    lanes = await workers.start("one", 0, 1)
    assert [lane.is_open for lane in lanes.lanes.values()] == [False, True]
    assert (lanes.positions(), lanes.recovered.is_set()) == ({1: 0}, False)
    for partition in (0, 1):  # of the first nobody is there to take frames
        await lanes.put(partition, [batch(0, *FIRST)])
    await until(lambda: lanes.lanes[1].committed == 2)
    if not is_given_away:
        answers.set()
        await until(lambda: workers.seeks == 1)
        assert (lanes.positions(), lanes.recovered.is_set()) == ({0: 0, 1: 1}, True)
        await lanes.put(0, [batch(2, LATER)])  # fetched before the seek
        await lanes.put(0, [batch(0, *FIRST)])
        await until(lambda: lanes.lanes[0].committed == 2)
    async with asyncio.timeout(5):
        await lanes.park()
    answers.set()
    await asyncio.sleep(0.05)
    assert not lanes.lanes
    assert not workers.crashes

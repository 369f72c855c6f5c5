"""The lanes of a worker over real stores, and Kafka in memory: how partitions are taken over, and what a store is good for."""

import asyncio
import time
from collections.abc import Callable

import pytest

from stream_app.partition.lanes import Lanes
from stream_app.partition.store import Store, new_cache
from tests.support.by_hand import clock, member, payment, session
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
        self.now_s = time.time()
        monkeypatch.setattr(time, "time", lambda: self.now_s)

    async def _crash(self, exc: Exception) -> None:
        self.crashes.append(exc)

    async def start(self, name: str, *partitions: int) -> Lanes:
        lanes = Lanes(self.kafka, self.path / name, 8, self._crash)
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
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # a lane tells nobody
            await asyncio.sleep(0.01)


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

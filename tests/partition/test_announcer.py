"""As-of of the results topics: never of what was not published yet."""

import asyncio
import json

import msgspec

from stream_app.formats.rows import POSITION, decode_position, encode_position
from stream_app.partition import announcer
from stream_app.partition.announcer import Announcer
from stream_app.partition.lane import Lane
from stream_app.ports.kafka import Range
from tests.support.by_hand import clock, session
from tests.support.in_memory import RESULTS, MemoryLog, MemoryStore, batch, conf, frame

FRAMES = [frame(clock("2026-11-24 12:00")), frame(session("s1", "2026-11-03 12:00"), offset=1)]


class Topic:
    """An appender that keeps what was announced, a dictionary a turn."""

    def __init__(self) -> None:
        self.turns: list[dict[int, str]] = []

    async def partitions(self, topic: str) -> int:
        return 1

    async def append(self, records) -> None:
        values = [json.loads(record.value) for some in records.values() for record in some]
        self.turns.append({value["partition"]: value["asOf"] for value in values})


async def _until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # a lane tells nobody
            await asyncio.sleep(0.001)


async def _crash(exc: Exception) -> None:
    raise exc


def _lost(lane: Lane, *_: str) -> None:
    raise AssertionError(f"partition {lane.partition} is lost")


async def _owner(store: MemoryStore, log: MemoryLog) -> Lane:
    lane = Lane(conf(), 0, store, log, lambda *_: None, _lost, _crash)
    await lane.start(Range(0, len(FRAMES)))
    return lane


async def test_a_new_owner_announces_nothing_before_it_has_published_what_the_last_one_left(monkeypatch):
    """The as-of of the row of the position is that of the rows, which the results topics may be behind."""
    store = MemoryStore()
    monkeypatch.setattr(announcer, "_INTERVAL_S", 0.005)
    lane = await _owner(store, MemoryLog())
    await lane.put([batch(0, *FRAMES)])
    await _until(lambda: lane.published == len(FRAMES))
    await lane.stop()
    left = msgspec.structs.replace(decode_position(store.rows[POSITION]), published=-1, as_of=1_795_521_600_000)
    store.rows[POSITION] = encode_position(left)

    log, topic = MemoryLog(), Topic()
    log.gate.clear()
    heir = await _owner(store, log)
    task = asyncio.create_task(Announcer(conf(), "as-of", topic, lambda: [heir]).run())
    await _until(lambda: len(topic.turns) >= 3)
    assert not any(topic.turns)
    log.gate.set()
    await _until(lambda: any(topic.turns))
    assert topic.turns[-1] == {0: "2026-11-24T12:00:00.000Z"}
    assert [commit.records.keys() for commit in log.commits] == [{*RESULTS.values()}]
    task.cancel()
    await heir.stop()

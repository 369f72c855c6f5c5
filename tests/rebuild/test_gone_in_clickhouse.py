"""A generation takes over that does not have all that was shown: what ClickHouse 18.16 answers meanwhile is of one state, or nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from clickhouse_driver import Client

from stream_app.domain.events import ALL
from stream_app.domain.tables import HALF_HOUR, MONTHLY
from stream_app.partition.lane import Lane
from stream_app.partition.sink_writer import SinkWriter
from stream_app.ports.kafka import Range
from stream_app.rebuild.gone import show_zeros
from stream_app.rebuild.shown import own_records
from stream_app.sinks.clickhouse import ClickHouseSink
from stream_app.sinks.clickhouse_reader import ClickHouseReader
from stream_app.sinks.clickhouse_writes import WriteUnderWay
from stream_app.sinks.topics import ResultRecords
from tests.support.by_hand import clock, payment, session
from tests.support.in_memory import MemoryLog, MemoryStore, batch, conf, frame
from tests.support.waiting import until

DATABASE = "gone_test"
RESULTS = ResultRecords("t", "/t")
MONTHS = [202611, 202610, 202609, 202608]
DAYS = range(HALF_HOUR.period.parse("2026-10-26"), HALF_HOUR.period.parse("2026-11-24") + 1)
NOW = frame(clock("2026-11-24 12:00"))
KEPT = [
    frame(payment("p1", "2026-11-03 12:00", "ann", 500), offset=1),
    frame(session("s1", "2026-11-03 12:00", "ann"), offset=2),
]
GONE = [  # two months, two currencies and a day of which the new generation knows nothing
    frame(payment("p2", "2026-09-03 12:00", "ann", 700), offset=3),
    frame(payment("p3", "2026-10-03 12:00", "bob", 800, currency="CHF"), offset=4),
    frame(session("s2", "2026-11-05 12:00", "bob"), offset=5),
]

pytestmark = pytest.mark.usefixtures("no_database")


@pytest.fixture
def no_database(clickhouse_url) -> None:
    client = Client.from_url(clickhouse_url)
    client.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
    client.disconnect()


async def _crash(exc: Exception) -> None:
    raise exc


def _lost(lane: Lane, what: str, why: str) -> None:
    raise AssertionError(f"partition {lane.partition}: {what}, {why}")


class Watched(ClickHouseSink):
    """A sink behind each of whose inserts something is done."""

    def __init__(self, url: str, generation: int, behind: Callable[[], Awaitable[None]]) -> None:
        super().__init__(url, DATABASE, generation=generation, partitions=1)
        self._behind = behind

    async def _insert(self, statement, columns, sent=()) -> None:
        await super()._insert(statement, columns, sent)
        if columns:
            await self._behind()


class Generation:
    """A generation of one partition, which copies to ClickHouse once it serves."""

    def __init__(self, url: str, number: int, behind: Callable[[], Awaitable[None]], *, muted: bool) -> None:
        self.store, self.log = MemoryStore(), MemoryLog()
        self.lane = Lane(conf(number, muted=muted), 0, self.store, self.log, self._told, _lost, _crash)
        self.writer = SinkWriter(Watched(url, number, behind), 0.01, self._serving)

    async def start(self, *frames: bytes) -> None:
        await self.lane.start(Range(0, 100))
        self._task = asyncio.create_task(self.writer.run())
        await self.lane.put([batch(0, *frames)])
        await until("all is applied", lambda: self.lane.committed == len(frames))

    def lanes(self) -> list[Lane]:
        return [self.lane] if self.lane.is_open else []

    def _serving(self) -> list[Lane]:
        return [lane for lane in self.lanes() if not lane.muted]

    def _told(self, lane, dirty) -> None:
        self.writer.told(lane, dirty)

    async def end(self) -> None:
        await self.lane.stop()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.writer.close()


@pytest.fixture
async def reader(clickhouse_url) -> AsyncIterator[ClickHouseReader]:
    made = ClickHouseReader(clickhouse_url, DATABASE)
    yield made
    await made.close()


async def answers(reader: ClickHouseReader):
    """The default answers about the operator, but for as-of; None while it is being written."""
    try:
        known = await reader.operator("M1")
        if known is None:
            return None
        months = await reader.figures(MONTHLY, "M1", known, ALL, MONTHS, known.operator.currency)
        days = await reader.counts(HALF_HOUR, "M1", known, ALL, DAYS)
    except WriteUnderWay:
        return None
    return {**months, "asOf": ""}, {**days, "asOf": ""}


async def test_between_any_two_inserts_of_a_takeover_there_is_no_answer_or_one_of_one_state(clickhouse_url, reader):
    """That of the generation before, or that of the new one with zeros in place of all that is gone."""
    written, seen = [], []

    async def note() -> None:
        written.append("an insert of the generation before")

    async def read() -> None:
        seen.append(await answers(reader))

    old = Generation(clickhouse_url, 3, note, muted=False)
    await old.start(NOW, *KEPT, *GONE)

    async def is_there() -> bool:
        if not written:
            return False  # nor are the tables
        found = await answers(reader)
        return found is not None and found[0]["version"] == old.lane.view.version

    await until("ClickHouse has the old generation", is_there)
    before = await answers(reader)
    shown = await own_records([old.lane.view], RESULTS)
    await old.end()

    new = Generation(clickhouse_url, 4, read, muted=True)
    await new.start(NOW, *KEPT)
    gone = sorted(shown.keys() - (await own_records([new.lane.view], RESULTS)).keys())
    await show_zeros(new.lanes, {0: gone})
    new.lane.unmute(6)

    async def has_taken_over() -> bool:
        found = await answers(reader)
        return found is not None and found != before

    await until("ClickHouse has the new generation", has_taken_over)
    after = await answers(reader)
    await new.end()
    assert [month["paymentCount"] for month in before[0]["months"]] == [1, 0, 1, 0]
    assert [month["paymentCount"] for month in after[0]["months"]] == [1, 0, 0, 0]
    assert (before[1]["total"], after[1]["total"]) == (2, 1)
    assert {found["version"] >> 40 for found in after} == {4}
    assert [found for found in seen if found not in (None, before, after)] == []
    assert seen.count(None) >= 3
    assert seen[-1] == after

"""A month leaves retention while ClickHouse is away, or behind: its rows there are the last state all the same."""

import asyncio
import logging

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException
from prometheus_client import CollectorRegistry

from stream_app.domain.events import ALL
from stream_app.domain.tables import MONTHLY
from stream_app.formats.rows import PAST
from stream_app.partition import past_cells
from stream_app.partition.lane import Lane
from stream_app.partition.metrics import expose
from stream_app.partition.sink_writer import SinkWriter
from stream_app.ports.kafka import Range
from stream_app.sinks.clickhouse import ClickHouseSink
from stream_app.sinks.clickhouse_rows import MONTHS_MAX
from tests.support.by_hand import clock, payment, session
from tests.support.in_memory import MemoryLog, MemoryStore, batch, conf, frame

DATABASE = "past_retention_test"
OLDEST, NEXT = "2025-11", "2025-12"  # of the months that are kept in November of 2026
NOW = frame(clock("2026-11-24 12:00"))
ONE, OTHER = (frame(payment(f"p{n}", f"{OLDEST}-07 10:00", "ann", 500), offset=n) for n in (1, 2))
DECEMBER = frame(clock("2026-12-01 00:00"))


class Switched(ClickHouseSink):
    """ClickHouse, which is away, or slow, at times."""

    is_away = is_busy = False

    def __init__(self, url, generation):
        super().__init__(url, DATABASE, generation=generation, partitions=1)
        self.answers = asyncio.Event()
        self.answers.set()

    async def compare(self, view):
        return await self._call(super().compare(view))

    async def write(self, changes):
        await self._call(super().write(changes))

    async def write_as_of(self, as_of_ms):
        return await self._call(super().write_as_of(as_of_ms))

    async def _call(self, call):
        self.is_busy = True
        try:
            await self.answers.wait()
            if self.is_away:
                call.close()
                raise ConnectionRefusedError
            return await call
        finally:
            self.is_busy = False


class World:
    """A partition that moves from owner to owner, each of which has a sink of its own."""

    def __init__(self, clickhouse_url: str) -> None:
        self._url = clickhouse_url
        self.store, self.log = MemoryStore(), MemoryLog()
        self.count = 0
        self.client = Client.from_url(clickhouse_url)
        self.client.execute(f"DROP DATABASE IF EXISTS {DATABASE}")

    async def own(self, *, muted: bool = False, first: int = 0, generation: int = 3, is_away: bool = False) -> None:
        self.lane = Lane(conf(generation, muted=muted), 0, self.store, self.log, self._told, self._lose, self._crash)
        self.sink = Switched(self._url, generation)
        self.sink.is_away = is_away
        self.writer = SinkWriter(self.sink, 0.01, lambda: [self.lane] if self.lane.is_open else [])
        await self.lane.start(Range(first, 100))
        self._task = asyncio.create_task(self.writer.run())

    def _told(self, lane, dirty) -> None:
        self.writer.told(lane, dirty)

    def _lose(self, lane: Lane) -> None:
        raise AssertionError(f"partition {lane.partition} is lost")

    async def _crash(self, exc: Exception) -> None:
        raise exc

    async def apply(self, *frames: bytes) -> None:
        await self.lane.put([batch(self.lane.expected, *frames)])
        await until(lambda: self.lane.committed == self.lane.expected)

    async def leave(self) -> None:
        await self.lane.stop()
        await until(lambda: not self.sink.is_busy)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.writer.close()

    def metrics(self) -> dict[str, float]:
        """What a worker tells of it."""
        registry = CollectorRegistry()
        expose(lambda: [self.lane], registry)
        return {sample.name: sample.value for metric in registry.collect() for sample in metric.samples}

    def held(self) -> int:
        return sum(key.startswith(PAST) for key in self.store.rows)

    def shown(self, month: str = OLDEST) -> tuple[int, ...]:
        """Payments, their amount and the version of a month's row."""
        try:
            rows = self.client.execute(
                f"SELECT payment_count, received_amount, version FROM {DATABASE}.{MONTHLY.clickhouse_table}_current "
                f"WHERE operator_id = 'M1' AND group_id = '{ALL}' AND stat_month = '{month}-01'"
            )
        except ServerException as exc:  # migrations have not made it yet
            if "doesn't exist" not in str(exc):
                raise
            return ()
        return tuple(map(int, rows[0])) if rows else ()

    async def is_quiet(self) -> None:
        """All that changed is in ClickHouse, and nothing is held for it."""
        await until(lambda: not self.writer.failing and not self.writer.pending and self.writer.as_of_ms is not None)
        await until(lambda: not self.held() and self.lane.past[0] == 0)


async def until(condition) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # neither lane nor writer tells anybody
            await asyncio.sleep(0.005)


@pytest.fixture
async def world(clickhouse_url):
    made = World(clickhouse_url)
    yield made
    await made.leave()
    made.client.disconnect()


async def _written(world: World, *payments: int) -> None:
    await until(lambda: world.lane.committed and not world.writer.pending)
    await until(lambda: world.shown()[:2] == payments)


@pytest.mark.parametrize("change", ["before", "in the same tick"])
async def test_what_comes_while_clickhouse_is_away_is_written_once_it_is_back(world, change):
    """One of two payments is there when it goes away, and the month leaves retention before it is back."""
    await world.own()
    await world.apply(NOW, ONE)
    await _written(world, 1, 5)
    (*_, before) = world.shown()
    world.sink.is_away = True
    for frames in ([OTHER], [DECEMBER]) if change == "before" else ([OTHER, DECEMBER],):
        await world.apply(*frames)
    await until(lambda: world.writer.failing)
    assert world.shown()[:2] == (1, 5)
    assert world.held() == world.lane.past[0] == 1
    world.sink.is_away = False
    await _written(world, 2, 10)
    assert world.shown()[2] > before
    await world.is_quiet()
    await world.apply(frame(payment("p3", f"{OLDEST}-08 10:00", "ann", 1), offset=3))
    assert (world.held(), world.shown()[:2]) == (0, (2, 10)), "what is late changes nothing"


async def test_a_clickhouse_that_is_a_second_behind_gets_it_too(world):
    """No fault at all: the month leaves between two writes."""
    await world.own()
    await world.apply(NOW, ONE)
    await _written(world, 1, 5)
    world.sink.answers.clear()
    await world.apply(OTHER)
    await world.apply(DECEMBER)
    world.sink.answers.set()
    await _written(world, 2, 10)
    await world.is_quiet()


async def test_a_month_that_did_not_change_keeps_its_version(world):
    """What leaves retention as it was written is the same row."""
    await world.own()
    await world.apply(NOW, ONE, OTHER)
    await _written(world, 2, 10)
    before = world.shown()
    await world.apply(DECEMBER)
    await world.is_quiet()
    assert world.shown() == before


async def test_the_next_owner_writes_what_the_last_one_left(world):
    """The held rows are part of the state: in the changelog, with the transaction that drops the month."""
    await world.own(is_away=True)
    await world.apply(NOW, ONE)
    await world.apply(OTHER, DECEMBER)
    dropping = next(commit for commit in world.log.commits if any(key.startswith(PAST) for key in commit.rows))
    assert dropping.offset == 4
    await world.leave()
    await world.own(is_away=True)
    assert world.lane.past == (1, 0)
    world.sink.is_away = False
    await _written(world, 2, 10)
    await world.is_quiet()


async def test_a_generation_that_is_built_anew_mends_the_rows_of_months_past_retention(world):
    """It applies all of the history: each month leaves retention in it, too, and is written once it serves."""
    await world.own()
    await world.apply(NOW, ONE)
    await _written(world, 1, 5)
    await world.leave()
    world.store, world.log = MemoryStore(), MemoryLog()
    await world.own(muted=True, generation=4, is_away=True)
    await world.apply(NOW, ONE, OTHER, DECEMBER)
    world.lane.unmute(4)
    world.sink.is_away = False
    await _written(world, 2, 10)
    await world.is_quiet()


async def test_a_history_whose_beginning_is_gone_mends_nothing(world):
    """A month of it may be counted in part, and what ClickHouse has be right."""
    await world.own()
    await world.apply(NOW, ONE, OTHER)
    await _written(world, 2, 10)
    await world.leave()
    world.store, world.log = MemoryStore(), MemoryLog()
    await world.own(muted=True, generation=4, first=2)
    await world.apply(NOW, OTHER, frame(session("s", f"{NEXT}-09 10:00"), offset=4), DECEMBER)
    world.lane.unmute(6)
    await until(lambda: world.shown(NEXT)[:1] == (0,) and not world.writer.pending)
    assert world.shown()[:2] == (2, 10)
    assert world.held() == 0


async def test_what_is_held_is_bounded_and_said(world, monkeypatch, caplog):
    """The oldest months are let go, with an error; the worker goes on."""
    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(past_cells, "HELD_MAX", 2)
    await world.own(is_away=True)
    months = [f"{OLDEST[:4]}-{month}" for month in ("11", "12")] + ["2026-01"]
    payments = [frame(payment(month, f"{month}-07 10:00", "ann", 500), offset=1) for month in months]
    await world.apply(NOW, *payments, DECEMBER)
    assert world.lane.past == (1, 0)
    await world.apply(frame(clock("2027-02-01 00:00")))
    assert world.lane.past == (2, 1)
    assert world.metrics() == {"crm_ledger_past_cells": 2, "crm_ledger_past_cells_let_go": 1}
    assert world.held() == 2
    assert caplog.text.count("holds 2 cells past retention that ClickHouse has not taken: older ones are let go") == 1
    world.sink.is_away = False
    await until(lambda: [world.shown(month)[:1] for month in months] == [(), (1,), (1,)])
    await world.is_quiet()


async def test_months_of_a_long_history_go_in_several_inserts(world):
    """ClickHouse refuses one of more than 100 of its partitions, which are months."""
    months = [f"{year}-{month:02}" for year in range(2010, 2019) for month in range(1, 13)]
    frames = [
        each
        for n, month in enumerate(months)
        for each in (frame(clock(f"{month}-20 12:00")), frame(payment(month, f"{month}-07 10:00"), offset=n))
    ]
    await world.own(is_away=True)
    await world.apply(*frames, NOW)
    assert world.lane.past[0] >= len(months) > MONTHS_MAX
    world.sink.is_away = False
    await world.is_quiet()
    assert [world.shown(month)[:1] for month in (months[0], months[50], months[-1])] == [(1,)] * 3

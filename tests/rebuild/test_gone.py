"""What the serving generation shows and the new one does not have: cells of zeros, committed while it is muted; tombstones of what is not kept."""

import asyncio

import pytest

from stream_app.domain.cells import CellKey, FigureCell
from stream_app.domain.events import ALL
from stream_app.domain.report import has_documents
from stream_app.domain.sums import PAYMENT_SUMS
from stream_app.domain.tables import HALF_HOUR, MONTHLY
from stream_app.formats.murmur2 import partition_for
from stream_app.partition.lane import Lane
from stream_app.ports.kafka import Range
from stream_app.rebuild.gone import show_zeros, tombstones, without_cell
from stream_app.sinks.topics import ResultRecords
from tests.support.by_hand import clock, payment
from tests.support.in_memory import RESULTS, MemoryLog, MemoryStore, batch, conf, frame
from tests.support.waiting import until

FRAMES = [frame(clock("2026-11-24 12:00")), frame(payment("p1", "2026-11-03 12:00", "ann", 500), offset=1)]
EUR, CHF = ((MONTHLY.name, f"M1|ALL|2026-11|{currency}".encode()) for currency in ("EUR", "CHF"))
VIP = (MONTHLY.name, b"M1|vip|2026-06|EUR")
DAY = (HALF_HOUR.name, b"M1|old|2026-11-23")
STRANGER = (MONTHLY.name, b"M2|ALL|2026-10|CHF")
PAST = (MONTHLY.name, b"M1|ALL|2025-10|EUR")
PAST_DAY = (HALF_HOUR.name, b"M2|vip|2026-08-24")
VIP_KEY, DAY_KEY = CellKey("M1", "vip", 202606), CellKey("M1", "old", HALF_HOUR.period.parse("2026-11-23"))


async def _crash(exc: Exception) -> None:
    raise exc


def _lost(lane: Lane, what: str, why: str) -> None:
    raise AssertionError(f"partition {lane.partition}: {what}, {why}")


class Muted:
    """A partition of the generation that is being built, with one payment."""

    def __init__(self) -> None:
        self.store, self.log = MemoryStore(), MemoryLog()

    async def own(self) -> "Muted":
        self.lane = Lane(conf(4, muted=True), 0, self.store, self.log, lambda *_: None, _lost, _crash)
        await self.lane.start(Range(0, 100))
        return self

    def lanes(self) -> list[Lane]:
        return [self.lane] if self.lane.is_open else []

    def records(self) -> dict[str, set[bytes | None]]:
        """By topic, keys of the results that are shown."""
        found: dict[str, set[bytes | None]] = {}
        for commit in self.log.commits:
            for topic, some in commit.records.items():
                found.setdefault(topic, set()).update(key for key, _, _ in some)
        return found


@pytest.fixture
async def muted():
    made = await Muted().own()
    await made.lane.put([batch(0, *FRAMES)])
    await until("the payment is applied", lambda: made.lane.committed == 2)
    yield made
    await made.lane.stop()


async def test_what_is_gone_and_kept_is_zeros_of_the_new_generation(muted):
    """Figures in each currency that they were shown in; nothing is published before the generation serves, then all."""
    await show_zeros(muted.lanes, {0: [CHF, VIP, DAY]})
    assert muted.records() == {}
    view = muted.lane.view
    (vip,) = view.cells(MONTHLY, [VIP_KEY])
    assert (type(vip), vip.counts(), vip.version, vip.payments) == (
        FigureCell,
        False,
        view.version,
        {"EUR": PAYMENT_SUMS.zeros()},
    )
    (all_of_it,) = view.cells(MONTHLY, [CellKey("M1", ALL, 202611)])
    assert (all_of_it.counts(), all_of_it.payments.keys()) == (True, {"EUR", "CHF"})
    (day,) = view.cells(HALF_HOUR, [DAY_KEY])
    assert (day.version, day.slots) == (view.version, [0] * 48)
    muted.lane.unmute(2)
    await until("all is published", lambda: muted.lane.published == 2)
    assert muted.records()[RESULTS[MONTHLY.name]] >= {EUR[1], CHF[1], VIP[1]}
    assert DAY[1] in muted.records()[RESULTS[HALF_HOUR.name]]


async def test_groups_of_zeros_have_documents_which_say_so(muted):
    """In place of those that the generation before wrote."""
    await show_zeros(muted.lanes, {0: [VIP, DAY]})
    view = muted.lane.view
    for group in ("vip", "old"):
        assert has_documents(view.operator("M1"), group, view.groups("M1")[group])
    assert not any(any(found.months.values()) for name, found in view.groups("M1").items() if name != ALL)


async def test_what_is_not_kept_gets_tombstones_and_no_cell(muted):
    """Also of an operator of whom no event is left, which is known from now on."""
    names = [PAST, STRANGER, PAST_DAY, VIP]
    await show_zeros(muted.lanes, {0: names})
    assert muted.lane.view.operator("M2") is not None
    assert without_cell(muted.lane.view, names) == [PAST, PAST_DAY]


async def test_a_commit_that_is_under_way_is_not_taken_for_that_of_the_zeros(muted):
    muted.log.gate.clear()
    await muted.lane.put([batch(2, frame(payment("p2", "2026-11-03 12:00", "ann", 500), offset=2))])
    await until("the payment is in a commit", lambda: muted.lane._commit_task is not None)
    waiting = asyncio.create_task(show_zeros(muted.lanes, {0: [VIP]}))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    muted.log.gate.set()
    await waiting
    assert without_cell(muted.lane.view, [VIP]) == []


async def test_a_partition_that_is_taken_over_again_is_asked_again(muted):
    """What was in memory is dropped with the lane."""
    muted.log.gate.clear()
    waiting = asyncio.create_task(show_zeros(muted.lanes, {0: [VIP]}))
    await until("the zeros are in a commit", lambda: muted.lane._commit_task is not None)
    muted.lane._task.cancel()
    muted.lane._commit_task.cancel()
    muted.lane._queue.close()
    muted.log = MemoryLog()
    await muted.own()
    await waiting
    assert without_cell(muted.lane.view, [VIP]) == []


def test_records_that_are_gone_get_a_tombstone_where_they_stood():
    """In their topic and partition, above their last version."""
    names = [EUR, CHF, DAY]
    topics = {MONTHLY.name: ("months", 7), HALF_HOUR.name: ("days", 3)}
    found = tombstones(names, topics, ResultRecords("t", "/t"), 900, 1000)
    places = {(topic, partition, record.key) for (topic, partition), some in found.items() for record in some}
    assert places == {
        *(("months", partition_for(key, 7), key) for _, key in (EUR, CHF)),
        ("days", partition_for(DAY[1], 3), DAY[1]),
    }
    for some in found.values():
        for record in some:
            assert record.value is None
            assert dict(record.headers)["ce_id"] == record.key + b"@900"

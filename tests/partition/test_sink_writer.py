"""The sink writer with a sink that fails when told to: what is written, in which order, and what is compared again."""

import asyncio
import logging
import time
from itertools import pairwise

import pytest

from stream_app.domain.cells import CellKey
from stream_app.domain.tables import MONTHLY
from stream_app.partition import sink_writer
from stream_app.partition.frontiers import Frontiers
from stream_app.partition.sink_writer import SinkWriter
from stream_app.partition.store import StoreClosed
from stream_app.ports.sinks import Dirty


class SinkError(Exception):
    pass


class View:
    def __init__(self, partition):
        self.partition, self.held = partition, set()

    def past(self, table):
        return self.held if table is MONTHLY else ()


class Lane:
    """What a sink writer sees of a lane."""

    is_behind = False

    def __init__(self, partition, as_of_ms=1000):
        self.partition, self.is_open, self.committed = partition, True, 0
        self.released = set()
        self.view, self.frontiers = View(partition), Frontiers(as_of_ms, 0)

    def release(self, written):
        self.released |= written[MONTHLY.name]

    def commits(self, writer, dirty, as_of_ms):
        """A tick is in the store, and what it holds has reached a later time."""
        self.committed += 1
        self.frontiers.add(as_of_ms, self.committed)
        writer.told(self, dirty)


class Sink:
    """Notes its calls. `fails`: what the next call of a name raises; `during`: what happens while one waits."""

    name, errors, keeps_past = "the sink", (SinkError,), True

    def __init__(self):
        self.calls, self.times, self.fails, self.during = [], [], {}, {}
        self.found, self.emptied, self.claimed = Dirty(), set(), {}
        self.gone, self.closed = Dirty(), False

    async def _call(self, name, what):
        self.calls.append((name, what))
        self.times.append(time.monotonic())
        await asyncio.sleep(0)
        self.during.pop(name, lambda: None)()
        if (failures := self.fails.get(name)) and (exc := failures.pop(0)):
            raise exc

    async def compare(self, view):
        await self._call("compare", view.partition)
        return self.found

    def claimed_ms(self, partition):
        return self.claimed.get(partition, 0)

    async def write(self, changes):
        await self._call("write", {view.partition: set(dirty.cells[MONTHLY.name]) for view, dirty in changes})

    async def write_as_of(self, as_of_ms):
        await self._call("as of", dict(as_of_ms))
        emptied, self.emptied = self.emptied & as_of_ms.keys(), set()
        return emptied

    async def look_over(self, view):
        await self._call("look over", view.partition)
        found, self.gone = self.gone, Dirty()
        return found

    async def close(self):
        self.closed = True

    async def until(self, *call, times=1):
        """Until a call was made so often."""
        async with asyncio.timeout(10):
            while self.calls.count(call) < times:  # noqa: ASYNC110  # the writer tells nobody
                await asyncio.sleep(0.001)


def key(name):
    return CellKey("M1", name, 202611)


def dirty(*names):
    found = Dirty()
    found.cells[MONTHLY.name] |= {key(name) for name in names}
    return found


@pytest.fixture
async def world(monkeypatch):
    """(sink, lanes, writer that runs)."""
    monkeypatch.setattr(sink_writer, "_BACKOFF_S", (0.02, 0.08))
    monkeypatch.setattr(sink_writer, "_REST_S", 0.001)
    sink, lanes = Sink(), []
    writer = SinkWriter(sink, 0.001, lambda: [lane for lane in lanes if lane.is_open])
    task = asyncio.create_task(writer.run())
    yield sink, lanes, writer
    assert not task.done(), task.exception()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await writer.close()
    assert sink.closed


async def test_while_a_lane_is_behind_a_tenth_of_the_time_goes_into_writes(world, monkeypatch):
    """And no longer: what is whole again is written at once."""
    sink, lanes, writer = world
    monkeypatch.setattr(sink_writer, "_BEHIND_REST_S_MAX", 60.0)
    lanes.append(Lane(3))
    await sink.until("as of", {3: 1000})
    lanes[0].is_behind = True
    for name in "abc":
        sink.during["write"] = lambda: time.sleep(0.02)  # that long it takes
        lanes[0].commits(writer, dirty(name), 2000 + ord(name))
        await sink.until("write", {3: {key(name)}})
    times = [at for (call, _), at in zip(sink.calls, sink.times, strict=True) if call == "write"]
    assert min(after - before for before, after in pairwise(times)) >= 10 * 0.02
    sink.during["write"] = lambda: time.sleep(0.5)
    lanes[0].commits(writer, dirty("d"), 3000)
    await sink.until("write", {3: {key("d")}})
    lanes[0].is_behind = False
    lanes[0].commits(writer, dirty("e"), 4000)
    started = time.monotonic()
    await sink.until("write", {3: {key("e")}})
    assert time.monotonic() - started < 9 * 0.5


async def test_a_new_lane_is_compared_then_written_then_its_as_of(world):
    """What differs is written before as-of says that it holds."""
    sink, lanes, writer = world
    sink.found = dirty("a")
    lanes += [Lane(3), Lane(5, as_of_ms=2000)]
    await sink.until("as of", {3: 1000, 5: 2000})
    assert sink.calls[:4] == [
        ("compare", 3),
        ("compare", 5),
        ("write", {3: {key("a")}, 5: {key("a")}}),
        ("as of", {3: 1000, 5: 2000}),
    ]
    assert writer.pending == 0
    assert writer.as_of_ms == {3: 1000, 5: 2000}


async def test_as_of_is_that_of_the_keys_that_are_written_with_it(world):
    """A tick that is committed while a write is on its way waits for the next one, and its as-of with it."""
    sink, lanes, writer = world
    lanes.append(lane := Lane(3))
    await sink.until("as of", {3: 1000})
    sink.during["write"] = lambda: lane.commits(writer, dirty("b"), 3000)
    lane.commits(writer, dirty("a"), 2000)
    await sink.until("as of", {3: 3000})
    calls = [call for call in sink.calls if call != ("as of", {3: 1000})]
    first = calls.index(("write", {3: {key("a")}}))
    assert calls[first : first + 4] == [
        ("write", {3: {key("a")}}),
        ("as of", {3: 2000}),
        ("write", {3: {key("b")}}),
        ("as of", {3: 3000}),
    ]


async def test_a_committed_tick_is_written_soon_however_long_it_rests_without_one(world, monkeypatch):
    """As-of alone, which moves by samples too, is written after that rest."""
    sink, lanes, writer = world
    monkeypatch.setattr(sink_writer, "_REST_S", 60)
    lanes.append(lane := Lane(3))
    lane.commits(writer, Dirty(), 1000)
    await sink.until("as of", {3: 1000})
    await asyncio.sleep(0.05)
    lane.frontiers.add(2000, lane.committed)
    await asyncio.sleep(0.05)
    assert ("as of", {3: 2000}) not in sink.calls
    lane.commits(writer, dirty("a"), 3000)
    await sink.until("as of", {3: 3000})
    assert ("write", {3: {key("a")}}) in sink.calls


async def test_a_tick_during_the_comparison_is_not_lost(world):
    """The comparison may have read the state before it."""
    sink, lanes, writer = world
    lane = Lane(3)
    sink.during["compare"] = lambda: lane.commits(writer, dirty("b"), 2000)
    sink.found = dirty("a")
    lanes.append(lane)
    await sink.until("write", {3: {key("a"), key("b")}})
    await sink.until("as of", {3: 2000})
    assert ("as of", {3: 1000}) not in sink.calls


@pytest.mark.parametrize("exc", [SinkError("down"), ConnectionRefusedError("down")])
@pytest.mark.parametrize("call", ["compare", "write", "as of"])
async def test_after_a_failure_all_lanes_are_compared_again(world, call, exc, caplog):
    """Whatever failed: nobody knows what the sink holds now. It is said once, and once that it is over; no as-of passes meanwhile."""
    caplog.set_level(logging.WARNING)
    sink, lanes, writer = world
    lanes += [one := Lane(3), Lane(5)]
    await sink.until("as of", {3: 1000, 5: 1000})
    sink.fails = {call: [exc, exc, exc]}
    if call == "compare":
        sink.fails["write"] = [exc]  # what makes it compare
    before = len(sink.calls)
    one.commits(writer, dirty("a"), 2000)
    sink.found = dirty("a", "c")  # as a comparison finds what was not written
    async with asyncio.timeout(10):
        while any(sink.fails.values()) or writer.failing:  # noqa: ASYNC110  # the writer tells nobody
            await asyncio.sleep(0.001)
    calls = [what for what in sink.calls[before:] if what[0] != "look over"]
    assert calls.count(("compare", 3)) >= 3
    again = max(i for i, what in enumerate(calls) if what == ("compare", 3))
    assert calls[again : again + 4] == [
        ("compare", 3),
        ("compare", 5),
        ("write", {3: {key("a"), key("c")}, 5: {key("a"), key("c")}}),
        ("as of", {3: 2000, 5: 1000}),
    ]
    if call != "as of":
        assert ("as of", {3: 2000, 5: 1000}) not in calls[:again]
    assert caplog.text.count("the sink fails, results are kept for it") == 1
    assert caplog.text.count("the sink answers again") == 1


async def test_it_waits_longer_after_each_failure_up_to_a_limit_and_starts_anew(world):
    """Some randomness spreads workers: half of the wait and more."""
    sink, lanes, _ = world
    sink.fails = {"compare": [SinkError()] * 6}
    lanes.append(Lane(3))
    await sink.until("as of", {3: 1000})
    times = [at for at, (name, _) in zip(sink.times, sink.calls, strict=True) if name == "compare"]
    waits = [b - a for a, b in pairwise(times)]
    assert len(waits) == 6
    for wait, backoff in zip(waits, (0.02, 0.04, 0.08, 0.08, 0.08, 0.08), strict=True):
        assert backoff / 2 <= wait < backoff + 0.5


async def test_cells_past_retention_are_released_once_they_are_written(world):
    """Those that had left when the sink was given the keys: one that leaves while it writes was written as it was before."""
    sink, lanes, writer = world
    lanes.append(one := Lane(3))
    await sink.until("as of", {3: 1000})
    one.view.held = {key("a")}
    sink.fails, sink.found = {"write": [SinkError()]}, dirty("a")
    after_the_failure = []
    sink.during["compare"] = lambda: after_the_failure.append(set(one.released))
    one.commits(writer, dirty("a"), 2000)
    await sink.until("as of", {3: 2000})
    assert after_the_failure == [set()]
    assert one.released == {key("a")}
    sink.during["write"] = lambda: one.view.held.add(key("b"))
    one.commits(writer, dirty("b"), 3000)
    await sink.until("as of", {3: 3000})
    assert one.released == {key("a")}
    one.commits(writer, dirty("b"), 4000)
    await sink.until("as of", {3: 4000})
    assert one.released == {key("a"), key("b")}


def of(operator, *names):
    """The operator's entry and cells are dirty."""
    found = Dirty(operators={operator})
    found.cells[MONTHLY.name] |= {CellKey(operator, name, 202611) for name in names}
    return found


async def test_too_many_keys_go_in_portions_of_whole_operators_each_with_its_news(world, monkeypatch):
    """As-of follows the last of them; cells past retention are released with their portion."""
    monkeypatch.setattr(sink_writer, "KEYS_MAX", 3)
    sink, lanes, writer = world
    lanes += [one := Lane(3), other := Lane(5)]
    await sink.until("as of", {3: 1000, 5: 1000})
    first = len(sink.calls)

    def news():
        for operator in ("M1", "M2"):
            one.commits(writer, of(operator, "new"), 3000)

    sink.during["write"] = news  # of M1 while its own portion is on its way, of M2 before
    one.view.held = of("M2", "a").cells[MONTHLY.name]
    several = of("M1", "a", "b", "c")
    several.update(of("M2", "a"))
    one.commits(writer, several, 2000)
    other.commits(writer, of("M3", "a", "b"), 2000)
    await sink.until("as of", {3: 3000, 5: 2000})
    calls = [call for call in sink.calls[first:] if call[0] != "look over" and call[1] != {3: 1000, 5: 1000}]
    assert calls[:6] == [
        ("write", {3: of("M1", "a", "b", "c").cells[MONTHLY.name]}),
        ("write", {3: of("M2", "a", "new").cells[MONTHLY.name]}),
        ("write", {5: of("M3", "a", "b").cells[MONTHLY.name]}),
        ("as of", {3: 2000, 5: 2000}),
        ("write", {3: of("M1", "new").cells[MONTHLY.name]}),
        ("as of", {3: 3000, 5: 2000}),
    ]
    assert one.released == one.view.held


async def test_nothing_of_a_partition_is_written_before_it_has_reached_what_the_sink_claims_of_it(world):
    """Its keys wait, those of ticks meanwhile, too; other partitions wait for nothing."""
    sink, lanes, writer = world
    sink.found, sink.claimed = dirty("a"), {3: 3000}
    lanes += [held := Lane(3), Lane(5)]
    await sink.until("as of", {5: 1000}, times=3)
    held.commits(writer, dirty("b"), 2999)
    await sink.until("as of", {5: 1000}, times=6)
    assert [call for call in sink.calls if call[0] == "write"] == [("write", {5: {key("a")}})]
    assert writer.as_of_ms == {5: 1000}
    assert writer.pending == 2
    held.commits(writer, dirty("c"), 3000)
    await sink.until("as of", {3: 3000, 5: 1000})
    assert ("write", {3: {key("a"), key("b"), key("c")}}) in sink.calls
    assert sink.calls.count(("compare", 3)) == 1


async def test_an_emptied_partition_is_compared_again_and_claims_no_as_of(world):
    """The sink says so when as-of is written; the others go on."""
    sink, lanes, writer = world
    lanes += [Lane(3), Lane(5)]
    await sink.until("as of", {3: 1000, 5: 1000})
    sink.emptied, sink.found = {3}, dirty("a")
    await sink.until("compare", 3, times=2)
    await sink.until("write", {3: {key("a")}})
    assert sink.calls.count(("compare", 5)) == 1
    await sink.until("as of", {3: 1000, 5: 1000}, times=2)
    assert not writer.failing


async def test_keys_that_are_gone_are_found_in_turn_and_written_again(world, monkeypatch, caplog):
    """Each lane is looked over, at a bounded pace; what changed lately is no loss."""
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(sink_writer, "LOOK_S", 0.01)
    sink, lanes, writer = world
    lanes += [one := Lane(3), Lane(5)]
    await sink.until("look over", 5, times=2)
    await sink.until("look over", 3, times=2)
    sink.during["look over"] = lambda: writer.told(one, dirty("b"))
    sink.gone = dirty("a", "b")
    async with asyncio.timeout(10):
        while not any(name == "write" and key("a") in set().union(*what.values()) for name, what in sink.calls):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    looks = [at for at, (name, _) in zip(sink.times, sink.calls, strict=True) if name == "look over"]
    assert all(later - earlier >= 0.01 for earlier, later in pairwise(looks))
    assert "the sink has lost" in caplog.text
    assert not writer.failing


async def test_a_lane_that_is_given_away_is_forgotten_with_its_keys(world):
    """Its next owner compares; when it comes back here it is another lane."""
    sink, lanes, writer = world
    lanes += [one := Lane(3), Lane(5)]
    await sink.until("as of", {3: 1000, 5: 1000})
    one.is_open = False
    writer.told(one, dirty("a"))
    await sink.until("as of", {5: 1000})
    assert not any(name == "write" for name, _ in sink.calls)
    assert writer.pending == 0
    lanes.remove(one)
    lanes.append(Lane(3))
    await sink.until("compare", 3, times=2)


async def test_a_store_closed_meanwhile_only_makes_it_compare_the_others_again(world, caplog):
    """A rebalance in the middle of a write or a comparison."""
    sink, lanes, writer = world
    lanes += [one := Lane(3), Lane(5)]
    await sink.until("as of", {3: 1000, 5: 1000})
    sink.during["write"] = lambda: setattr(one, "is_open", False)
    sink.fails = {"write": [StoreClosed("given away")]}
    one.commits(writer, dirty("a"), 2000)
    await sink.until("compare", 5, times=2)
    await sink.until("as of", {5: 1000})
    assert sink.calls.count(("compare", 3)) == 1
    assert not writer.failing
    assert not caplog.records


async def test_an_error_of_our_own_is_raised():
    """It stops the worker: what is wrong would be wrong again."""
    sink, lane = Sink(), Lane(3)
    sink.fails = {"compare": [KeyError("a bug")]}
    with pytest.raises(KeyError, match="a bug"):
        await asyncio.wait_for(SinkWriter(sink, 0.001, lambda: [lane]).run(), 60)


async def test_an_as_of_that_stands_still_is_written_once_a_second(world, monkeypatch):
    """Nothing changes while nobody sends: what is written then only tells whether the sink was emptied."""
    sink, lanes, _ = world
    monkeypatch.setattr(sink_writer, "AS_OF_S", 60)
    lanes.append(Lane(3))
    await sink.until("as of", {3: 1000})
    await asyncio.sleep(0.05)
    assert sink.calls.count(("as of", {3: 1000})) == 1


async def test_an_as_of_that_stands_still_finds_out_that_the_sink_was_emptied(world, monkeypatch):
    sink, lanes, _ = world
    monkeypatch.setattr(sink_writer, "AS_OF_S", 0.02)
    lanes.append(Lane(3))
    await sink.until("as of", {3: 1000})
    sink.emptied = {3}
    await sink.until("compare", 3, times=2)

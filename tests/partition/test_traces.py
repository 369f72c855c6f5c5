"""Traces of a partition: from frames to the results of their operators, over restarts, lost transactions and results that wait."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from stream_app.formats.rows import TRACES
from stream_app.formats.traces import TRACES_MAX, Trace, carrying
from stream_app.partition.conf import Pace
from stream_app.partition.lane import Lane
from stream_app.ports.kafka import Interrupted, Range
from stream_app.ports.tracing import Place, Tracing
from tests.support.by_hand import clock, of, session
from tests.support.in_memory import RESULTS, MemoryLog, MemoryStore, batch, conf, frame
from tests.support.tracing import PARENT, TRACE_ID, KeptSpans

NOON = "2026-11-03 12:00"
NOW = frame(clock("2026-11-24 12:00"))
MONTHLY, HALF_HOUR = RESULTS["monthly"], RESULTS["half_hour"]
OTHER_ID = "1" * 32


def trace(number: int, trace_id: str = TRACE_ID) -> Trace:
    return Trace(f"00-{trace_id}-{number:016x}-01", "a=1")


class World:
    """A lane above a store and a log that outlive it. `publish_s`: between two publications."""

    def __init__(self, *, traces: bool = True, publish_s: float = 0.0) -> None:
        self.store, self.log, self.spans = MemoryStore(), MemoryLog(), KeptSpans()
        self.lost: list[str] = []
        self.publish_s = publish_s
        self.tracing = Tracing(self.spans, "the group") if traces else None

    async def start(self) -> "World":
        made = msgspec.structs.replace(conf(), pace=Pace(0.0, self.publish_s))
        self.lane = Lane(made, 0, self.store, self.log, lambda *_: None, self._lost, self._crash, tracing=self.tracing)
        await self.lane.fence()
        await self.lane.start(Range(0, 100))
        return self

    def _lost(self, _lane: Lane, what: str, _why: str) -> None:
        self.lost.append(what)

    async def _crash(self, exc: Exception) -> None:
        raise exc

    async def put(self, first: int, *frames: bytes, headers: dict[int, list[tuple[str, bytes | None]]] | None = None):
        made = batch(first, *frames)
        made.headers = headers or {}
        await self.lane.put([made])

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110  # a lane tells nobody
                await asyncio.sleep(0)

    async def applied(self, offset: int) -> None:
        await self.until(lambda: self.lane.committed >= offset)

    async def kill(self) -> None:
        """End the lane as a killed process would: nothing more is committed."""
        for task in (self.lane._task, self.lane._commit_task):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})

    def parents(self, topic: str = MONTHLY) -> list[str | None]:
        """The traceparent of each record of a results topic, in order."""
        found = [dict(headers) for commit in self.log.commits for _, _, headers in commit.records.get(topic, [])]
        return [value and value.decode() for value in (headers.get("traceparent") for headers in found)]


async def test_a_result_goes_on_with_the_trace_of_its_record():
    """Of its own operator's only; the span of the sending ends with the transaction."""
    world = await World().start()
    await world.put(0, NOW)
    await world.applied(1)
    both = frame(session("s1", NOON), of("M2", session("s2", NOON)))
    await world.put(1, both, headers={1: [carrying("M1", trace(7))]})
    await world.applied(2)
    await world.lane.stop()
    apply, *sends = world.spans.all
    assert (apply.what, apply.at, apply.parent) == ("events process", Place("events", 0, 1), trace(7))
    assert {send.what for send in sends} == {f"{MONTHLY} send", f"{HALF_HOUR} send"}
    assert all(send.parent == apply.trace and send.links == [] for send in sends)
    assert all((span.ended, span.error) == (1, "") for span in world.spans.all)
    (monthly,) = world.spans.named(f"{MONTHLY} send")
    found = [
        (dict(headers), key) for commit in world.log.commits for key, _, headers in commit.records.get(MONTHLY, [])
    ]
    assert {key.split(b"|")[0] for headers, key in found if "traceparent" in headers} == {b"M1"}
    marked = [headers for headers, _ in found if "traceparent" in headers]
    assert {(each["traceparent"].decode(), each["tracestate"]) for each in marked} == {(monthly.trace.traceparent, b"a=1")}  # fmt: skip
    assert monthly.messages == len(marked)
    assert TRACES not in world.store.rows


async def test_a_result_of_several_records_is_linked_to_all_of_them():
    world = await World().start()
    await world.put(
        0,
        NOW,
        frame(session("s1", NOON), session("s2", NOON)),
        frame(session("s3", NOON)),
        headers={1: [carrying("M1", trace(1)), carrying("M1", trace(2, OTHER_ID))], 2: [carrying("M1", trace(3))]},
    )
    await world.applied(3)
    await world.lane.stop()
    applied = world.spans.named("events process")
    assert [span.parent for span in applied] == [trace(1), trace(2, OTHER_ID), trace(3)]
    (send,) = world.spans.named(f"{MONTHLY} send")
    assert send.parent == applied[2].trace
    assert send.links == [applied[0].trace, applied[1].trace]


async def test_what_is_committed_and_not_published_keeps_its_trace_over_a_killed_worker():
    """The next owner publishes it: the row of traces lies in the transaction of the events."""
    world = await World(publish_s=0.0).start()
    await world.put(0, NOW, frame(session("s1", NOON)))
    await world.applied(2)
    world.publish_s = 3600.0
    await world.lane.stop()
    await world.start()
    world.lane._published_at = asyncio.get_running_loop().time()
    await world.put(2, frame(session("s2", NOON)), headers={2: [carrying("M1", trace(9))]})
    await world.applied(3)
    before = world.parents()
    assert before
    assert set(before) == {None}
    assert TRACES in world.store.rows
    await world.kill()

    world.publish_s = 0.0
    await world.start()
    await world.until(lambda: len(world.parents()) > len(before))
    await world.lane.stop()
    (apply,) = world.spans.named("events process")
    (send,) = world.spans.named(f"{MONTHLY} send")
    assert (apply.parent, send.parent) == (trace(9), apply.trace)
    assert set(world.parents()[len(before) :]) == {send.trace.traceparent}
    assert TRACES not in world.store.rows


async def test_frames_that_are_read_again_go_on_with_the_same_trace():
    """A transaction that Kafka refused: its spans fail, and those of the next owner belong to the same trace."""
    world = await World().start()
    await world.put(0, NOW)
    await world.applied(1)
    world.log.fails = [Interrupted("its coordinator is away")]
    headers = {1: [carrying("M1", trace(4))]}
    await world.put(1, frame(session("s1", NOON)), headers=headers)
    await world.until(lambda: bool(world.lost))
    failed = world.spans.named(f"{MONTHLY} send")
    assert [(span.error, span.ended) for span in failed] == [("Interrupted", 1)]
    await world.lane.stop()
    await world.start()
    await world.put(0, NOW, frame(session("s1", NOON)), headers=headers)
    await world.applied(2)
    await world.lane.stop()
    first, second = world.spans.named("events process")
    assert first.parent == second.parent == trace(4)
    _, send = world.spans.named(f"{MONTHLY} send")
    assert send.parent == second.trace
    assert set(world.parents()) == {send.trace.traceparent}


async def test_an_event_that_changes_nothing_leaves_its_trace_to_no_other_result():
    """A record that was read twice: its second trace ends where it was applied."""
    world = await World().start()
    await world.put(
        0, NOW, frame(session("s1", NOON)), frame(session("s1", NOON)), headers={2: [carrying("M1", trace(5))]}
    )
    await world.applied(3)
    shown = len(world.parents())
    await world.put(3, frame(session("s1", NOON)), headers={3: [carrying("M1", trace(6))]})
    await world.applied(4)
    assert len(world.parents()) == shown
    await world.put(4, frame(session("s2", NOON), offset=4))
    await world.applied(5)
    await world.lane.stop()
    assert len(world.parents()) > shown
    assert set(world.parents()[shown:]) == {None}


async def test_no_more_traces_wait_than_a_row_and_a_span_have_room_for():
    world = await World().start()
    headers = [carrying("M1", trace(number)) for number in range(1, TRACES_MAX + 31)]
    await world.put(0, NOW, frame(session("s1", NOON)), headers={1: headers[:100]})
    await world.put(2, frame(session("s2", NOON), offset=2), headers={2: headers[100:]})
    await world.applied(3)
    await world.lane.stop()
    assert len(world.spans.named("events process")) == TRACES_MAX + 30
    assert all(len(send.links) < TRACES_MAX for send in world.spans.named(f"{MONTHLY} send"))


@pytest.mark.parametrize("traces", [False, True])
async def test_untraced_frames_are_committed_as_where_nobody_traces(traces):
    """Byte by byte; and a worker that does not trace leaves headers alone."""
    world = await World(traces=traces).start()
    headers = {} if traces else {1: [carrying("M1", Trace(PARENT))]}
    await world.put(0, NOW, frame(session("s1", NOON)), headers=headers)
    await world.applied(2)
    await world.lane.stop()
    assert set(world.parents()) == {None}
    assert all(TRACES not in commit.rows for commit in world.log.commits)
    assert world.spans.all == []

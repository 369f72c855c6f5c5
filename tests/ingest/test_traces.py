"""Traces in ingest: a span for each sampled record, and frames that carry the traces of their own events."""

import json

import pytest

from stream_app.formats.frames import EVENTS_MAX, decode_frame
from stream_app.formats.limits import RECORD_BYTES_MAX, VALUE_BYTES_MAX
from stream_app.formats.traces import TRACES_MAX, carried
from stream_app.ingest.ingest import Ingest, IngestConf
from stream_app.ports.records import Batch
from stream_app.ports.tracing import Place, Tracing
from stream_app.sources.registry import CDRS, SESSIONS
from tests.support.tracing import PARENT, TRACE_ID, KeptSpans

NOW_MS = 1_795_500_000_000
TOPIC = "charging.sessions"
SAMPLED = [("traceparent", PARENT.encode()), ("tracestate", b"a=1")]


class Appender:
    """Keeps what is appended: (topic, partition) -> records. `fails`: what it raises of records with headers."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.records, self.fails = {}, fails

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def partitions(self, topic):
        return 1

    async def append(self, records):
        if self.fails and any(headers for some in records.values() for _, _, headers in some):
            raise self.fails
        for at, some in records.items():
            self.records.setdefault(at, []).extend(some)
        return NOW_MS

    @property
    def frames(self):
        """Frames that hold events, and their headers."""
        all_ = [record for (topic, _), some in self.records.items() if topic == "events" for record in some]
        return [(frame, headers) for _, frame, headers in all_ if decode_frame(frame)[1]]


def session(n: int, operator: str = "M1", **fields: object) -> bytes:
    said = {"session_id": f"s{n}", "operator_id": operator, "status": "ACTIVE", "started_at": NOW_MS} | fields
    return json.dumps(said).encode()


async def taken(values, headers, *, spans=None, appender=None):
    """(spans, appender) after these values, at offsets from 100 on in two batches; `headers` by index."""
    spans, appender = spans or KeptSpans(), appender or Appender()
    conf = IngestConf({TOPIC: SESSIONS, "ocpi.cdrs": CDRS}, "events", 2, "dead-letters", {}, 13, False, 30_000)
    ingest = Ingest(conf, appender, lambda: NOW_MS / 1000, tracing=Tracing(spans, "the group"))
    await ingest.start()
    batches, half = [], (len(values) + 1) // 2
    for some in (range(half), range(half, len(values))):
        if some:
            offsets = [100 + index for index in some]
            by_offset = {100 + index: headers[index] for index in some if index in headers}
            made = [values[index] for index in some]
            batches.append(
                Batch([None] * len(some), made, offsets, [NOW_MS] * len(some), offsets[-1] + 1, -1, by_offset)
            )
    await ingest.take(TOPIC, 4, batches)
    return spans, appender


async def test_a_sampled_record_has_a_span_and_its_frame_carries_it_on():
    spans, appender = await taken([session(0), session(1), session(2)], {1: SAMPLED})
    (span,) = spans.all
    assert (span.what, span.at) == (f"{TOPIC} process", Place(TOPIC, 4, 101))
    assert (span.parent.traceparent, span.parent.tracestate) == (PARENT, "a=1")
    assert (span.ended, span.error) == (1, "")
    ((_, headers),) = appender.frames
    assert carried(headers) == [("M1", span.trace)]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {1: [("traceparent", PARENT[:-1].encode() + b"0")]},
        {1: [("traceparent", b"nonsense")]},
        {1: [("else", None)]},
    ],
)
async def test_records_that_are_not_sampled_change_nothing(headers):
    """Malformed contexts are ignored: no dead letter, and frames as they are where nobody traces."""
    values = [session(n) for n in range(3)]
    spans, traced = await taken(values, headers)
    _, sampler_off = await taken(values, {1: SAMPLED}, spans=KeptSpans(samples=False))
    _, plain = await taken(values, {})
    assert spans.all == []
    assert traced.records == sampler_off.records == plain.records
    assert {at[0] for at in traced.records} == {"events"}


async def test_each_of_several_frames_has_the_traces_of_its_own_events():
    """A fetch of 2,500 events of two operators in two partitions: each trace lies with its event, once."""
    values = [session(n, f"M{n % 5}") for n in range(2 * EVENTS_MAX + 500)]
    headers = dict.fromkeys(range(0, len(values), 31), SAMPLED)
    spans, appender = await taken(values, headers)
    assert len(appender.frames) > 2
    assert len(spans.all) == len(headers) < TRACES_MAX
    found = {}
    for frame, some in appender.frames:
        inside = {(part.operator, entity) for part in decode_frame(frame)[1] for entity in part.ids}
        for operator, trace in carried(some):
            found[trace] = operator, inside
    assert len(found) == len(spans.all)
    for span in spans.all:
        index = span.at.offset - 100
        operator, inside = found[span.trace]
        assert operator == f"M{index % 5}"
        assert (operator, b"s%d" % index) in inside


async def test_the_traces_of_a_frame_are_so_few_that_a_record_has_room_for_them():
    long = [("traceparent", PARENT.encode()), ("tracestate", b"a=" + b"1" * 510)]
    operator = "\U0001f600" * 200
    values = [session(n, operator) for n in range(EVENTS_MAX)]
    spans, appender = await taken(values, dict.fromkeys(range(EVENTS_MAX), long))
    ((_, headers),) = appender.frames
    assert len(headers) == TRACES_MAX < len(spans.all) == EVENTS_MAX
    room = RECORD_BYTES_MAX - VALUE_BYTES_MAX
    assert sum(len(name) + len(value) for name, value in headers) < room - 100_000


async def test_what_comes_of_a_record_is_said_of_its_span():
    spans, appender = await taken([b"{", session(1)], {0: SAMPLED, 1: SAMPLED})
    assert [(span.error, span.ended) for span in spans.all] == [("not_json", 1), ("", 1)]
    assert ("dead-letters", 0) in appender.records
    ((_, headers),) = appender.frames
    assert len(carried(headers)) == 1
    spans = KeptSpans()
    with pytest.raises(OSError, match="away"):
        await taken([session(0)], {0: SAMPLED}, spans=spans, appender=Appender(OSError("away")))
    assert [(span.error, span.ended) for span in spans.all] == [("OSError", 1)]
    assert spans.all[0].trace.traceparent.split("-")[1] == TRACE_ID

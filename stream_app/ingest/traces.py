"""Traces in ingest: a span for each source record that is sampled, and the headers by which the frames of its events carry the trace on."""

import time
from collections.abc import Mapping, Sequence
from itertools import accumulate

from stream_app.formats.frames import decode_frame
from stream_app.formats.traces import TRACES_MAX, carrying, sampled
from stream_app.ports.records import Headers
from stream_app.ports.tracing import Place, Span, Tracing


def begun(
    tracing: Tracing, topic: str, partition: int, offsets: Sequence[int], headers: Mapping[int, Headers]
) -> dict[int, Span]:
    """Spans of the sampled ones of some records, by index. `headers`: of those that have any, by offset."""
    found, now_ns = {}, time.time_ns()
    for index, offset in enumerate(offsets):
        if (some := headers.get(offset)) and (parent := sampled(some)):
            span = tracing.spans.process(Place(topic, partition, offset), tracing.consumer_group, parent, now_ns)
            if span is not None:
                found[index] = span
    return found


def carried_on(
    spans: Mapping[int, Span], events: Sequence[tuple[str, Sequence[int]]], frames: Sequence[bytes]
) -> list[Headers]:
    """Headers of frames, each with the traces of its own events, TRACES_MAX at most.

    `spans`: by index of the source record; `events`: operators, and indexes of the records of their events, in the order in which the frames hold them.
    """
    ends = list(accumulate(sum(len(part.ids) for part in decode_frame(frame)[1]) for frame in frames))
    # By frame, in order and each once.
    found: list[dict[tuple[str, bytes | None], None]] = [{} for _ in frames]
    number = at = 0
    for operator, indexes in events:
        for index in indexes:
            while number >= ends[at]:
                at += 1
            if (span := spans.get(index)) is not None and len(found[at]) < TRACES_MAX:
                found[at][carrying(operator, span.trace)] = None
            number += 1
    return [list(headers) for headers in found]

"""Traces of one partition: from the headers of its frames to the results that their events changed.

A result sums up many records. So a record of a results topic carries the trace of the latest sampled event of its operator that came since the operator
was published last, and the span of its sending is linked to all of them. What is not published yet is a row, in the transaction that holds
the events: who takes the partition over goes on with it.
"""

from collections.abc import Callable, Mapping

from stream_app.formats import rows
from stream_app.formats.traces import (
    TRACES_MAX,
    Trace,
    carried,
    decode_unpublished,
    encode_unpublished,
    trace_headers,
)
from stream_app.ports.records import Headers, Record
from stream_app.ports.tracing import Place, Span, Tracing


class Traces:
    """The traces of an events partition. `row`: what the store has, `offset`: of the Position beside it."""

    def __init__(self, tracing: Tracing, topic: str, partition: int, row: bytes | None, offset: int) -> None:
        self._tracing, self._topic, self._partition = tracing, topic, partition
        self._unpublished = decode_unpublished(row, offset)
        self._has_row = row is not None
        self._arrived: dict[int, list[tuple[str, Trace]]] = {}  # by offset of the frame, until it is applied
        self._sending: dict[tuple[str, str], tuple[Span | None, list[int]]] = {}  # by operator and topic; records of it

    def arrived(self, headers: Mapping[int, Headers], first: int) -> None:
        """Frames from an offset on are queued. `headers`: by offset, of those that have any."""
        for offset, some in headers.items():
            if offset >= first and (traces := carried(some)):
                self._arrived[offset] = traces

    def applied(self, first: int, end: int, began_ns: int) -> None:
        """The frames of these offsets are applied, since a time in nanoseconds since 1970."""
        for offset in range(first, end) if self._arrived else ():
            for operator, parent in self._arrived.pop(offset, ()):
                at = Place(self._topic, self._partition, offset)
                span = self._tracing.spans.process(at, self._tracing.consumer_group, parent, began_ns)
                if span is not None:
                    span.end()
                    self._add(operator, span.trace)

    def _add(self, operator: str, trace: Trace) -> None:
        self._unpublished.setdefault(operator, []).append(trace)
        if sum(map(len, self._unpublished.values())) > TRACES_MAX:
            oldest = next(iter(self._unpublished))
            self._unpublished[oldest].pop(0)
            if not self._unpublished[oldest]:
                del self._unpublished[oldest]

    def marked(self, topic: str, operator: str, records: list[Record]) -> list[Record]:
        """Records of results of an operator, with the trace that they go on with, if there is one."""
        traces = self._unpublished.get(operator)
        if not traces:
            return records
        if (operator, topic) not in self._sending:
            self._sending[operator, topic] = self._tracing.spans.send(topic, traces[-1], traces[:-1]), []
        span, counts = self._sending[operator, topic]
        counts.append(len(records))
        if span is None:
            return records
        own = trace_headers(span.trace)
        return [record._replace(headers=record.headers + own) for record in records]

    def published(self, waits: Callable[[str], bool]) -> None:
        """All results are published, but those of operators of which somebody knows that their events wait to be applied."""
        self._unpublished = {operator: some for operator, some in self._unpublished.items() if waits(operator)}

    def frozen(self, offset: int) -> tuple[dict[bytes, bytes], list[Span]]:
        """What a transaction holds beside a Position of this offset: changed rows; and the spans of what it sends, which end with it."""
        sending, self._sending = self._sending, {}
        spans = []
        for span, counts in sending.values():
            if span is not None:
                span.count(sum(counts))
                spans.append(span)
        if not self._unpublished and not self._has_row:
            return {}, spans
        self._has_row = bool(self._unpublished)
        row = encode_unpublished(offset, self._unpublished) if self._unpublished else rows.DELETED
        return {rows.TRACES: row}, spans

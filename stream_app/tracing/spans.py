"""Spans of OpenTelemetry, by the semantic conventions of messaging, exported by OTLP over HTTP.

The variables of OpenTelemetry (OTEL_EXPORTER_OTLP_…, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_BSP_…, OTEL_TRACES_SAMPLER, OTEL_SDK_DISABLED) say where
spans go and how; its own classes read them. A thread of its own exports: a collector that is away costs spans, and nothing waits for it.
"""

import logging
import threading
from collections.abc import Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Span as OpenTelemetrySpan

from stream_app.formats.traces import Trace
from stream_app.ports.tracing import Place

_SCOPE: Final = "stream_app"
_UNNAMED: Final = "unknown_service"  # how OpenTelemetry begins the name of a service that has none
_CLOSE_S: Final = 3.0
_KAFKA: Final = {"messaging.system": "kafka"}

logging.getLogger("opentelemetry.trace.span").setLevel(
    logging.ERROR
)  # it warns of each malformed tracestate, which others write


class TracedSpan:
    """A span of OpenTelemetry (ports.tracing.Span)."""

    def __init__(self, span: OpenTelemetrySpan) -> None:
        self._span = span
        context = span.get_span_context()
        parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
        self.trace = Trace(parent, context.trace_state.to_header())

    def count(self, messages: int) -> None:
        """Say how many records it sends."""
        self._span.set_attribute("messaging.batch.message_count", messages)

    def fail(self, error: str) -> None:
        """Say that it failed, and by what kind of error."""
        self._span.set_attribute("error.type", error)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        """It is done."""
        self._span.end()


class TracedSpans:
    """Begins spans of this process (ports.tracing.Spans). `service`: its name, where the environment gives none; `exporter`: in place of OTLP's."""

    def __init__(self, service: str, exporter: SpanExporter | None = None) -> None:
        resource = Resource.create()
        if str(resource.attributes[SERVICE_NAME]).startswith(_UNNAMED):
            resource = resource.merge(Resource({SERVICE_NAME: service}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(_SCOPE)

    def process(self, at: Place, consumer_group: str, parent: Trace, began_ns: int) -> TracedSpan | None:
        """A record that a consumer group read is worked on since a time, in nanoseconds since 1970."""
        span = self._tracer.start_span(
            f"{at.topic} process",
            set_span_in_context(NonRecordingSpan(_context(parent))),
            SpanKind.CONSUMER,
            _KAFKA
            | {
                "messaging.operation.name": "process",
                "messaging.operation.type": "process",
                "messaging.destination.name": at.topic,
                "messaging.destination.partition.id": str(at.partition),
                "messaging.kafka.offset": at.offset,
                "messaging.consumer.group.name": consumer_group,
            },
            start_time=began_ns,
        )
        return _sampled(span)

    def send(self, topic: str, parent: Trace, links: Sequence[Trace]) -> TracedSpan | None:
        """Records that follow from what was worked on, the last of it the parent, are sent to a topic."""
        span = self._tracer.start_span(
            f"{topic} send",
            set_span_in_context(NonRecordingSpan(_context(parent))),
            SpanKind.PRODUCER,
            _KAFKA
            | {
                "messaging.operation.name": "send",
                "messaging.operation.type": "send",
                "messaging.destination.name": topic,
            },
            [Link(_context(link)) for link in links],
        )
        return _sampled(span)

    def close(self) -> None:
        """Export what is there, in bounded time: a collector that does not answer holds up no worker's end."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_CLOSE_S)


def _sampled(span: OpenTelemetrySpan) -> TracedSpan | None:
    return TracedSpan(span) if span.is_recording() and span.get_span_context().trace_flags.sampled else None


def _context(trace: Trace) -> SpanContext:
    _, trace_id, span_id, flags = trace.traceparent.split("-")
    state = TraceState.from_header([trace.tracestate])
    return SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(int(flags, 16)), state)

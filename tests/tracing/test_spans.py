"""Spans as OpenTelemetry exports them: names and attributes of its conventions for messaging, parents and links."""

import os
import socket
import subprocess
import sys

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from config.settings import ROOT, load
from stream_app.cli.worker import _spans
from stream_app.formats.traces import Trace, sampled, trace_headers
from stream_app.local.errors import LocalError
from stream_app.ports.tracing import Place
from stream_app.tracing.spans import TracedSpans
from tests.support.tracing import PARENT, TRACE_ID, collector

BEGAN_NS = 1_795_500_000_000_000_000


@pytest.fixture
def exported():
    """Spans, and a function that gives what they have exported."""
    kept = InMemorySpanExporter()
    spans = TracedSpans("crm-stats", kept)

    def close():
        spans.close()
        return kept.get_finished_spans()

    yield spans, close
    spans.close()


def test_a_record_that_is_worked_on(exported):
    spans, close = exported
    span = spans.process(Place("charging.payments", 3, 77), "the group", Trace(PARENT, "a=1"), BEGAN_NS)
    span.fail("not_json")
    span.end()
    (found,) = close()
    assert (found.name, found.kind) == ("charging.payments process", SpanKind.CONSUMER)
    assert dict(found.attributes) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "charging.payments",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 77,
        "messaging.consumer.group.name": "the group",
        "error.type": "not_json",
    }
    assert (found.start_time, found.status.status_code) == (BEGAN_NS, StatusCode.ERROR)
    assert f"{found.parent.span_id:016x}" == PARENT.split("-")[2]
    assert f"{found.context.trace_id:032x}" == TRACE_ID
    assert span.trace.tracestate == "a=1"
    assert sampled(trace_headers(span.trace)) == span.trace


def test_results_that_are_sent(exported):
    spans, close = exported
    other = Trace(f"00-{'1' * 32}-{'2' * 16}-01")
    span = spans.send("crm-stats.monthly.v1", Trace(PARENT, "not a state"), [other])
    span.count(3)
    span.end()
    (found,) = close()
    assert (found.name, found.kind) == ("crm-stats.monthly.v1 send", SpanKind.PRODUCER)
    assert found.attributes["messaging.batch.message_count"] == 3
    assert found.attributes["messaging.operation.type"] == "send"
    assert [f"{link.context.trace_id:032x}" for link in found.links] == ["1" * 32]
    assert found.status.status_code == StatusCode.UNSET
    assert span.trace.tracestate == ""


@pytest.mark.parametrize(("variable", "value"), [("OTEL_TRACES_SAMPLER", "always_off"), ("OTEL_SDK_DISABLED", "true")])
def test_what_the_environment_switches_off_goes_no_further(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    kept = InMemorySpanExporter()
    spans = TracedSpans("crm-stats", kept)
    assert spans.process(Place("t", 0, 1), "g", Trace(PARENT), BEGAN_NS) is None
    spans.close()
    assert kept.get_finished_spans() == ()


@pytest.mark.parametrize(
    ("variables", "service"),
    [
        ({}, "crm-stats"),
        ({"OTEL_SERVICE_NAME": "theirs"}, "theirs"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=theirs"}, "theirs"),
    ],
)
def test_spans_go_where_the_environment_says(monkeypatch, variables, service):
    with collector() as kept:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", kept.endpoint)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        spans = TracedSpans("crm-stats")
        spans.process(Place("t", 0, 1), "g", Trace(PARENT), BEGAN_NS).end()
        spans.close()
        assert kept.services == {service}
        assert [span.name for span in kept.of(TRACE_ID)] == ["t process"]


ENDS = f"""
from stream_app.formats.traces import Trace
from stream_app.ports.tracing import Place
from stream_app.tracing.spans import TracedSpans
spans = TracedSpans("crm-stats")
spans.process(Place("t", 0, 1), "g", Trace("{PARENT}"), 1).end()
spans.close()
"""


def test_a_collector_that_does_not_answer_holds_up_no_end():
    """It takes the connection and stands still: a process that exports ends all the same."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        said = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": "3600"}
        done = subprocess.run(
            [sys.executable, "-c", ENDS], env={**os.environ, **said}, cwd=ROOT, check=False, timeout=300
        )
        assert done.returncode == 0


def test_where_opentelemetry_is_not_installed_a_worker_says_what_to_install(monkeypatch):
    assert _spans(load()) is None
    monkeypatch.setenv("STREAM_APP_TRACING", "true")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.delitem(sys.modules, "stream_app.tracing.spans")
    with pytest.raises(LocalError, match=r"an image: make image REQUIREMENTS=requirements-tracing\.lock"):
        _spans(load())

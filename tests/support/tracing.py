"""Spans that tests look at (ports.tracing.Spans), and a collector that takes what OpenTelemetry exports."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from stream_app.formats.traces import Trace
from stream_app.ports.tracing import Place

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"


@dataclass
class KeptSpan:
    """A span, and what was said of it."""

    what: str  # destination and operation
    at: Place | None
    parent: Trace
    trace: Trace
    links: list[Trace] = field(default_factory=list)
    messages: int | None = None
    error: str = ""
    ended: int = 0

    def count(self, messages: int) -> None:
        self.messages = messages

    def fail(self, error: str) -> None:
        self.error = error

    def end(self) -> None:
        self.ended += 1


class KeptSpans:
    """Keeps spans in the order of their beginnings; the span id of each is its number. `samples`: else it leaves all out."""

    def __init__(self, *, samples: bool = True) -> None:
        self.all: list[KeptSpan] = []
        self.samples = samples

    def process(self, at: Place, consumer_group: str, parent: Trace, began_ns: int) -> KeptSpan | None:
        assert consumer_group
        assert began_ns > 1_700_000_000_000_000_000
        return self._begun(f"{at.topic} process", at, parent, [])

    def send(self, topic: str, parent: Trace, links: Sequence[Trace]) -> KeptSpan | None:
        return self._begun(f"{topic} send", None, parent, list(links))

    def close(self) -> None:
        pass

    def _begun(self, what: str, at: Place | None, parent: Trace, links: list[Trace]) -> KeptSpan | None:
        if not self.samples:
            return None
        trace_id = parent.traceparent.split("-")[1]
        trace = parent._replace(traceparent=f"00-{trace_id}-{len(self.all) + 1:016x}-01")
        self.all.append(KeptSpan(what, at, parent, trace, links))
        return self.all[-1]

    def named(self, what: str) -> list[KeptSpan]:
        return [span for span in self.all if span.what == what]


class Collector:
    """The spans that arrived by OTLP over HTTP, as OTLP has them."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        self.tokens: set[str] = set()
        self.endpoint = ""

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        for of_resource in request.resource_spans:
            named = {each.key: each.value.string_value for each in of_resource.resource.attributes}
            self.services.add(named["service.name"])
            for scope in of_resource.scope_spans:
                self.spans += scope.spans

    def of(self, trace_id: str, name: str = "") -> list[Any]:
        """Spans of a trace, of all names or of one."""
        return [span for span in list(self.spans) if span.trace_id.hex() == trace_id and name in {"", span.name}]


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector on a free port of this machine."""
    kept = Collector()

    class Take(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
            kept.take(body)
            kept.tokens.add(self.headers["Authorization"] or "")
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Take)
    kept.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""Observability of requests: metrics, request ids, a log line for each failure and each slow answer.

Place: around the whole application. Invariant: neither a token nor a query string is ever logged; labels of metrics are
of closed lists, so that no caller can make the series grow.
"""

import re
import secrets
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate, count
from time import perf_counter
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream_app.api.errors import INTERNAL

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
OTHER: Final = "other"
_OWN_IDS: Final = count(secrets.randbits(64))  # of two processes, two that are equal are as rare as if each were drawn
log = structlog.get_logger(__name__)


class RequestTrace:
    """Outcome of a request, filled in by the parts that answer it."""

    __slots__ = ("answered", "code", "finished", "request_id", "route", "started", "status", "store")

    def __init__(self, request_id: bytes) -> None:
        self.request_id = request_id
        self.route = OTHER
        self.code = 0
        self.status = 0
        self.finished = False
        self.store: str | None = None
        self.started = perf_counter()
        self.answered: float | None = None  # of what goes on afterwards on purpose: when its first answer was there

    def seconds(self) -> float:
        """Seconds that the client has waited for its first answer, so far."""
        return (self.answered or perf_counter()) - self.started


class _RequestCounts:
    """Requests of one route and code: counts by bucket of seconds, and the sum of seconds."""

    __slots__ = ("by_bucket", "seconds")

    def __init__(self) -> None:
        self.by_bucket = [0] * (len(_BUCKETS) + 1)
        self.seconds = 0.0


class RequestCollector(Collector):
    """The series of requests: plain counts, for these are frequent, that become metric families at a scrape."""

    def __init__(self) -> None:
        self._counted: dict[tuple[str, int], _RequestCounts] = {}
        self._stores = {"redis": 0, "clickhouse": 0}

    def count(self, trace: RequestTrace) -> None:
        """Count an answered request."""
        found = self._counted.get((trace.route, trace.code))
        if found is None:
            found = self._counted[trace.route, trace.code] = _RequestCounts()
        seconds = trace.seconds()
        found.by_bucket[bisect_left(_BUCKETS, seconds)] += 1
        found.seconds += seconds
        if trace.store is not None:
            self._stores[trace.store] += 1

    def collect(self) -> Iterator[Metric]:
        """The series as prometheus_client exports them."""
        requests = CounterMetricFamily("crm_api_requests", "Requests answered", labels=["route", "code"])
        seconds = HistogramMetricFamily(
            "crm_api_request_seconds", "From the request's head to the answer's last byte", labels=["route", "code"]
        )
        for (route, code), found in self._counted.items():
            labels, counts = (route, str(code)), list(accumulate(found.by_bucket))
            requests.add_metric(labels, counts[-1])
            bounds = [*map(str, _BUCKETS), "+Inf"]
            seconds.add_metric(labels, list(zip(bounds, counts, strict=True)), found.seconds)
        answers = CounterMetricFamily("crm_api_answers", "Answers by the store they came from", labels=["store"])
        for store, answered in self._stores.items():
            answers.add_metric([store], answered)
        yield from (requests, seconds, answers)


class Metrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = RequestCollector()
        self.registry.register(self._requests)
        self.count = self._requests.count
        self._up = Gauge("crm_api_store_up", "1 while the store may be asked", ["store"], registry=self.registry)
        self._viewers = Gauge("crm_api_viewers", "Groups watched over open streams", registry=self.registry)

    def watch(self, store: str, up: Callable[[], bool]) -> None:
        """Export whether this store may be asked at the time of the scrape."""
        self._up.labels(store).set_function(lambda: float(up()))

    def watch_viewers(self, viewers: Callable[[], int]) -> None:
        """Export the number of viewers at the time of the scrape."""
        self._viewers.set_function(lambda: float(viewers()))


class ObservabilityMiddleware:
    """ASGI middleware: counts each request, gives it an id, and logs the failed and the slow ones."""

    def __init__(self, app: ASGIApp, metrics: Metrics, *, slow_seconds: float = 1.0) -> None:
        self._app = app
        self._metrics = metrics
        self._slow_seconds = slow_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace = scope["trace"] = RequestTrace(_request_id(scope))

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                trace.status = message["status"]
                message["headers"].append((b"x-request-id", trace.request_id))
            else:
                trace.finished = not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, named)
        except Exception:
            # The application has answered it; what could only be sent in part must end the connection.
            log.exception("fault", request_id=trace.request_id.decode(), route=trace.route)
            trace.code = INTERNAL
            if not trace.finished:
                raise
        finally:
            self._metrics.count(trace)
            self._log(trace, scope["method"])

    def _log(self, trace: RequestTrace, method: str) -> None:
        seconds = trace.seconds()
        slow = seconds > self._slow_seconds
        if trace.code == 0 and not slow:
            return
        write = log.warning if slow or trace.status >= 500 else log.info
        write(
            "slow" if slow else "refused",
            request_id=trace.request_id.decode(),
            method=method,
            route=trace.route,
            code=trace.code,
            status=trace.status,
            store=trace.store,
            ms=round(seconds * 1000, 1),
        )


def _request_id(scope: Scope) -> bytes:
    """The id that the client sent, if it is a plain one, else a new id."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    return b"%016x" % (next(_OWN_IDS) & 0xFFFF_FFFF_FFFF_FFFF)

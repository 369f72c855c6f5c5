"""Writes docs/metrics.md from the code that exposes them, so that what a metric is stands once. `make docs`; a test of the house calls --check."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "metrics.md"
sys.path.insert(0, str(ROOT))

from prometheus_client import CollectorRegistry  # noqa: E402

from stream_app.api.observe import Metrics  # noqa: E402  # after the path that it is found on
from stream_app.ingest.metrics import IngestMetrics  # noqa: E402
from stream_app.monitor.metrics import METRICS  # noqa: E402
from stream_app.partition.metrics import expose  # noqa: E402

INTRO = """# Metrics

For those who operate it. Written by `make docs` from `stream_app/monitor/metrics.py`, `stream_app/api/observe.py`, `stream_app/ingest/metrics.py` and `stream_app/partition/metrics.py`.

All are in the format of Prometheus, with HELP. Operators are never a label: there may be any number of them.

## Monitor

`http://127.0.0.1:8081/metrics` (`monitor_host`, `monitor_port`), of `stream-app monitor`. It looks each `monitor_interval_ms`. What it does not know it leaves out, rather than
say 0: the series of groups go when the cluster was not seen for 30 s, and `crm_monitor_last_look_timestamp_seconds` stands still. How each number comes about:
[operating.md](operating.md#lag-and-status).
"""

API = """
## API

`http://127.0.0.1:8080/metrics`, of each process of `stream-app api`. A stream is counted when it ends; its seconds are those until its first documents were there.
"""

WORKER = """
## Workers

`/metrics` at `worker_metrics_host` and `worker_metrics_port`, of each process of `stream-app worker`, those of ingest where it is in it; without that port there is none. They count from the worker's start,
a record when Kafka has what came of it. `topic` is a source topic.
"""


def rows(metrics: list[tuple[str, str, tuple[str, ...], str]]) -> str:
    """A table of name, type, labels and help."""
    lines = ["| metric | type | labels | what it is |", "| --- | --- | --- | --- |"]
    for name, kind, labels, text in metrics:
        lines.append(f"| `{name}` | {kind} | {' '.join(f'`{label}`' for label in labels)} | {text} |")
    return "\n".join(lines) + "\n"


def of_monitor() -> list[tuple[str, str, tuple[str, ...], str]]:
    """As the monitor exposes them."""
    return [(name, metric.kind, metric.labels, metric.help) for name, metric in METRICS.items()]


def of_api() -> list[tuple[str, str, tuple[str, ...], str]]:
    """As the API exposes them."""
    return of_registry(Metrics().registry)


def of_workers() -> list[tuple[str, str, tuple[str, ...], str]]:
    """As a worker exposes them."""
    registry = CollectorRegistry()
    IngestMetrics({}, registry)
    expose(list, registry)
    return of_registry(registry)


def of_registry(registry: CollectorRegistry) -> list[tuple[str, str, tuple[str, ...], str]]:
    """The metrics that are registered."""
    labels = {
        own._name: own._labelnames  # type: ignore[attr-defined]  # noqa: SLF001
        for own in registry._collector_to_names  # noqa: SLF001
        if hasattr(own, "_name")  # others make families, which know their labels
    }
    return [
        (
            metric.name + ("_total" if metric.type == "counter" else ""),
            metric.type,
            labels[metric.name] if metric.name in labels else tuple(metric._labelnames),  # type: ignore[attr-defined]  # noqa: SLF001
            metric.documentation,
        )
        for metric in registry.collect()
    ]


def page() -> str:
    """The page as it should be."""
    return f"{INTRO}\n{rows(of_monitor())}{API}\n{rows(of_api())}{WORKER}\n{rows(of_workers())}"


if __name__ == "__main__":
    if "--check" in sys.argv:
        if PAGE.read_text() != page():
            sys.exit("docs/metrics.md is not what the code says: make docs")
    else:
        PAGE.write_text(page())

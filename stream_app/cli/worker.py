"""`stream-app worker`: ingest and ledger of some partitions."""

from pathlib import Path
from typing import Annotated, Final

import typer

from config import settings as config
from config import source_maps
from stream_app import worker
from stream_app.cli.access import check_kafka, check_schema_registry, check_stores
from stream_app.local import ports
from stream_app.local.errors import LocalError
from stream_app.observing.record_limits import RecordLimitError
from stream_app.ports.tracing import Spans

_KAFKA_S_MAX: Final = 60.0  # that a broker may be on its way; the worker itself waits for longer


def command(
    name: Annotated[str, typer.Option(help="Names the process in logs")] = "worker",
    only: Annotated[str | None, typer.Option(help="Run one of the two apps: ingest or ledger")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Where RocksDB lives; each worker needs its own")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="Made, with the pid, when partitions are recovered")] = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Of /metrics, in place of worker_metrics_port; 0: none")
    ] = None,
) -> None:
    """Run a worker until it is told to stop; it ends with an error rather than skip anything."""
    if only not in {None, worker.INGEST, worker.LEDGER}:
        raise typer.BadParameter("ingest or ledger", param_hint="--only")
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)  # one before it may have had the same pid: a container's is 1
    settings = config.load()
    source_maps.teams(settings)
    port = settings.worker_metrics_port if metrics_port is None else metrics_port
    if port and settings.worker_metrics_host == ports.HOST and not ports.is_free(port):
        raise LocalError(f"{ports.HOST}:{port} is in use: stop what listens there, or choose another --metrics-port.")
    spans = _spans(settings)
    check_stores(settings, "worker")
    check_schema_registry(settings)
    check_kafka(settings, "worker", seconds_max=_KAFKA_S_MAX)
    try:
        worker.run(settings, state_dir or settings.state_dir / name, only, ready_file, port, spans)
    except RecordLimitError as error:
        raise LocalError(str(error)) from error


def _spans(settings: config.Settings) -> Spans | None:
    """Where traces are followed, what exports their spans: the one place that imports OpenTelemetry. `Raises` LocalError where it is not installed."""
    if not settings.tracing:
        return None
    try:
        from stream_app.tracing.spans import TracedSpans  # noqa: PLC0415  # an extra of the installation
    except ModuleNotFoundError as error:
        raise LocalError(
            f"the setting `tracing` needs OpenTelemetry ({error}): install requirements-tracing.lock (an image: "
            "make image REQUIREMENTS=requirements-tracing.lock)."
        ) from None
    return TracedSpans(settings.app_id)

"""`stream-app worker`: ingest and ledger of some partitions."""

from pathlib import Path
from typing import Annotated

import typer

from config import settings as config
from stream_app import worker


def command(
    name: Annotated[str, typer.Option(help="Names the process in logs")] = "worker",
    only: Annotated[str | None, typer.Option(help="Run one of the two apps: ingest or ledger")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Where RocksDB lives; each worker needs its own")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="Made, with the pid, when partitions are recovered")] = None,
) -> None:
    """Run a worker until it is told to stop; it ends with an error rather than skip anything."""
    if only not in {None, worker.INGEST, worker.LEDGER}:
        raise typer.BadParameter("ingest or ledger", param_hint="--only")
    settings = config.load()
    worker.run(settings, state_dir or settings.state_dir / name, only, ready_file)

"""`stream-app api` as a process on a free port."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from config.settings import ROOT
from stream_app.local.ports import free_port
from tests.support.api import SECRET
from tests.support.waiting import wait_until

# Where nobody listens: at the usual ports somebody's own may.
NO_STORES = {"REDIS_URL": "redis://127.0.0.1:1/0", "CLICKHOUSE_URL": "clickhouse://127.0.0.1:1"}


def run(port: int, stderr: int | IO[bytes] = subprocess.PIPE, **environment: str) -> subprocess.Popen[str]:
    """The process, started; `environment` goes before that of the tests."""
    return subprocess.Popen(
        [sys.executable, "-c", "from stream_app.cli import main; main()", "api"],
        cwd=ROOT,
        env=os.environ | {"STREAM_APP_API_PORT": str(port)} | NO_STORES | environment,
        stderr=stderr,
        text=True,
    )


@contextmanager
def served(log: Path, **environment: str) -> Iterator[str]:
    """The address of a process that is ready; it logs to this file."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with log.open("wb") as file:
        process = run(port, file, **({"STREAM_APP_JWT_SECRET": SECRET} | environment))

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=5):
                return True
        except OSError:
            return False

    try:
        wait_until("the API is ready", ready)
        yield address
    finally:
        process.terminate()
        process.wait(30)

"""The whole local stack: what `up` starts, in which order `down` stops it, what `clean` drops.

Order: servers, topics, then workers and what stands beside them; down in reverse. Invariant: repeating `up` changes nothing
that runs as it was asked for, and starts again what died or was started differently. Must not read settings.
"""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from stream_app.access.tls import client_context
from stream_app.local import ports
from stream_app.local.errors import LocalError
from stream_app.local.processes import Running, child_env, find, start, stop, wait_ready
from stream_app.local.run_folder import RunFolder
from stream_app.local.servers import SERVERS

APP_STOP_SECONDS_MAX = 30.0
SERVER_STOP_SECONDS_MAX = 30.0


@dataclass(frozen=True, slots=True)
class App:
    """A process of ours beside the servers. `note` tells one way to start it from another; `ready` says when it serves."""

    name: str
    command: Sequence[str | Path]
    note: str
    ready: Callable[[], bool]


def start_apps(run: RunFolder, apps: Sequence[App], *, env: Mapping[str, str], cwd: Path) -> None:
    """Start what does not run, or runs differently, all side by side; return when all are ready."""
    started: list[tuple[Running, App]] = []
    changed = [one for app in apps if (one := find(run, app.name)) and one.note != app.note]
    if changed:
        print("Starting again with changed settings: " + ", ".join(one.name for one in changed), file=sys.stderr)
        stop(run, changed, seconds_max=APP_STOP_SECONDS_MAX)
    for app in apps:
        running = find(run, app.name)
        if running is None:
            run.ready_file(app.name).unlink(missing_ok=True)
            running = start(run, app.name, app.command, note=app.note, env=child_env(**env), cwd=cwd)
        started.append((running, app))
    for running, app in started:
        wait_ready(run, running, app.ready)


def worker_ready(run: RunFolder, name: str) -> Callable[[], bool]:
    """A worker is ready when its ready file holds the pid of its process."""

    def ready() -> bool:
        running = find(run, name)
        try:
            return running is not None and run.ready_file(name).read_text().strip() == str(running.process.pid)
        except FileNotFoundError:
            return False

    return ready


def answers_http(url: str, token: str | None = None, cafile: str = "") -> Callable[[], bool]:
    """Ready when a GET of this address of loopback, with the token if there is one, is answered with 200.

    `cafile`: CA of an https address; "": those that the machine trusts.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    trusted = client_context(cafile) if url.startswith("https:") else False

    def ready() -> bool:
        try:
            return (
                httpx.get(url, headers=headers, timeout=5, trust_env=False, verify=trusted).status_code
                == httpx.codes.OK
            )
        except httpx.HTTPError:
            return False

    return ready


def check_port(run: RunFolder, name: str, port: int, advice: str) -> None:
    """`Raises` LocalError when the process of this name would start on a port that somebody else has."""
    if find(run, name) is None and not ports.is_free(port):
        raise LocalError(f"Port {port} is taken by {_holder(port)}: stop it, or {advice}.")


def down(run: RunFolder) -> list[str]:
    """Stop all that has a pid file here, servers last; return the names of what was stopped. Data stays."""
    servers = {server.name for server in SERVERS}
    running = [one for name in run.names() if (one := find(run, name))]
    stop(run, [one for one in running if one.name not in servers], seconds_max=APP_STOP_SECONDS_MAX)
    stop(run, [one for one in running if one.name in servers], seconds_max=SERVER_STOP_SECONDS_MAX)
    for name in run.names():  # of processes that had ended by themselves
        run.forget(name)
    return [one.name for one in running]


def drop_data(run: RunFolder) -> None:
    """Drop what servers and workers stored; addresses, the secret, logs and downloads stay."""
    for folder in (run.data, run.state):
        if folder.exists():
            shutil.rmtree(folder)


def _holder(port: int) -> str:
    """Name of the process that listens on a port, where the system tells."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"another program ({psutil.Process(connection.pid).name()}, pid {connection.pid})"
    except psutil.Error:
        pass
    return "another program"

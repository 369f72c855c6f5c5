"""The three servers of a stack: each given by address, or running already, or started here.

Invariant: a server is used only if its address was given, or if a pid file of this run folder proves that we started it;
whoever else listens on its port is left alone, and a free port is taken instead.
"""

import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from stream_app.local import clickhouse_server, downloads, kafka_server, ports, redis_server
from stream_app.local.errors import LocalError
from stream_app.local.processes import Running, find, stop
from stream_app.local.run_folder import RunFolder

ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Server:
    """How to start one server; `variable` holds its address in the environment and in the run folder's `env`."""

    name: str
    variable: str
    port: int
    launch: Callable[[RunFolder, int], Running]
    answers: Callable[[str], bool]


SERVERS = (
    Server("kafka", "KAFKA_BOOTSTRAP_SERVERS", kafka_server.PORT, kafka_server.launch, kafka_server.answers),
    Server("redis", "REDIS_URL", redis_server.PORT, redis_server.launch, redis_server.answers),
    Server("clickhouse", "CLICKHOUSE_URL", clickhouse_server.PORT, clickhouse_server.launch, clickhouse_server.answers),
)


def start_servers(run: RunFolder, given: Mapping[str, str], *, default_ports: bool = True) -> dict[str, str]:
    """Start what was not given by address and does not run; return variable -> address of all three.

    Without `default_ports` any free ones are taken, so that a stack of tests is in nobody's way.
    """
    missing = [server for server in SERVERS if server.variable not in given]
    if missing:
        downloads.check_system()
    before = run.read_env()
    with ThreadPoolExecutor(len(SERVERS)) as pool:
        waiting = {
            server.variable: pool.submit(start_server, run, server, before.get(server.variable), default_ports)
            for server in missing
        }
    return {**given, **{variable: future.result() for variable, future in waiting.items()}}


def start_server(run: RunFolder, server: Server, address_before: str | None, default_ports: bool) -> str:
    """The address of this server, running and answering."""
    if running := find(run, server.name):
        if server.answers(running.note):
            return running.note
        stop(run, [running], seconds_max=10)
    ours = _loopback_port(address_before)
    wanted = ours or (server.port if default_ports else ports.free_port())
    for attempt in range(ATTEMPTS):
        port = wanted if attempt == 0 and ports.is_free(wanted) else ports.free_port()
        try:
            running = server.launch(run, port)
        except LocalError:
            # Between looking and listening another may have taken the port; all else fails again the same way.
            if failed := find(run, server.name):
                stop(run, [failed], seconds_max=10)
            if attempt == ATTEMPTS - 1 or ports.is_free(port):
                raise
            continue
        if port != wanted:
            print(f"Port {wanted} is busy: {server.name} listens on {port}", file=sys.stderr)
        return running.note
    raise AssertionError("the loop returns or raises")


def _loopback_port(address: str | None) -> int | None:
    """The port of an address of loopback: a server started anew keeps it, so that its clients find it again."""
    if address is None:
        return None
    parts = urlsplit(address if "://" in address else f"kafka://{address}")
    return parts.port if parts.hostname == ports.HOST else None

"""One run: a broker, all cases side by side on it, all tools at once. Bounded: every process is ended with the context, by its pid.

Order: the groups join, the tools begin, all is well for `warm_up_s`, the events come, and are watched for `observe_s`.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from bench.compare import programs
from bench.compare.burrow import Burrow, refusals, start_zookeeper
from bench.compare.cases import CASES, Case
from bench.compare.console import Console
from bench.compare.driver import Driver
from bench.compare.ours import Ours
from bench.compare.reading import Reading
from bench.compare.stored import Rules
from bench.stack import make_coordinators
from config.settings import LIB, RUN
from stream_app.local import ports
from stream_app.local.lock import alone
from stream_app.local.processes import child_env, start, wait_ready
from stream_app.local.run_folder import RunFolder
from stream_app.local.servers import SERVERS, start_server
from stream_app.local.stack import answers_http, down, drop_data

WARM_UP_S: Final = 60.0
OBSERVE_S: Final = 150.0
DEBIAN: Final = "burrow-debian"
GIVEN: Final = "burrow"
_DEBIAN_KAFKA: Final = "2.1.0"  # the newest that it knows
_GIVEN_KAFKA: Final = "3.6.0"


class Program(NamedTuple):
    """A program that the caller has."""

    version: str
    path: Path


@dataclass(frozen=True, slots=True)
class Found:
    """What came out. `said`: tool -> group -> readings; tools are `ours`, `console`, `burrow`, `burrow-debian`, `burrow-rule`, `exporter`."""

    driven: Sequence[tuple[Case, Driver]]
    said: dict[str, dict[str, list[Reading]]]
    console_s: float  # that an answer took
    debian_reads: bool
    debian_why: Sequence[str]


@contextmanager
def drivers(servers: str, cases: Sequence[Case]) -> Iterator[list[tuple[Case, Driver]]]:
    """All cases, whose groups have joined; ended with the context. `Raises` LocalError when one can't be driven."""
    driven = [(case, case.driver(case.name, servers)) for case in cases]
    try:
        for _, driver in driven:
            driver.start()
        for _, driver in driven:
            driver.joined.wait()
            driver.check()
        yield driven
    finally:
        for _, driver in driven:
            driver.end()


def observe(driven: Sequence[tuple[Case, Driver]], warm_up_s: float, observe_s: float) -> None:
    """Let all be well, then let the events come, and wait. `Raises` LocalError when a driver fails."""
    _wait(driven, warm_up_s)
    for _, driver in driven:
        driver.let_happen()
    _wait(driven, observe_s)


def _wait(driven: Sequence[tuple[Case, Driver]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for _, driver in driven:
            driver.check()
        time.sleep(0.2)


def run(given: Program | None) -> Found:
    """All of it. `Raises` LocalError."""
    folder = RunFolder(RUN, LIB)
    with alone(folder), ExitStack() as ending:
        _clean(folder)
        ending.callback(_clean, folder)
        kafka = start_server(folder, SERVERS[0], None, default_ports=False)
        make_coordinators(kafka)
        _say("the groups join")
        driven = ending.enter_context(drivers(kafka, CASES))
        groups = [driver.group for _, driver in driven]
        zookeeper = start_zookeeper(folder)
        burrows = {DEBIAN: Burrow(folder, DEBIAN, programs.burrow(folder.lib), kafka, _DEBIAN_KAFKA, zookeeper, groups)}
        if given is not None:
            burrows[GIVEN] = Burrow(folder, GIVEN, given.path, kafka, _GIVEN_KAFKA, zookeeper, groups)
        ours = Ours(_start_monitor(folder, kafka), groups)
        console = Console(kafka, folder.lib, groups)
        rules = Rules(kafka, {driver.group: driver.topic for _, driver in driven})
        tools: list[Ours | Console | Rules | Burrow] = [ours, console, rules, *burrows.values()]
        for tool in tools:
            tool.start()
        _say(f"watching for {WARM_UP_S + OBSERVE_S:.0f} s")
        observe(driven, WARM_UP_S, OBSERVE_S)
        for tool in tools:
            tool.end()
        debian = burrows[DEBIAN]
        return Found(
            driven,
            {
                "ours": ours.readings,
                "console": console.readings,
                "burrow-rule": rules.readings["burrow"],
                "exporter": rules.readings["exporter"],
                **{name: one.readings for name, one in burrows.items()},
            },
            sum(console.took_s) / len(console.took_s),
            debian.reads(),
            [*refusals(folder.log_file("kafka")), *debian.complaints()],
        )


def _start_monitor(folder: RunFolder, kafka: str) -> int:
    """Its port."""
    port = ports.free_port()
    env = child_env(
        KAFKA_BOOTSTRAP_SERVERS=kafka,
        STREAM_APP_MONITOR_PORT=str(port),
        STREAM_APP_MONITOR_GROUPS=json.dumps(["compare-.*"]),
    )
    command: list[str | Path] = [Path(sys.executable).parent / "stream-app", "monitor"]
    running = start(folder, "monitor", command, note="compare", env=env, cwd=folder.root)
    wait_ready(folder, running, answers_http(f"http://{ports.HOST}:{port}/healthz"), 60)
    return port


def _clean(folder: RunFolder) -> None:
    down(folder)
    drop_data(folder)


def _say(text: str) -> None:
    print(f"compare: {text}", file=sys.stderr, flush=True)

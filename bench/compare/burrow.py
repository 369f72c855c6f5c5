"""Burrow, run as its manual says: a ZooKeeper that it asks for, a configuration, its HTTP interface. Whether it can read this Kafka, it shows.

Its sizes are those of its manual: ten commits, a second or more apart. Ends are fetched each second instead of each thirty, so that it is not
slower than it must be.
"""

import json
import re
import socket
import threading
import time
from pathlib import Path
from typing import Final

from bench.compare import programs
from bench.compare.driver import now_ms
from bench.compare.loopback import get
from bench.compare.reading import Reading
from stream_app.local import downloads, ports
from stream_app.local.processes import child_env, start, stop, wait_ready
from stream_app.local.run_folder import RunFolder

_EVERY_S: Final = 1.0
_STOP_SECONDS_MAX: Final = 10.0

_ZOOKEEPER: Final = """tickTime=2000
dataDir={data}
clientPort={port}
clientPortAddress=127.0.0.1
admin.enableServer=false
4lw.commands.whitelist=srvr
"""

_BURROW: Final = """[general]
pidfile="{folder}/burrow.pid"
[logging]
filename="{folder}/burrow.log"
level="info"
[zookeeper]
servers=["127.0.0.1:{zookeeper}"]
timeout=6
root-path="/{name}"
[client-profile.compare]
client-id="compare"
kafka-version="{kafka_version}"
[cluster.local]
class-name="kafka"
servers=["{kafka}"]
client-profile="compare"
topic-refresh=5
offset-refresh=1
[consumer.local]
class-name="kafka"
cluster="local"
servers=["{kafka}"]
client-profile="compare"
[httpserver.default]
address="127.0.0.1:{port}"
[storage.default]
class-name="inmemory"
workers=4
intervals=10
min-distance=1
"""


def start_zookeeper(run: RunFolder) -> int:
    """On a free port, which is returned."""
    port, jars, java = ports.free_port(), programs.zookeeper(run.lib), downloads.java(run.lib)
    run.conf.mkdir(parents=True, exist_ok=True)
    conf = run.conf / "zookeeper.properties"
    conf.write_text(_ZOOKEEPER.format(data=run.data / "zookeeper", port=port))
    command: list[str | Path] = [
        str(java),
        "-Xmx64m",
        "-cp",
        f"{jars}/*",
        "org.apache.zookeeper.server.quorum.QuorumPeerMain",
        conf,
    ]
    running = start(run, "zookeeper", command, note="compare", env=child_env(), cwd=run.root)
    wait_ready(run, running, lambda: _serves(port), 60)
    return port


def _serves(port: int) -> bool:
    """ZooKeeper listens before it serves."""
    try:
        with socket.create_connection((ports.HOST, port), timeout=1) as asked:
            asked.sendall(b"srvr")
            return b"Mode:" in asked.makefile("rb").read()
    except OSError:
        return False


class Burrow(threading.Thread):
    """A Burrow from its start until `end`. `readings`: group -> what it said."""

    def __init__(
        self,
        run: RunFolder,
        name: str,
        program: Path,
        kafka: str,
        kafka_version: str,
        zookeeper: int,
        groups: list[str],
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._run, self._port, self._folder = run, ports.free_port(), run.conf / name
        self._folder.mkdir(parents=True, exist_ok=True)
        self._log = self._folder / "burrow.log"
        self._log.unlink(missing_ok=True)
        conf = _BURROW.format(
            folder=self._folder,
            zookeeper=zookeeper,
            name=name,
            kafka=kafka,
            kafka_version=kafka_version,
            port=self._port,
        )
        (self._folder / "burrow.toml").write_text(conf)
        command: list[str | Path] = [program, "--config-dir", self._folder]
        self._running = start(run, name, command, note="compare", env=child_env(), cwd=self._folder)
        self.readings: dict[str, list[Reading]] = {group: [] for group in groups}
        self._end = threading.Event()

    def run(self) -> None:
        """Until `end`."""
        following = time.monotonic()
        while not self._end.is_set():
            for group, readings in self.readings.items():
                from_ms = now_ms()
                answer = get(f"http://127.0.0.1:{self._port}/v3/kafka/local/consumer/{group}/lag")
                partitions = (json.loads(answer)["status"]["partitions"] or ()) if answer else ()
                for one in partitions:
                    readings.append(Reading(from_ms, now_ms(), one["status"], one["current_lag"]))
                if not partitions:
                    readings.append(Reading(from_ms, now_ms(), "", None))
            following += _EVERY_S
            self._end.wait(max(0.0, following - time.monotonic()))

    def end(self) -> None:
        """Stop it."""
        self._end.set()
        self.join(30)
        stop(self._run, [self._running], seconds_max=_STOP_SECONDS_MAX)

    def reads(self) -> bool:
        """Did it have a word for any group?"""
        return any(reading.word for readings in self.readings.values() for reading in readings)

    def complaints(self) -> list[str]:
        """The kinds of what it logged as warnings and errors."""
        found = []
        for line in self._log.read_text(errors="replace").splitlines() if self._log.exists() else ():
            entry = json.loads(line)
            # Kinds of records that it does not know are no trouble: it wants those of commits.
            if entry.get("level") in {"warn", "error"} and entry.get("reason") != "key version":
                why = ", ".join(
                    f"{key} {entry[key]}"
                    for key in ("message_type", "reason", "version", "error", "sarama_error")
                    if key in entry
                )
                found.append(f"{entry['msg']} ({why})" if why else entry["msg"])
        return list(dict.fromkeys(found))


def refusals(broker_log: Path) -> list[str]:
    """Which requests of an old client the broker refused."""
    found = re.findall(
        r"Received request for api with key \d+ \(\w+\) and unsupported version \d+",
        broker_log.read_text(errors="replace"),
    )
    return list(dict.fromkeys(found))

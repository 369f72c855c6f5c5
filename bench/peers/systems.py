"""The peers: how each is brought, and how it is started. All versions are pinned here, or in the pom.xml of a peer in Java.

A program gets the arguments SERVERS SESSIONS PAYMENTS OUTPUT STATE_DIR EVENTS. Those that stream write to topics (bench.peers.outputs), and go on waiting
for more; those that are done once write STATE_DIR/done.json (bench.peers.jobs.done), and wait to be stopped.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

from stream_app.local import downloads
from stream_app.local.errors import LocalError

_HERE: Final = Path(__file__).parent
_HEAP: Final = "-Xmx4g"
_OPENS: Final = ("lang", "util", "nio", "time", "net", "util.concurrent", "lang.invoke")

Command = Sequence[str | Path]


class Peer(NamedTuple):
    """`title` names it with its version, `note` says how it is set up; `command` brings it into a folder, and gives how it is started.

    `options` follow the arguments. `events_max`: what is read of a data set at most. `streams`: it writes to topics. `counts`: it makes results at all.
    """

    name: str
    title: str
    note: str
    command: Callable[[Path], Command]
    options: tuple[str, ...] = ()
    events_max: int = 10**9
    streams: bool = True
    counts: bool = True


def _java(folder: str, main: str, options: Sequence[str], lib: Path) -> Command:
    source = _HERE / folder
    pom, program = source / "pom.xml", source / f"{main}.java"
    name = f"peer-{folder}-{crc32(pom.read_bytes() + program.read_bytes()):08x}"

    def build(beside: Path) -> None:
        shutil.copy(pom, beside)
        (beside / "src" / "main" / "java").mkdir(parents=True)
        shutil.copy(program, beside / "src" / "main" / "java")
        goals = ["compile", "dependency:copy-dependencies", "-DincludeScope=runtime"]
        downloads.run_maven(lib, downloads.java(lib), ["-f", str(beside / "pom.xml"), *goals])

    target = downloads.provide(lib, name, build) / "target"
    return [downloads.java(lib), _HEAP, *options, "-cp", f"{target}/classes:{target}/dependency/*", main]


def _python(name: str, requirements: Sequence[str], lib: Path) -> Command:
    """A job in an environment of its own; without requirements, in ours."""
    job = _HERE / "jobs" / f"{name}_job.py"
    if not requirements:
        return [sys.executable, job]
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        raise LocalError(f"{requirements[0]} can't be fetched without uv: install uv, or call this by make.")
    folder = lib / f"peer-{name}-{crc32(' '.join(requirements).encode()):08x}"
    done, program = folder / "complete", folder / "bin" / "python"
    if not done.exists():  # an environment can't be moved, so it is made in its place
        print(f"Downloading {', '.join(requirements)} (once, into {folder})", file=sys.stderr, flush=True)
        for command in (
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--python", str(program), *requirements],
        ):
            ran = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
            if ran.returncode:
                raise LocalError(f"{requirements[0]} could not be fetched: {ran.stderr.strip()[-300:]}")
        done.touch()
    return [program, job]


_STREAMS: Final = partial(_java, "kafka_streams", "KafkaStreamsPeer", ())
PEERS: Final = (
    Peer("kafka-streams", "Kafka Streams 4.1.2, RocksDB", "exactly_once_v2, 2 threads, commit each second, 64 MB of caches",
         _STREAMS, ("rocksdb", "exactly_once_v2")),
    Peer("kafka-streams-memory", "Kafka Streams 4.1.2, in memory", "at least once, otherwise the same", _STREAMS, ("memory", "at_least_once")),
    Peer("chdb", "raw load into ClickHouse (chDB)", "computes nothing while it loads; results are asked for afterwards, not counted",
         partial(_python, "chdb", ()), streams=False),
    Peer("floor", "reading only (librdkafka)", "takes each record and drops it", partial(_python, "floor", ()), streams=False, counts=False),
    Peer("faust", "plain Faust 0.15.3", "three tables in memory with changelogs, at least once, no sinks", partial(_python, "faust", ()),
         events_max=100_000, streams=False),
    Peer("flink", "Flink SQL 2.2.1", "RocksDB, checkpoints each 10 s, mini-batches of 1 s, at least once with upserts, 2 slots",
         partial(_java, "flink", "FlinkPeer", [f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in _OPENS])),
    Peer("pathway", "Pathway 0.33.0", "native reducers, 2 threads, snapshots each second", partial(_python, "pathway", ("pathway==0.33.0",))),
    Peer("quix", "Quix Streams 3.28.1", "RocksDB with changelogs, at least once, commit each second", partial(_python, "quix", ("quixstreams==3.28.1", "orjson==3.*")),
         events_max=200_000),
    Peer("bytewax", "Bytewax 0.21.1", "recovery on, epochs of 10 s, a total at most once a second",
         partial(_python, "bytewax", ("bytewax==0.21.1", "confluent-kafka==2.12.2", "msgspec==0.20.*")), events_max=400_000),
)  # fmt: skip

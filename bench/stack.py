"""The servers of the benchmarks, and workers on them.

Everything lies in the run folder `.run/bench`: its data goes at the start and at the end, its logs stay for who wants to know why. A space
is a set of topics, a Redis database and a ClickHouse database of its own, so that one measurement leaves nothing to the next. Must not
measure.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from config.settings import LIB, ROOT, RUN, Settings
from stream_app.cli.topics import topics_of
from stream_app.local.errors import LocalError
from stream_app.local.lock import alone
from stream_app.local.processes import Running, child_env, find, start, stop
from stream_app.local.run_folder import RunFolder
from stream_app.local.servers import start_servers
from stream_app.local.stack import down, drop_data
from stream_app.local.topics import create_missing
from stream_app.sources import registry

STOP_SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Space:
    """Names of its own in every server. `env` makes a process of ours use them."""

    name: str
    settings: Settings
    env: dict[str, str]

    @property
    def sources(self) -> dict[str, str]:
        """Name of a source topic in the registry -> in Kafka."""
        return {topic.name: self.settings.source_topic(topic.name) for topic in registry.TEAMS}


class Stack:
    """Servers, started when the first measurement asks for them, and ended with the context.

    `addresses`: of servers that were started in the run folder already, by somebody who ends them; spaces begin with the Redis database `first`.
    """

    def __init__(self, addresses: dict[str, str] | None = None, first: int = 0) -> None:
        self.run = RunFolder(RUN, LIB)
        self._given, self._spaces = addresses, first
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    @cached_property
    def addresses(self) -> dict[str, str]:
        """Variable -> address of the servers, which run."""
        if self._given is not None:
            return self._given
        self._exit.enter_context(alone(self.run))
        self._clean()  # of a run that was killed
        for log in self.run.root.glob("*.log"):
            log.unlink()
        self._exit.callback(self._clean)
        addresses = start_servers(self.run, {}, default_ports=False)
        make_coordinators(addresses["KAFKA_BOOTSTRAP_SERVERS"])
        return addresses

    def _clean(self) -> None:
        down(self.run)
        drop_data(self.run)

    def space(self, name: str, *, log_append_time: bool = False, **own: str) -> Space:
        """A new space, its topics made as by `make up`; with `log_append_time` the broker stamps the source records. `own`: settings of it."""
        given = {variable.lower(): address for variable, address in self.addresses.items()} | own
        given["redis_url"] = f"{given['redis_url'].rsplit('/', 1)[0]}/{self._spaces}"
        self._spaces += 1
        given["app_id"] = given["clickhouse_database"] = f"bench_{name}"
        for field in Settings.model_fields:
            if field.startswith("topic_"):
                given[field] = f"{name}.{field.removeprefix('topic_')}"
        settings = Settings(**given)  # type: ignore[arg-type]  # text, as from the environment
        space = Space(name, settings, {f"STREAM_APP_{field.upper()}": value for field, value in given.items()})
        stamped = {"message.timestamp.type": "LogAppendTime"} if log_append_time else {}
        topics = [
            replace(topic, config={**topic.config, **stamped}) if topic.name in space.sources.values() else topic
            for topic in topics_of(settings)
        ]
        create_missing(settings.kafka, topics)
        return space

    def start_worker(self, space: Space, number: int = 1) -> Running:
        """A worker as `make up` starts one, not ready yet; another `number` for each beside others of the space."""
        name = f"worker-{space.name}" + (f"-{number}" if number > 1 else "")
        self.run.ready_file(name).unlink(missing_ok=True)
        program = Path(sys.executable).parent / "stream-app"
        state = self.state_dir(space) if number == 1 else self.run.state / name
        files: list[str | Path] = ["--state-dir", state, "--ready-file", self.run.ready_file(name)]
        return self.start(name, [program, "worker", "--name", name, *files], space.env)

    def state_dir(self, space: Space) -> Path:
        """Where the worker of a space keeps its rows."""
        return self.run.state / space.name

    def start(self, name: str, command: Sequence[str | Path], env: Mapping[str, str]) -> Running:
        """A process of the benchmark; its output goes to a log file of its name."""
        self.run.root.mkdir(parents=True, exist_ok=True)
        # A core file, where the system writes any, lies in the run folder, too.
        env = child_env(**env, PYTHONFAULTHANDLER="1", PYTHONPATH=ROOT)
        return start(self.run, name, command, note="bench", env=env, cwd=self.run.root)

    def server_cpu_s(self, name: str) -> float:
        """CPU that a server has used so far: kafka, redis or clickhouse."""
        running = find(self.run, name)
        if running is None:
            raise LocalError(f"{name} does not run any more")
        times = running.process.cpu_times()
        return times.user + times.system

    def stop(self, running: Running) -> None:
        """End a process as `make down` does."""
        stop(self.run, [running], seconds_max=STOP_SECONDS_MAX)

    def end_of_log(self, name: str) -> str:
        """The last lines that a process wrote."""
        path = self.run.log_file(name)
        return f"the end of {path}:\n" + "\n".join(path.read_text(errors="replace").splitlines()[-20:])


def make_coordinators(servers: str) -> None:
    """Let Kafka make the topic of consumer groups, which it does when the first group asks: no part of what is measured."""
    consumer, deadline, answered = (
        Consumer({"bootstrap.servers": servers, "group.id": "bench"}),
        time.monotonic() + 60,
        False,
    )
    try:
        while not answered:
            try:
                consumer.committed([TopicPartition("bench", 0)], timeout=10)
                answered = True
            except KafkaException as error:  # not yet
                if time.monotonic() > deadline:
                    raise LocalError(f"Kafka answers no consumer group: {error}") from error
                time.sleep(0.1)
    finally:
        consumer.close()

"""Three replicated Kafka brokers of one test, each broker and controller, which the test may kill, stop, pause and start again."""

import os
import signal
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from stream_app.local import downloads, kafka_server
from stream_app.local.ports import HOST, answers, free_port, is_free
from tests.support.waiting import SECONDS_MAX, wait_until

BROKERS = (1, 2, 3)
_HEAP = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC")


class Replicas(NamedTuple):
    """Of a partition: its leader, -1 where it has none, and those that are in sync."""

    leader: int
    insync: frozenset[int]


class Cluster:
    """Brokers 1 to 3 on free ports of loopback: replication 3, `min.insync.replicas` 2. They run when the cluster is made.

    `advertised`: by broker, the address that clients are told in place of the broker's own, such as a proxy's; the brokers among themselves, and those
    who ask at `direct`, are told the broker's own. `settings`: more of the brokers'.
    """

    def __init__(
        self,
        path: Path,
        lib: Path,
        *,
        advertised: Mapping[int, str] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._path, self._java, self._jars = path, downloads.java(lib), kafka_server.install(lib)
        self.ports = {number: free_port() for number in BROKERS}
        self._controllers = {number: free_port() for number in BROKERS}
        self._direct = {number: free_port() for number in BROKERS}
        self._advertised = dict(advertised or {})
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._settings = dict(settings or {})
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        formats = [self._format(number, cluster_id) for number in BROKERS]
        for each in formats:
            assert each.wait(SECONDS_MAX) == 0, "the brokers' folders can't be made"
        try:
            self.start_all()
        except BaseException:
            self.close()
            raise

    @property
    def servers(self) -> str:
        """The bootstrap servers: all three brokers."""
        return ",".join(self._advertised.get(number, f"{HOST}:{port}") for number, port in self.ports.items())

    @property
    def direct(self) -> str:
        """Bootstrap servers of listeners that nothing stands before."""
        return ",".join(f"{HOST}:{port}" for port in self._direct.values())

    def _folder(self, number: int) -> Path:
        return self._path / f"broker-{number}"

    def _properties(self, number: int) -> Path:
        own, direct = f"{HOST}:{self.ports[number]}", f"{HOST}:{self._direct[number]}"
        values = {
            "process.roles": "broker,controller",
            "node.id": number,
            "controller.quorum.voters": ",".join(f"{n}@{HOST}:{port}" for n, port in self._controllers.items()),
            "listeners": f"PLAINTEXT://{own},DIRECT://{direct},CONTROLLER://{HOST}:{self._controllers[number]}",
            "advertised.listeners": f"PLAINTEXT://{self._advertised.get(number, own)},DIRECT://{direct}",
            "inter.broker.listener.name": "DIRECT",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,DIRECT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self._folder(number) / "data",
            "auto.create.topics.enable": "false",
            "default.replication.factor": 3,
            "min.insync.replicas": 2,
            "offsets.topic.replication.factor": 3,
            "offsets.topic.num.partitions": 6,
            "transaction.state.log.replication.factor": 3,
            "transaction.state.log.min.isr": 2,
            "transaction.state.log.num.partitions": 6,
            "group.initial.rebalance.delay.ms": 0,
            "num.network.threads": 2,
            "num.io.threads": 3,
            **self._settings,
        }
        path = self._folder(number) / "server.properties"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        return path

    def _java_command(self, *arguments: str) -> list[str]:
        return [str(self._java), "-cp", f"{self._jars}/*", "-Dlog4j2.level=WARN", *arguments]

    def _format(self, number: int, cluster_id: str) -> subprocess.Popen[bytes]:
        storage = (
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={cluster_id}",
            "-c",
            str(self._properties(number)),
        )
        return subprocess.Popen(self._java_command(*storage), stdout=subprocess.DEVNULL)

    def start(self, number: int) -> None:
        """Start a broker with the data that it had; it answers some seconds later."""
        wait_until("the ports are free", lambda: is_free(self.ports[number]) and is_free(self._controllers[number]))
        with (self._folder(number) / "log").open("ab") as log:
            command = self._java_command(*_HEAP, "kafka.Kafka", str(self._properties(number)))
            self._processes[number] = subprocess.Popen(command, stdout=log, stderr=log)

    def start_all(self, numbers: Iterable[int] = BROKERS) -> None:
        """Start brokers; back when all of them take connections."""
        for number in numbers:
            self.start(number)
        for number in numbers:
            self.wait_ready(number)

    def wait_ready(self, number: int) -> None:
        """Until a broker takes connections."""

        def ready() -> bool:
            assert self._processes[number].poll() is None, self.log(number)[-2000:]
            return answers(self.ports[number])

        wait_until(f"broker {number} answers", ready)

    def log(self, number: int) -> str:
        return (self._folder(number) / "log").read_text(errors="replace")

    def kill(self, number: int) -> None:
        """kill -9."""
        self._processes[number].kill()
        self._processes[number].wait()

    def stop(self, number: int) -> None:
        """SIGTERM: an orderly end, which moves the broker's leaders first."""
        self._processes[number].terminate()
        self._processes[number].wait(SECONDS_MAX)

    def pause(self, number: int) -> None:
        """SIGSTOP: connections stay, nothing is answered."""
        self._processes[number].send_signal(signal.SIGSTOP)

    def resume(self, number: int) -> None:
        """SIGCONT."""
        self._processes[number].send_signal(signal.SIGCONT)

    def replicas(self) -> dict[tuple[str, int], Replicas]:
        """Of all partitions, by topic and number, as some broker knows them; empty while none answers."""
        try:
            topics = AdminClient({"bootstrap.servers": self.direct, "log_level": 0}).list_topics(timeout=5).topics
        except KafkaException:
            return {}
        return {
            (topic, number): Replicas(partition.leader, frozenset(partition.isrs))
            for topic, found in topics.items()
            for number, partition in found.partitions.items()
        }

    def close(self) -> None:
        """kill -9 of all."""
        for process in self._processes.values():
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
            process.wait()

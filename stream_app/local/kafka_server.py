"""One Kafka broker of our own: its jars (the machine's, else by Maven, else the makers' own archive, else a container), configuration and start.

Invariant: a topic is never made by asking for it, so a missing one is seen. Must not be used by a worker.
"""

import asyncio
import base64
import logging
import re
import shutil
import subprocess
import uuid
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from stream_app.access.kafka import KafkaAccess
from stream_app.local import archives, containers, downloads, ports
from stream_app.local.errors import LocalError
from stream_app.local.processes import Running, child_env, start, wait_ready
from stream_app.local.run_folder import RunFolder

VERSION = "4.4.0"
NAME = "kafka"
PORT = 9092
_MAKERS = f"kafka-{VERSION}-archive"
HEAP = ("-Xms256m", "-Xmx768m")

# The broker's jars depend on a logging facade only; without the binding its errors would be lost.
POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.5</version></dependency>
  </dependencies>
</project>
"""


IMAGE = f"apache/kafka:{VERSION}"
_CHOICES = "give KAFKA_BOOTSTRAP_SERVERS, install Kafka 4 or Maven so that `kafka-server-start.sh` or `mvn` is on the PATH, or start a Docker engine"
_ARCHIVES = "https://archive.apache.org/dist/kafka"
_JAR = re.compile(r"(?:\./)?[^/]+/libs/([^/]+\.jar)")


def install(lib: Path) -> Path:
    """The folder with the broker's jars: of this machine, or brought under `lib`. `Raises` LocalError where there is none."""
    for name in ("kafka-server-start.sh", "kafka-server-start"):
        if found := shutil.which(name):
            jars = Path(found).resolve().parent.parent / "libs"
            if any(jars.glob("kafka_2.1?-[4-9].*.jar")):
                return jars
    ways = [lambda: _by_maven(lib), lambda: _of_the_makers(lib)]
    if (lib / _MAKERS).is_dir():  # the first way failed before, and takes long to
        ways.reverse()
    return downloads.first_that_works("Kafka", _CHOICES, *ways)


def _of_the_makers(lib: Path) -> Path:
    """Out of the archive of a release."""

    def build(beside: Path) -> None:
        url = f"{_ARCHIVES}/{VERSION}/kafka_2.13-{VERSION}.tgz"
        archives.unpack(url, beside, lambda path: found[1] if (found := _JAR.fullmatch(path)) else None)

    return downloads.provide(lib, _MAKERS, build)


def _by_maven(lib: Path) -> Path:
    def build(beside: Path) -> None:
        java = downloads.java(lib)
        (beside / "pom.xml").write_text(POM)
        goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
        target = [f"-DoutputDirectory={beside}", "-DincludeScope=runtime"]
        downloads.run_maven(lib, java, ["-f", str(beside / "pom.xml"), goal, *target])

    return downloads.provide(lib, f"kafka-{VERSION}", build)


def launch(run: RunFolder, port: int) -> Running:
    """Start the broker on this port of loopback and return when it answers."""
    try:
        java, jars = [str(downloads.java(run.lib))], str(install(run.lib))
    except LocalError as error:
        java, jars = containers.command(run, NAME, IMAGE, "java", error), "/opt/kafka/libs"
    properties = run.conf / "kafka.properties"
    properties.parent.mkdir(parents=True, exist_ok=True)
    properties.write_text(_properties(run.data / "kafka", port, ports.free_port()))
    command = [*java, "-cp", f"{jars}/*", "-Dlog4j2.level=WARN"]
    if not (run.data / "kafka" / "meta.properties").exists():
        storage = [
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={_cluster_id()}",  # one word: an id may begin with a hyphen
            "-c",
            str(properties),
            "--ignore-formatted",
        ]
        done = subprocess.run(
            [*command, "-XX:TieredStopAtLevel=1", *storage], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise LocalError(f"Kafka's data folder can't be made: {(done.stdout + done.stderr).strip()[-500:]}")
    running = start(
        run,
        NAME,
        [*command, *HEAP, "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "kafka.Kafka", properties],
        note=f"{ports.HOST}:{port}",
        env=child_env(),
        cwd=run.root,
    )
    wait_ready(run, running, lambda: answers(f"{ports.HOST}:{port}"))
    return running


def answers(bootstrap_servers: str) -> bool:
    """Whether a broker of our own, which asks for no credentials, lists its topics."""

    async def ask() -> None:
        client = AIOKafkaAdminClient(**KafkaAccess(bootstrap_servers).aiokafka(), request_timeout_ms=5000)
        try:
            await client.start()
            await client.list_topics()
        finally:
            await client.close()

    port = bootstrap_servers.rsplit(":", 1)[1]
    if not ports.answers(int(port)):
        return False
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that it is not up yet is expected here
    try:
        asyncio.run(ask())
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        logging.getLogger("aiokafka").setLevel(logging.NOTSET)
    return True


def _cluster_id() -> str:
    """A cluster id as Kafka writes it: 22 characters of URL-safe base64."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def _properties(data: Path, port: int, controller_port: int) -> str:
    """The broker's configuration: broker and controller in one, everything replicated once."""
    values = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{ports.HOST}:{controller_port}",
        "listeners": f"PLAINTEXT://{ports.HOST}:{port},CONTROLLER://{ports.HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{ports.HOST}:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 8,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "log.segment.delete.delay.ms": 1000,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())

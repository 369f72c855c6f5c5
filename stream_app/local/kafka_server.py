"""One Kafka broker of our own: its jars, configuration and start.

Invariant: a topic is never made by asking for it, so a missing one is seen. Must not be used by a worker.
"""

import asyncio
import base64
import logging
import subprocess
import uuid
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from stream_app.access.kafka import KafkaAccess
from stream_app.local import downloads, ports
from stream_app.local.errors import LocalError
from stream_app.local.processes import Running, child_env, start, wait_ready
from stream_app.local.run_folder import RunFolder

VERSION = "4.4.0"
NAME = "kafka"
PORT = 9092
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


def install(lib: Path) -> Path:
    """The folder with the broker's jars."""

    def build(beside: Path) -> None:
        java = downloads.java(lib)
        (beside / "pom.xml").write_text(POM)
        goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
        target = [f"-DoutputDirectory={beside}", "-DincludeScope=runtime"]
        downloads.run_maven(lib, java, ["-f", str(beside / "pom.xml"), goal, *target])

    return downloads.provide(lib, f"kafka-{VERSION}", build)


def launch(run: RunFolder, port: int) -> Running:
    """Start the broker on this port of loopback and return when it answers."""
    jars, java = install(run.lib), downloads.java(run.lib)
    properties = run.conf / "kafka.properties"
    properties.parent.mkdir(parents=True, exist_ok=True)
    properties.write_text(_properties(run.data / "kafka", port, ports.free_port()))
    command = [str(java), "-cp", f"{jars}/*", "-Dlog4j2.level=WARN"]
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

"""Programs of others that the comparison starts: brought by their registries' clients, unpacked under `lib`, never installed."""

from pathlib import Path
from typing import Final

from stream_app.local import downloads, kafka_server

ZOOKEEPER: Final = "3.8.4"

_POM: Final = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>{name}</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>{dependencies}</dependencies>
</project>
"""
_DEPENDENCY: Final = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"


def kafka_tools(lib: Path) -> Path:
    """The folder of jars with Kafka's command line tools, which the broker does without."""
    return _jars(lib, f"kafka-tools-{kafka_server.VERSION}", ("org.apache.kafka", "kafka-tools", kafka_server.VERSION))


def zookeeper(lib: Path) -> Path:
    """The folder of jars with ZooKeeper, without which Burrow does not start. It needs two that its description leaves out."""
    metrics, snappy = (
        ("io.dropwizard.metrics", "metrics-core", "4.2.30"),
        ("org.xerial.snappy", "snappy-java", "1.1.10.7"),
    )
    return _jars(lib, f"zookeeper-{ZOOKEEPER}", ("org.apache.zookeeper", "zookeeper", ZOOKEEPER), metrics, snappy)


def burrow(lib: Path) -> Path:
    """Debian's Burrow."""
    folder = downloads.provide(lib, "burrow-debian", lambda beside: downloads.debian_packages(["burrow"], beside))
    return folder / "usr" / "bin" / "Burrow"


def _jars(lib: Path, name: str, *wanted: tuple[str, str, str]) -> Path:
    def build(beside: Path) -> None:
        java = downloads.java(lib)
        pom = _POM.format(name=name, dependencies="".join(_DEPENDENCY.format(*one) for one in wanted))
        (beside / "pom.xml").write_text(pom)
        goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
        target = [f"-DoutputDirectory={beside}", "-DincludeScope=runtime"]
        downloads.run_maven(lib, java, ["-f", str(beside / "pom.xml"), goal, *target])

    return downloads.provide(lib, name, build)

"""What servers and a worker have used and hold, read where they say it themselves: CPU of processes, files of Kafka, counters of Redis and ClickHouse."""

import time
from typing import Final, NamedTuple

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from bench.meter import Meter
from bench.results import Results
from bench.stack import Space, Stack
from stream_app.domain.tables import TABLES
from tables.ledger import changelog

SERVERS: Final = ("kafka", "redis", "clickhouse")


class Look(NamedTuple):
    """At one moment, since the start. `topics`, `records`: bytes and end offsets by name of topic; `other`: bytes of Kafka's own topics."""

    at_s: float
    cpu_s: dict[str, float]
    topics: dict[str, int]
    records: dict[str, int]
    other: int
    redis_in: int
    clickhouse_rows: int


class Gauges:
    """Of one space."""

    def __init__(self, stack: Stack, space: Space, results: Results) -> None:
        self._stack, self._results = stack, results
        settings = space.settings
        self._admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers})
        self.kinds = {
            "sources": [space.sources[name] for name in ("sessions", "payments")],
            "events": [settings.events],
            "changelog": [changelog(settings.ledger_group)],
            **{table.name: [settings.result_topic(table.name)] for table in TABLES},
        }

    def look(self, meter: Meter) -> Look:
        """Now; `meter` is the worker's."""
        meter.look()
        cpu_s = {name: self._stack.server_cpu_s(name) for name in SERVERS} | {"worker": meter.cpu_s}
        names = [name for some in self.kinds.values() for name in some]
        folder = self._stack.run.data / "kafka"
        other = sum(file.stat().st_size for file in folder.glob("__*/*.log"))
        ((inserted,),) = self._results.ask("SELECT sum(value) FROM system.events WHERE event = 'InsertedRows'")
        return Look(
            time.monotonic(),
            cpu_s,
            {name: sum(file.stat().st_size for file in folder.glob(f"{name}-[0-9]*/*.log")) for name in names},
            {name: self._end(name) for name in names},
            other,
            self._results.redis.info("stats")["total_net_input_bytes"],
            int(inserted),
        )

    def _end(self, topic: str) -> int:
        partitions = self._admin.list_topics(topic, timeout=10).topics[topic].partitions
        asked = {TopicPartition(topic, number): OffsetSpec.latest() for number in partitions}
        return sum(found.result().offset for found in self._admin.list_offsets(asked).values())

    def grown(self, kind: str, before: Look, after: Look) -> tuple[int, int]:
        """Bytes and records that came to the topics of a kind."""
        names = self.kinds[kind]
        return (
            sum(after.topics[name] - before.topics[name] for name in names),
            sum(after.records[name] - before.records[name] for name in names),
        )

    def redis_bytes(self) -> int:
        """What Redis' values take."""
        return int(self._results.redis.info("memory")["used_memory"])

    def clickhouse_rows(self) -> dict[str, tuple[int, int]]:
        """Rows, and bytes on disk, by name of table of ours."""
        found = self._results.ask(
            "SELECT table, sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active AND database = '{}' GROUP BY table"
        )
        sizes = {table: (int(count), int(size)) for table, count, size in found}
        return {table.name: sizes[table.clickhouse_table] for table in TABLES}

    def merge(self) -> None:
        """Let ClickHouse merge all parts of each partition."""
        for table in TABLES:
            parts = self._results.ask(
                f"SELECT DISTINCT partition FROM system.parts WHERE active AND database = '{{}}' AND table = '{table.clickhouse_table}'"
            )
            for (partition,) in parts:
                self._results.ask(f"OPTIMIZE TABLE {{}}.{table.clickhouse_table} PARTITION {partition} FINAL")

"""A world in memory for the real code of ingest and lanes: an events topic, changelogs, results topics, and crashes between any two steps.

Everything that is random comes from one seed, so a failure can be run again.
"""

import asyncio
import json
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from random import Random

from config.settings import ROOT
from stream_app.domain import working
from stream_app.domain.tables import TABLES
from stream_app.formats.frames import clock_frame
from stream_app.ingest.ingest import Ingest, IngestConf
from stream_app.kernel.source_records import new_reader
from stream_app.partition.conf import Conf, Pace, Topics
from stream_app.partition.frozen_rows import CommittedRows
from stream_app.partition.lane import Lane
from stream_app.ports.kafka import Range
from stream_app.ports.records import Batch, Records
from stream_app.sinks.topics import ResultRecords
from stream_app.sources.registry import TEAMS, by_kafka_name
from tests.oracle import Clock, Record
from tests.support.in_memory import MemoryStore

DEFAULTS = tomllib.loads((ROOT / "config" / "defaults.toml").read_text(encoding="utf-8"))
SOURCES = by_kafka_name(TEAMS, lambda name: str(DEFAULTS[f"topic_{name}"]))
EVENTS_PARTITIONS = 3
RESULTS = ResultRecords("test", "/test")
RESULT_TOPICS = {table.name: f"results-{table.name}" for table in TABLES}
LETTERS = {(topic.kind, topic.number): name for name, topic in SOURCES.items()}
TOPICS = Topics("events", "changelog", RESULT_TOPICS, "dead-letters", LETTERS)


class Crash(Exception):  # noqa: N818  # what happens to the process, not an error of it
    """kill -9."""


class Disk(MemoryStore):
    """A store that outlives a crash, and can be lost."""

    def __init__(self) -> None:
        super().__init__()
        self.fails_before = self.fails_after = False

    def write(self, rows: Mapping[bytes, bytes | None], log: int) -> None:
        if self.fails_before:
            raise Crash
        super().write(rows, log)
        if self.fails_after:
            raise Crash


class Kafka:
    """The topics. A transaction appends all or nothing."""

    def __init__(self) -> None:
        self.events: list[list[bytes]] = [[] for _ in range(EVENTS_PARTITIONS)]
        self.changelog: list[list[tuple[bytes, bytes | None]]] = [[] for _ in range(EVENTS_PARTITIONS)]
        self.results: dict[str, list[tuple[bytes, bytes | None]]] = defaultdict(list)

    def replay(self, partition: int, disk: Disk) -> None:
        records = self.changelog[partition]
        disk.write(dict(records[disk.log :]), len(records))


class Log:
    """The transactions of a partition; fails before or after the commit."""

    def __init__(self, kafka: Kafka, partition: int) -> None:
        self._kafka, self._partition = kafka, partition
        self.fails_before = self.fails_after = False

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def partitions(self, topic: str) -> int:
        return 2

    async def commit(self, rows: Mapping[bytes, bytes | None], records: Records, offset: int) -> int:
        await asyncio.sleep(0)
        if self.fails_before:
            raise Crash
        self._kafka.changelog[self._partition] += [(key, value or None) for key, value in rows.items()]
        for (topic, _), some in records.items():
            self._kafka.results[topic] += [(key or b"", value) for key, value, _ in some]
        if self.fails_after:
            raise Crash
        return len(self._kafka.changelog[self._partition])


class Appender:
    """What ingest appends, into the world."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def partitions(self, topic: str) -> int:
        return 1

    async def append(self, records: Records) -> int | None:
        for (topic, partition), some in records.items():
            for key, value, _ in some:
                if topic == "events":
                    assert value is not None
                    self._kafka.events[partition].append(value)
                else:
                    self._kafka.results[topic].append((key or b"", value))
        return None


def _lose(lane: Lane, what: str, why: str) -> None:
    raise AssertionError(f"partition {lane.partition} is lost, though nobody else has it: {what} ({why})")


async def _fail(exc: Exception) -> None:
    raise exc


class World:
    """Feeds source records to ingest, in batches of random size, and runs lanes over the events, which crash at random."""

    def __init__(
        self, seed: int, *, crashes: float = 0.0, wall_now_ms: int, ocpi_operators: Mapping[str, str] | None = None
    ) -> None:
        self.rng, self.crashes = Random(seed), crashes
        self.kafka = Kafka()
        self.disks = [Disk() for _ in range(EVENTS_PARTITIONS)]
        settings = working.Settings(13, 92, "EUR")
        self._wall_now_ms = wall_now_ms
        self._native = seed % 2 == 1  # of two worlds one uses the native library
        self.conf = Conf(TOPICS, Pace(0.0, 0.0), settings, 1, "topic", "test", "/test", self._native)
        self._conf_ingest = IngestConf(
            SOURCES, "events", EVENTS_PARTITIONS, "dead-letters", ocpi_operators or {}, 13, False, 30_000
        )
        self.ingest = self._new_ingest(again=False)
        self.crashed = 0
        self.repeats = True  # ingest may be killed before it commits

    def _new_ingest(self, *, again: bool) -> Ingest:
        conf, reader = self._conf_ingest._replace(again=again), new_reader() if self._native else None
        return Ingest(conf, Appender(self.kafka), lambda: self._wall_now_ms / 1000, reader=reader)

    def read_again(self) -> None:
        """What is fed from now on was read before, by a version that kept less of it."""
        self.ingest = self._new_ingest(again=True)

    async def feed(self, records: Iterable[Record | Clock]) -> None:
        """Ingest records in this order, some of them again."""
        await self.ingest.start()
        batch: list[Record] = []
        for item in records:
            if isinstance(item, Clock):
                await self._take(batch)
                batch = []
                for partition in self.kafka.events:
                    partition.append(clock_frame(item.now_ms // 900_000))
                continue
            if batch and (item[:2] != batch[0][:2] or self.rng.random() < 0.2):
                await self._take(batch)
                if self.repeats and self.rng.random() < 0.2:
                    await self._take(batch)
                batch = []
            batch.append(item)
        await self._take(batch)

    async def _take(self, records: Sequence[Record]) -> None:
        if records:
            batch = Batch(
                [r.key for r in records],
                [r.value for r in records],
                [r.offset for r in records],
                [r.timestamp_ms for r in records],
                records[-1].offset + 1,
            )
            await self.ingest.take(records[0].topic, records[0].partition, [batch])

    async def run(self, partition: int, up_to: int) -> None:
        """Let the lane of a partition apply its events up to an offset, whatever crashes on the way."""
        disk = self.disks[partition]
        while True:
            disk.fails_before = disk.fails_after = False
            if self.rng.random() < self.crashes / 2:
                disk.wipe()  # another machine
            self.kafka.replay(partition, disk)
            try:
                await self._run(partition, disk, up_to)
            except Crash:
                self.crashed += 1
                continue
            return

    async def idle(self, partition: int, until: Callable[[], bool]) -> None:
        """Let the lane of a partition apply all its events, and then do what it does when there is nothing else to do."""
        self.kafka.replay(partition, self.disks[partition])
        events = self.kafka.events[partition]
        lane = Lane(
            self.conf,
            partition,
            self.disks[partition],
            Log(self.kafka, partition),
            lambda _lane, _dirty: None,
            _lose,
            _fail,
        )
        await lane.start(Range(0, len(events)))
        count = len(events) - lane.expected
        offsets = list(range(lane.expected, len(events)))
        if count:
            await lane.put([Batch([None] * count, list(events[lane.expected :]), offsets, [0] * count, len(events))])
        async with asyncio.timeout(20):
            while lane.committed < len(events) or not until():  # noqa: ASYNC110  # the lane has no event for it
                await asyncio.sleep(0.01)
        await lane.stop()

    async def _run(self, partition: int, disk: Disk, up_to: int) -> None:
        failure: list[Exception] = []

        async def crash(exc: Exception) -> None:
            failure.append(exc)

        log = Log(self.kafka, partition)
        if self.rng.random() < self.crashes:
            where, which = self.rng.choice((log, disk)), self.rng.choice(("fails_before", "fails_after"))
            setattr(where, which, True)
        lane = Lane(self.conf, partition, disk, log, lambda _lane, _dirty: None, _lose, crash)
        await lane.fence()
        events = self.kafka.events[partition]
        await lane.start(Range(0, len(events)))
        at = lane.expected
        while at < up_to and not failure:
            end = min(up_to, at + self.rng.randrange(1, 6))
            first = max(0, at - self.rng.randrange(3))  # a fetch may begin before
            count = end - first
            batch = Batch([None] * count, list(events[first:end]), list(range(first, end)), [0] * count, end)
            await lane.put([batch])
            for _ in range(self.rng.randrange(4)):
                await asyncio.sleep(0)
            at = end
        while lane.committed < up_to and not failure:  # noqa: ASYNC110  # a lane tells nobody
            await asyncio.sleep(0)
        await lane.stop()
        if failure:
            if isinstance(failure[0], Crash):
                raise failure[0]
            raise AssertionError("the lane failed") from failure[0]

    # -- what came out

    def dead_letters(self) -> Iterator[tuple[tuple[str, int, int], bytes | None]]:
        """Source place and value of each dead letter."""
        for key, value in self.kafka.results["dead-letters"]:
            topic, partition, offset = key.decode().rsplit("/", 2)
            yield (topic, int(partition), int(offset)), value

    def check_topics(self, views: Iterable[CommittedRows]) -> None:
        """The last record of each key of the results topics shows its cell, and versions never fell."""
        shown: dict[tuple[str, bytes], int | None] = {}
        for topic in RESULT_TOPICS.values():
            versions: dict[bytes, int] = {}
            for key, value in self.kafka.results[topic]:
                version = None if value is None else int(json.loads(value)["version"])
                assert version is None or version >= versions.get(key, 0), f"{key!r}: the version fell"
                versions[key] = version or versions.get(key, 0)
                shown[topic, key] = version
        cells: dict[tuple[str, bytes], int] = {}
        for view in views:
            for name in view.operators():
                operator = view.operator(name)
                assert operator is not None
                for table in TABLES:
                    for key, cell in view.scan_cells(table, name):
                        for record in RESULTS.of(table, operator, key, cell, view.partition):
                            cells[RESULT_TOPICS[table.name], record.key] = cell.version
        assert {at: version for at, version in shown.items() if version is not None} == cells

"""The ports of a partition in memory (stream_app.ports): a store, a log of transactions; and frames of events written by hand."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from stream_app.domain.events import OFFSET
from stream_app.domain.tables import TABLES
from stream_app.domain.working import Settings
from stream_app.formats.frames import FramePart, clock_frame, frames
from stream_app.partition.conf import Conf, Pace, Topics
from stream_app.ports.kafka import ChangelogLost, Range, Replayed
from stream_app.ports.records import Batch, RecordFields, Records
from tests.support.by_hand import Clock, Event

RESULTS = {table.name: f"results-{table.name}" for table in TABLES}
SOURCES = {(kind, number): f"sources-{number}" for kind in range(1, 7) for number in (0, 1)}
TOPICS = Topics("events", "changelog", RESULTS, "dead-letters", SOURCES)
PARTITIONS = dict.fromkeys([*RESULTS.values(), "dead-letters"], 1)


def conf(
    generation: int = 3,
    *,
    muted: bool = False,
    topic_id: str = "the topic",
    tick_s: float = 0.0,
    publish_s: float = 0.0,
    native: bool = True,
) -> Conf:
    """Of a partition that publishes with each tick."""
    settings = Settings(13, 92, "EUR")
    return Conf(TOPICS, Pace(tick_s, publish_s), settings, generation, topic_id, "test", "/test", native, muted)


class MemoryStore:
    """Rows by key (ports.store.Store)."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.log = self.clean_ms = 0
        self.is_corrupt = False

    def load(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.rows.get(key) for key in keys]

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted((k, v) for k, v in self.rows.items() if k.startswith(prefix) and k > after))

    def write(self, rows: Mapping[bytes, bytes | None], log: int) -> None:
        self.rows |= {key: value for key, value in rows.items() if value}
        for key in [key for key, value in rows.items() if not value]:
            self.rows.pop(key, None)
        self.log = log

    def wipe(self) -> None:
        self.rows, self.log, self.clean_ms = {}, 0, 0

    def close(self) -> None:
        pass


class Commit(NamedTuple):
    """A transaction that was committed."""

    rows: dict[bytes, bytes | None]
    records: dict[str, list[RecordFields]]  # by topic
    offset: int


class MemoryLog:
    """Transactions (ports.kafka.Log). `fails`: what the next commits raise, None for one that succeeds; `gate` is closed to hold a commit up."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []
        self.fails: list[Exception | None] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_open = False

    async def open(self) -> None:
        self.is_open = True

    async def close(self) -> None:
        self.is_open = False

    async def partitions(self, topic: str) -> int:
        return 1

    async def commit(self, rows: Mapping[bytes, bytes | None], records: Records, offset: int) -> int:
        await self.gate.wait()
        if self.fails and (failure := self.fails.pop(0)) is not None:
            raise failure
        by_topic: dict[str, list[RecordFields]] = {}
        for (topic, _), some in records.items():
            by_topic.setdefault(topic, []).extend(some)
        self.commits.append(Commit(dict(rows), by_topic, offset))
        return len(self.commits)


class KeptLog(MemoryLog):
    """Transactions whose rows go to a changelog of (key, value), which outlives them; a record that compaction removed is None."""

    def __init__(self, changelog: list[tuple[bytes, bytes | None] | None]) -> None:
        super().__init__()
        self.changelog = changelog

    async def commit(self, rows: Mapping[bytes, bytes | None], records: Records, offset: int) -> int:
        await super().commit(rows, records, offset)
        self.changelog += [(key, value or None) for key, value in rows.items()]
        return len(self.changelog)


class MemoryKafka:
    """What lanes use of Kafka (ports.kafka.Kafka): a changelog for each partition, and the logs that were made, in order."""

    def __init__(self) -> None:
        self.changelog: dict[int, list[tuple[bytes, bytes | None] | None]] = defaultdict(list)
        self.logs: dict[int, list[KeptLog]] = defaultdict(list)
        self.others: set[int] = set()  # partitions that the group has given to others
        self.rebalances = False
        self.replayed: list[tuple[int, int]] = []  # partition, and the changelog position that its replay began at

    def new_log(self, partition: int) -> KeptLog:
        self.logs[partition].append(KeptLog(self.changelog[partition]))
        return self.logs[partition][-1]

    async def owns(self, partition: int) -> bool | None:
        return None if self.rebalances else partition not in self.others

    async def tombstones_ms(self, topic: str) -> int:
        return 24 * 3_600_000

    async def ranges(self, topic: str, partitions: Sequence[int]) -> dict[int, Range]:
        return dict.fromkeys(partitions, Range(0, 1000))

    async def replay(self, topic: str, stores: Mapping[int, Replayed]) -> int:
        for partition, store in stores.items():
            changelog = self.changelog[partition]
            if store.log > len(changelog):
                raise ChangelogLost(partition, f"the store stands for {store.log}")
        for partition, store in stores.items():
            self.replayed.append((partition, store.log))
            rest = [record for record in self.changelog[partition][store.log :] if record]
            store.write(dict(rest), len(self.changelog[partition]))
        return 0

    def compact(self, partition: int) -> None:
        """Keep the last record of each key, and no tombstone: they are older than the topic keeps them."""
        changelog = self.changelog[partition]
        last = {record[0]: at for at, record in enumerate(changelog) if record}
        changelog[:] = [
            record if record and record[1] is not None and last[record[0]] == at else None
            for at, record in enumerate(changelog)
        ]


def frame(*items: Event | Clock, offset: int = 0) -> bytes:
    """One frame of events, each with its source value as it came; or the frame of a clock record. Stamps follow from the offset."""
    first = items[0]
    if isinstance(first, Clock):
        return clock_frame(first.now)
    parts = []
    for index, event in enumerate(items):
        assert isinstance(event, Event)
        row = list(event.row)
        row[OFFSET] = 1000 * offset + index
        raws: dict[int, list[bytes | None]] = {0: [b"key", f"as {event.id} came".encode()]}
        parts.append(FramePart(event.operator, event.kind, [event.id.encode()], [row], raws, event.again))
    (only,) = frames(parts)
    return only


def batch(first: int, *values: bytes | None) -> Batch:
    """A record batch of frames."""
    count = len(values)
    return Batch([None] * count, list(values), list(range(first, first + count)), [0] * count, first + count)

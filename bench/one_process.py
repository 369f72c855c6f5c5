"""The service of one worker in one process, without servers, each stage of it timed.

Ingest, the partitions' ledger, their stores and the making of Redis' documents and ClickHouse's columns are the service's own code, called in turn; what
Kafka, Redis and ClickHouse would take is dropped.
"""

import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final
from zlib import crc32

from bench.records import SentRecord
from config.settings import Settings
from stream_app.domain.local_time import QUARTER_MS
from stream_app.domain.tables import TABLES
from stream_app.formats.frames import clock_frame
from stream_app.ingest.ingest import Ingest
from stream_app.kernel.source_records import new_reader
from stream_app.partition.frozen_rows import CommittedRows, FrozenRows
from stream_app.partition.partition_state import PartitionState
from stream_app.partition.positions import new_position
from stream_app.partition.store import Store, new_cache
from stream_app.ports.records import Batch, Records
from stream_app.ports.sinks import Dirty, View
from stream_app.sinks.clickhouse_rows import chunks_of
from stream_app.sinks.redis_documents import puts
from stream_app.worker import ingest_conf, ledger_conf

_PARTITIONS: Final = 4  # of each source topic
_FETCH: Final = 4_000  # records of a source partition at a time
_SELDOM: Final = 3  # ticks for each publication and each insert into ClickHouse: lane.BEHIND_FACTOR
_SLICE_BYTES: Final = 150_000  # of frames that are applied at once, as in a lane
TICK: Final = 24_000  # source records between two ticks: about a second of catching up
STAGES: Final = ("ingest", "apply", "freeze", "store", "documents", "columns")


class _Kept:
    """Kafka for ingest: frames by events partition; the rest is dropped."""

    def __init__(self, events: str, partitions: int) -> None:
        self._events, self._partitions = events, partitions
        self.frames: defaultdict[int, deque[bytes]] = defaultdict(deque)

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing to disconnect from."""

    async def append(self, records: Records) -> int | None:
        """Keep frames."""
        for (topic, partition), some in records.items():
            if topic == self._events:
                self.frames[partition] += [value for _, value, _ in some if value is not None]
        return None

    async def partitions(self, topic: str) -> int:
        """As many of each topic."""
        del topic
        return self._partitions


class OneProcess:
    """The service of one worker. `cpu_s` by stage; `stores`: one of each partition."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._kept = _Kept(settings.events, settings.events_partitions)
        self._conf = ledger_conf(settings, settings.ledger_group, "the topic", muted=False)
        self._ingest = Ingest(ingest_conf(settings), self._kept, reader=new_reader() if settings.native else None)
        self._sources = {topic: source.name for topic, source in ingest_conf(settings).sources.items()}
        topics, cache = self._conf.topics, new_cache(settings.block_cache_mb)
        partitions = dict.fromkeys((*topics.results.values(), topics.dead_letters), settings.events_partitions)
        self.stores = [Store(folder / f"{number}", cache) for number in range(settings.events_partitions)]
        self.views: list[View] = [CommittedRows(number, store) for number, store in enumerate(self.stores)]
        self._states = [
            PartitionState(self._conf, number, FrozenRows(store), new_position(self._conf.ledger, "the topic", 1, 0), partitions)
            for number, store in enumerate(self.stores)
        ]  # fmt: skip
        self._dirty = {sink: [Dirty() for _ in self._states] for sink in ("documents", "columns")}
        self._offsets: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._ticks, self._stream_clock = 0, settings.clock == "stream"
        self.cpu_s = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.process_time()
        yield
        self.cpu_s[stage] += time.process_time() - began

    async def start(self) -> None:
        """Make ready; with the wall clock its time comes first, as from a worker that begins."""
        await self._ingest.start()
        if not self._stream_clock:
            for partition in range(len(self._states)):
                self._kept.frames[partition].append(clock_frame(int(time.time() * 1000) // QUARTER_MS))

    async def take_all(self, records: Iterator[SentRecord]) -> None:
        """Take source records, TICK for each tick."""
        while some := list(islice(records, TICK)):
            await self.take(some)

    async def take(self, records: Sequence[SentRecord]) -> None:
        """Take source records, and make a tick of them."""
        by_partition: defaultdict[tuple[str, int], list[tuple[bytes, bytes]]] = defaultdict(list)
        for record in records:
            key = record.key.encode()
            by_partition[record.kind, crc32(key) % _PARTITIONS].append(
                (key, record.value)
            )  # as librdkafka chooses them
        topics = {name: topic for topic, name in self._sources.items()}
        for (kind, partition), some in by_partition.items():
            for start in range(0, len(some), _FETCH):
                await self._fetched(topics[kind], partition, some[start : start + _FETCH])
        self._tick()

    async def _fetched(self, topic: str, partition: int, some: Sequence[tuple[bytes, bytes]]) -> None:
        first = self._offsets[topic, partition]
        end = self._offsets[topic, partition] = first + len(some)
        now_ms = int(time.time() * 1000)
        batch = Batch(
            [key for key, _ in some], [value for _, value in some], list(range(first, end)), [now_ms] * len(some), end
        )
        with self._timed("ingest"):
            await self._ingest.take(topic, partition, [batch])

    def _tick(self) -> None:
        self._ticks += 1
        seldom = self._ticks % _SELDOM == 0
        for number, state in enumerate(self._states):
            frames = self._kept.frames[number]
            while frames:
                some, size = [], 0
                while frames and size < _SLICE_BYTES:
                    some.append(frames.popleft())
                    size += len(some[-1])
                with self._timed("apply"):
                    state.apply(some)
            self._commit(number, state, publish=seldom)
        self._copy("documents")
        if seldom:
            self._copy("columns")

    def _commit(self, number: int, state: PartitionState, *, publish: bool) -> None:
        with self._timed("freeze"):
            state.tidy()
            tick = state.freeze(int(time.time() * 1000), publish=publish)
        with self._timed("store"):
            self.stores[number].write(tick.rows, self.stores[number].log + len(tick.rows))
            state.committed()
        for dirty in self._dirty.values():
            dirty[number].update(tick.dirty)

    def _copy(self, sink: str) -> None:
        """Make what a sink would be sent of all that is dirty."""
        with self._timed(sink):
            for number, dirty in enumerate(self._dirty[sink]):
                view = self.views[number]
                found = puts(view, dirty) if sink == "documents" else _columns(view, dirty)
                deque(found, maxlen=0)
                self._dirty[sink][number] = Dirty()

    def finish(self) -> None:
        """Copy what is left."""
        for sink in self._dirty:
            self._copy(sink)

    def close(self) -> None:
        """Close the stores."""
        for store in self.stores:
            store.close()


def _columns(view: View, dirty: Dirty) -> Iterator[object]:
    for table in TABLES:
        for chunk in chunks_of(view, table, dirty.cells[table.name]):
            yield chunk.columns()

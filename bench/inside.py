"""Ours without servers, for a profiler: `python -m bench.inside narrow wide --events 200000 [--profile FILE]`.

Ingest, the partitions' ledger, their stores and the making of Redis' documents and ClickHouse's columns are the service's own code, called in turn in
one process at the pace of a worker that catches up; what Kafka, Redis and ClickHouse would take is dropped. Each stage is timed by itself, and the
cells that are in the stores at the end are compared with an independent computation. For finding out what a change gains, before `whole` says it.
"""

import argparse
import asyncio
import cProfile
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Final
from zlib import crc32

from bench import apart  # noqa: F401  # first
from bench.context import Row, say
from bench.records import SentRecord
from bench.traffic import DATA_SETS, DAYS, DataSet, Truth, Visit, contract, directory, last_midnight_ms, visits
from config.settings import Settings
from stream_app.domain.cells import FigureCell
from stream_app.domain.local_time import QUARTER_MS, date_of, month_string
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS
from stream_app.domain.tables import HALF_HOUR, MONTHLY, TABLES
from stream_app.formats.frames import clock_frame
from stream_app.ingest.ingest import Ingest
from stream_app.local.errors import LocalError
from stream_app.partition.frozen_rows import CommittedRows, FrozenRows
from stream_app.partition.partition_state import PartitionState
from stream_app.partition.positions import new_position
from stream_app.partition.store import Store, new_cache
from stream_app.ports.records import Batch, Records
from stream_app.ports.sinks import Dirty, View
from stream_app.sinks.clickhouse_rows import chunks_of
from stream_app.sinks.redis_documents import puts
from stream_app.worker import ingest_conf, ledger_conf, prepare

_PARTITIONS: Final = 4  # of each source topic
_FETCH: Final = 4_000  # records of a source partition at a time
_TICK: Final = 24_000  # source records between two ticks: about a second of catching up
_SELDOM: Final = 3  # ticks for each publication and each insert into ClickHouse: lane.BEHIND_FACTOR
_SLICE_BYTES: Final = 150_000  # of frames that are applied at once, as in a lane
FIGURES: Final = (
    *("receivedAmount", "discountAmount", "paymentCount", "payingCustomers"),
    *("sessionCount", "chargingCustomers", "energyKwh"),
)
_ZEROS: Final = (0,) * len(FIGURES)
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


class Inside:
    """The service of one worker. `cpu_s` by stage."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._kept = _Kept(settings.events, settings.events_partitions)
        self._conf = ledger_conf(settings, settings.ledger_group, "the topic", muted=False)
        self._ingest = Ingest(ingest_conf(settings), self._kept)
        self._sources = {topic: source.name for topic, source in ingest_conf(settings).sources.items()}
        topics, cache = self._conf.topics, new_cache(settings.block_cache_mb)
        partitions = dict.fromkeys((*topics.results.values(), topics.dead_letters), settings.events_partitions)
        self._stores = [Store(folder / f"{number}", cache) for number in range(settings.events_partitions)]
        self.views: list[View] = [CommittedRows(number, store) for number, store in enumerate(self._stores)]
        self._states = [
            PartitionState(self._conf, number, FrozenRows(store), new_position(self._conf.ledger, "the topic", 1, 0), partitions)
            for number, store in enumerate(self._stores)
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
            self._stores[number].write(tick.rows, self._stores[number].log + len(tick.rows))
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
        for store in self._stores:
            store.close()


def _columns(view: View, dirty: Dirty) -> Iterator[object]:
    for table in TABLES:
        for chunk in chunks_of(view, table, dirty.cells[table.name]):
            yield chunk.columns()


def check(inside: Inside, truth: Truth) -> int:
    """How many cells are in the stores, each as it must be. `Raises` LocalError when one is not."""
    wanted: dict[tuple[object, ...], object] = {**truth.months, **truth.slots}
    found: dict[tuple[object, ...], object] = {}
    for view in inside.views:
        for operator in view.operators():
            for key, figures in view.scan_cells(MONTHLY, operator):
                found[operator, key.group, month_string(key.period)] = _month(figures)
            for key, counts in view.scan_cells(HALF_HOUR, operator):
                date = date_of(key.period).isoformat()
                found |= {(operator, key.group, date, slot): count for slot, count in enumerate(counts.slots)}
    shown = {
        name: value for name, value in found.items() if value not in {0, _ZEROS}
    }  # the current period is shown in any case
    for name in wanted.keys() | shown.keys():
        if shown.get(name) != wanted.get(name):
            raise LocalError(f"inside: {name} shows {shown.get(name)}, and not {wanted.get(name)}")
    return len(wanted)


def _month(cell: FigureCell) -> tuple[int, ...]:
    paid, came = cell.payments.get("EUR", PAYMENT_SUMS.zeros()), cell.sessions
    got = {figure.name: paid[PAYMENT_SUMS.at(figure)] for figure in PAYMENT_SUMS.figures}
    got |= {figure.name: came[SESSION_SUMS.at(figure)] for figure in SESSION_SUMS.figures}
    return tuple(got[name] for name in FIGURES)


async def _measure(
    inside: Inside, data: DataSet, made: Iterator[Visit], truth: Truth, profile: cProfile.Profile | None
) -> float:
    """CPU-seconds for operators and memberships, which stand in `inside.cpu_s`, too."""
    await inside.start()
    records = directory(data)
    while some := list(islice(records, _TICK)):
        await inside.take(some)
    before_s = sum(inside.cpu_s.values())
    inside.cpu_s = dict.fromkeys(STAGES, 0.0)
    while pairs := list(islice(made, _TICK // 2)):
        some = [record for visit in pairs for record in contract(data, visit)]
        for visit in pairs:
            truth.count(visit)
        with profile or nullcontext():
            await inside.take(some)
    with profile or nullcontext():
        inside.finish()
    return before_s


def run(data: DataSet, events: int, clock: str, profile: cProfile.Profile | None) -> list[Row]:
    """CPU of each stage for each event, and the whole. `Raises` LocalError when a result is wrong."""
    # As many days of half-hours as there are data of: the peers count all of them, too.
    settings = Settings(clock=clock, distribution_days=DAYS + 3)  # type: ignore[arg-type]  # text, as from the environment
    truth = Truth(data)
    with tempfile.TemporaryDirectory(prefix="bench-inside-") as folder:
        inside = Inside(settings, Path(folder))
        say(
            f"inside: {data.name}, {data.operators + data.customers:,} operators and memberships, then {events:,} events"
        )
        made = visits(data, events, last_midnight_ms())
        before_s = asyncio.run(_measure(inside, data, made, truth, profile))
        cells = check(inside, truth)
        inside.close()
    cpu_s, count = sum(inside.cpu_s.values()), 2 * truth.visits
    rows = [
        Row("inside", data.name, f"{count / cpu_s:,.0f} events/CPU-s", f"{cpu_s:.1f} CPU-s, {cells:,} months and half-hours of groups, each as it must be; besides {before_s:.1f} CPU-s for memberships, before"),
    ]  # fmt: skip
    for stage, stage_s in inside.cpu_s.items():
        rows.append(Row("inside", f"  {stage}", f"{1e6 * stage_s / count:.1f} µs an event", f"{stage_s / cpu_s:.0%}"))
    return rows


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m bench.inside")
    parser.add_argument("data", nargs="*", choices=[*DATA_SETS, []], help="narrow and wide by default")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument(
        "--clock",
        choices=("stream", "wall"),
        default="wall",
        help="stream: days pass while records of them are read, so windows roll on",
    )
    parser.add_argument("--profile", type=Path, metavar="FILE", help="for pstats; times are longer with it")
    arguments = parser.parse_args()
    prepare()
    profile, found = cProfile.Profile() if arguments.profile else None, list[Row]()
    try:
        for name in arguments.data or ("narrow", "wide"):
            found += run(DATA_SETS[name], arguments.events, arguments.clock, profile)
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    for row in found:
        print(f"{row.name:14} {row.value:>24}  {row.note}")
    if profile is not None:
        profile.dump_stats(arguments.profile)
    return 0


if __name__ == "__main__":
    sys.exit(main())

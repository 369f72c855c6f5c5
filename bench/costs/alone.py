"""The service in one process on one data set, in a process of its own, so that memory is that of this data set: `run` starts it.

Takes the fields of `Case` as JSON, and prints those of `Seen` as a list. That each session and payment counts once is checked at the end.
"""

import asyncio
import json
import random
import resource
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import msgspec
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from bench.one_process import STAGES, OneProcess
from bench.records import SentRecord
from bench.traffic import DataSet, contract, directory, last_midnight_ms, visits
from config.settings import ROOT, Settings
from stream_app.domain.events import ALL, SESSION
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS
from stream_app.domain.tables import HALF_HOUR, MONTHLY
from stream_app.formats import rows
from stream_app.local.errors import LocalError
from stream_app.worker import prepare

_SECONDS_MAX: Final = 1_800
_SAMPLED: Final = 16  # one row of so many
_BATCH: Final = 100  # rows of a tick at a few hundred events a second and partition
_ZSTD: Final = 4  # its number in Kafka's format
KINDS: Final = {
    b"c": "customer", rows.OPERATORS: "operator", rows.GROUPS: "group",
    MONTHLY.prefix.encode(): "month_cell", HALF_HOUR.prefix.encode(): "half_hour_cell",
}  # fmt: skip


class Case(NamedTuple):
    """A data set, and how it is taken. `days`: over which the visits are spread, up to yesterday."""

    operators: int
    customers: int
    events: int
    memberships: int = 1
    is_skewed: bool = False
    days: int = 180
    partitions: int = 8

    @property
    def data(self) -> DataSet:
        """Whose customers come."""
        return DataSet("case", self.operators, self.customers, self.memberships, self.is_skewed)


class Rows(NamedTuple):
    """Rows of a kind; `size`: bytes of their keys and values, as they are before compression."""

    count: int
    size: int


class Seen(NamedTuple):
    """What it took. `directory_cpu_s`: for operators and memberships, which come first and are not in `cpu_s`.

    `changelog_ratio`: bytes on the broker for each byte of rows, if they came in batches of some hundred of no order.
    """

    events: int
    cpu_s: float
    directory_cpu_s: float
    rows: dict[str, Rows]
    disk_bytes: int
    rss_bytes: int
    changelog_ratio: float

    @property
    def per_cpu_s(self) -> float:
        """Events for each CPU-second."""
        return self.events / self.cpu_s

    @property
    def size(self) -> int:
        """Bytes of all rows."""
        return sum(found.size for found in self.rows.values())


def run(case: Case) -> Seen:
    """Measure a case in a process of its own. `Raises` LocalError when it fails, or counts wrongly."""
    command = [sys.executable, "-m", "bench.costs.alone", json.dumps(case._asdict())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_SECONDS_MAX)
    if done.returncode:
        raise LocalError(f"costs: {case} failed: {done.stderr.strip()[-500:]}")
    return msgspec.convert(json.loads(done.stdout), Seen)


async def _take(inside: OneProcess, records: Iterator[SentRecord]) -> float:
    """CPU-seconds for records."""
    inside.cpu_s = dict.fromkeys(STAGES, 0.0)
    await inside.take_all(records)
    inside.finish()
    return sum(inside.cpu_s.values())


async def _measure(inside: OneProcess, case: Case) -> tuple[float, float]:
    await inside.start()
    directory_cpu_s = await _take(inside, directory(case.data))
    made = visits(case.data, case.events, last_midnight_ms(), case.days)
    return directory_cpu_s, await _take(inside, (record for visit in made for record in contract(case.data, visit)))


def _stored(inside: OneProcess) -> dict[str, Rows]:
    counts: defaultdict[str, int] = defaultdict(int)
    sizes: defaultdict[str, int] = defaultdict(int)
    for store in inside.stores:
        for key, value in store.scan(b""):
            kind = KINDS.get(key[:1], "other")
            if key[:1] == b"e":
                kind = "session" if key[key.index(b"\0") + 1] == SESSION else "payment"
            counts[kind] += 1
            sizes[kind] += len(key) + len(value)
    return {kind: Rows(counts[kind], sizes[kind]) for kind in sorted(counts)}


def _changelog_ratio(inside: OneProcess) -> float:
    """Of a sample of all rows, packed as the producer of transactions packs them."""
    sample = [row for store in inside.stores for row in store.scan(b"") if crc32(row[0]) % _SAMPLED == 0]
    random.Random(3).shuffle(sample)
    packed = 0
    for start in range(0, len(sample), _BATCH):
        builder = DefaultRecordBatchBuilder(2, _ZSTD, 1, -1, -1, 0, 1 << 20)
        for number, (key, value) in enumerate(sample[start : start + _BATCH]):
            builder.append(number, 0, key, value, [])
        packed += len(builder.build())
    return packed / sum(len(key) + len(value) for key, value in sample)


def _counted(inside: OneProcess) -> tuple[int, int]:
    """Sessions and payments that count in the months that are kept."""
    sessions = payments = 0
    for view in inside.views:
        for operator in view.operators():
            cells = [cell for key, cell in view.scan_cells(MONTHLY, operator) if key.group == ALL]
            sessions += sum(cell.sessions[SESSION_SUMS.count_at] for cell in cells)
            payments += sum(sums[PAYMENT_SUMS.count_at] for cell in cells for sums in cell.payments.values())
    return sessions, payments


def main(arguments: Sequence[str]) -> int:
    """See the module."""
    prepare()
    case = Case(**json.loads(arguments[0]))
    settings = Settings(events_partitions=case.partitions)  # type: ignore[call-arg]  # the sources give the rest
    with tempfile.TemporaryDirectory(prefix="bench-costs-") as folder:
        inside = OneProcess(settings, Path(folder))
        directory_cpu_s, cpu_s = asyncio.run(_measure(inside, case))
        rss_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        wanted = case.events // 2
        if (found := _counted(inside)) != (wanted, wanted):
            print(f"sessions and payments counted are {found}, {wanted} of each came", file=sys.stderr)
            return 1
        stored, ratio = _stored(inside), _changelog_ratio(inside)
        inside.close()
        disk_bytes = sum(file.stat().st_size for file in Path(folder).rglob("*.sst"))
        print(json.dumps(Seen(2 * wanted, cpu_s, directory_cpu_s, stored, disk_bytes, rss_bytes, ratio)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

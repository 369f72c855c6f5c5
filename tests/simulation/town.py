"""The town of a simulation: Kafka with what it does to a changelog, sinks, and the disks of machines, all in memory. Workers (`crew.py`) live in it.

Every output is held against the oracle in the moment in which it is written: what a document, a row or a record shows at a version is the oracle's answer to
exactly the frames before the place that the version names, and no version falls. What as-of claims is held against it, too.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Final

import msgspec

from stream_app.domain.report import figure_row
from stream_app.domain.tables import MONTHLY, TABLES
from stream_app.formats.rows import FORMAT, POSITION, Position, decode_position, encode_position
from stream_app.ports.kafka import Range
from stream_app.ports.records import Records
from stream_app.ports.sinks import Dirty, View
from stream_app.sinks.redis_documents import puts
from stream_app.sinks.redis_keys import document_key
from stream_app.sinks.topics import read_key
from tests.oracle import Truth
from tests.simulation.world import EVENTS_PARTITIONS, RESULT_TOPICS, World
from tests.support.in_memory import MemoryStore
from tests.support.prefixes import Prefixes, offset_of
from tests.support.virtual_time import VirtualTime

MONTHLY_TOPIC: Final = RESULT_TOPICS[MONTHLY.name]
TOMBSTONES_S: Final = 24 * 3600.0
_TABLE_OF: Final = {
    topic: next(table for table in TABLES if table.name == name) for name, topic in RESULT_TOPICS.items()
}


class Disk(MemoryStore):
    """The store of a partition on a machine. Without a log of its own: a crash takes some of the last writes."""

    def __init__(self) -> None:
        super().__init__()
        self._before: list[tuple[dict[bytes, bytes], int, int]] = []  # states since the last flush

    def write(self, rows: Mapping[bytes, bytes | None], log: int) -> None:
        self._before.append((dict(self.rows), self.log, self.clean_ms))
        super().write(rows, log)

    def wipe(self) -> None:
        super().wipe()
        self._before = []

    def close(self) -> None:
        self._before = []

    def after_crash(self, rng: Random) -> "Disk":
        """What another process finds: all up to some write."""
        found = Disk()
        states = [*self._before, (dict(self.rows), self.log, self.clean_ms)]
        found.rows, found.log, found.clean_ms = rng.choice(states)
        return found


class Changelog:
    """A compacted partition: (key, value, time), None where compaction removed one."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes | None, float] | None] = []

    def append(self, rows: Mapping[bytes, bytes | None], at: float) -> int:
        """The position behind the rows."""
        self.records += [(key, value or None, at) for key, value in rows.items()]
        return len(self.records)

    def compact(self, now: float, keep: int) -> None:
        """Keep the last record of each key, and of tombstones those that are not older than they are kept; the last `keep` records stay as they are."""
        last = {record[0]: at for at, record in enumerate(self.records) if record}
        for at, record in enumerate(self.records[: len(self.records) - keep]):
            if record and (last[record[0]] != at or (record[1] is None and now - record[2] > TOMBSTONES_S)):
                self.records[at] = None

    def position(self) -> Position | None:
        """The last row of the position."""
        return next((decode_position(r[1]) for r in reversed(self.records) if r and r[0] == POSITION and r[1]), None)


class Town:
    """See the module. `wrong`: what was seen, as lines."""

    def __init__(self, seed: int, clock: VirtualTime, world: World, prefixes: Prefixes) -> None:
        self.rng, self.clock, self.world, self._prefixes = Random(seed), clock, world, prefixes
        self._counted = [0] * EVENTS_PARTITIONS
        self.changelogs: dict[tuple[int, int], Changelog] = defaultdict(Changelog)  # by generation and partition
        self.epochs: dict[tuple[int, int], int] = defaultdict(int)  # of transactional ids, likewise
        self.shown: dict[tuple[str, bytes], Any] = {}  # the results topics, compacted: by topic and key
        self._versions: dict[tuple[str, bytes], int] = {}
        self.letters: set[bytes] = set()
        self.wrong: list[str] = []
        self.checks = 0

    # -- the events topic

    def refresh(self) -> None:
        """Take the frames that ingest has appended meanwhile to those that the oracle knows."""
        for partition, frames in enumerate(self.world.kafka.events):
            for offset in range(self._counted[partition], len(frames)):
                self._prefixes.add(partition, offset, frames[offset])
            self._counted[partition] = len(frames)
        self.letters |= {key for key, _ in self.world.kafka.results["dead-letters"]}

    def range(self, partition: int) -> Range:
        return Range(0, len(self.world.kafka.events[partition]))

    # -- transactions

    def commit(self, place: tuple[int, int], rows: Mapping[bytes, bytes | None], records: Records) -> int:
        """All of it at once."""
        for (topic, _), some in records.items():
            for key, value, _ in some:
                assert key is not None
                if topic == "dead-letters":
                    self.letters.add(key)
                else:
                    self.publish(topic, key, value)
        return self.changelogs[place].append(rows, self.clock.time())

    def publish(self, topic: str, key: bytes, value: bytes | None) -> None:
        """A record of a results topic."""
        if value is None:
            self.shown.pop((topic, key), None)
            return
        data = json.loads(value)
        self._never_falls((topic, key), data["version"])
        self.shown[topic, key] = data
        cell, currency = read_key(_TABLE_OF[topic], key)
        truth = self.truth(cell.operator, data["version"], topic)
        if truth is not None and _TABLE_OF[topic] is MONTHLY:
            self._row(truth, (cell.operator, cell.group, data["month"], currency), data, topic)
        elif truth is not None:
            self._half_hours(truth, (cell.operator, cell.group, data["date"]), data["slots"], topic)

    def retire(self, place: tuple[int, int], by: int) -> Position:
        """Fence the owners of a partition of a generation, and mark its position, which is given (rebuild/retire.py)."""
        self.epochs[place] += 1
        position = self.changelogs[place].position() or Position(FORMAT, "", 0, 0, -1, 0, 0)
        marked = msgspec.structs.replace(position, superseded_by=by)
        self.commit(place, {POSITION: encode_position(marked)}, {})
        return position

    # -- what outputs must be

    def truth(self, operator: str, version: int, where: str) -> Truth | None:
        """The oracle at a version; None where no window is known."""
        self.refresh()
        self.checks += 1
        found = self._prefixes.truth(operator, offset_of(version))
        if found is None:
            self.wrong.append(f"{where}: {operator} at {version}, before any clock record")
        return found

    def _never_falls(self, of: tuple[str, bytes], version: int) -> None:
        if version < self._versions.get(of, 0):
            self.wrong.append(f"{of}: version {self._versions[of]}, then {version}")
        self._versions[of] = version

    def _row(self, truth: Truth, key: tuple[str, str, str, str], found: Mapping[str, Any], where: str) -> None:
        if key[2] < truth.first_month(key[0]):
            return  # as it last was
        row = truth.monthly.get(key)
        if row is None:
            if found["paymentCount"] or float(found["receivedAmount"]):
                self.wrong.append(f"{where} {key}: expected nothing, found {found}")
        elif different := {name: (value, found[name]) for name, value in row.items() if found[name] != value}:
            self.wrong.append(f"{where} {key} at {found['version']}: (expected, found) {different}")

    def _half_hours(self, truth: Truth, key: tuple[str, str, str], slots: Sequence[int], where: str) -> None:
        if key[2] >= truth.first_day(key[0]).isoformat() and list(slots) != truth.half_hour.get(key, [0] * 48):
            self.wrong.append(f"{where} {key}: expected {truth.half_hour.get(key)}, found {slots}")

    def document(self, name: str, data: Mapping[str, Any]) -> None:
        """A document of Redis, as it is written."""
        kind = name.rsplit(":", 2)[1] if ":monthly:" not in name else "monthly"
        truth = self.truth(data["operatorId"], data["version"], name)
        if truth is None:
            return
        answer = truth.monthly_index if kind == "monthly" else truth.charging_distribute
        wanted = answer(data["operatorId"], data["groupId"])
        if different := {field: (value, data[field]) for field, value in wanted.items() if data[field] != value}:
            self.wrong.append(f"{name} at {data['version']}: (expected, found) {str(different)[:600]}")

    def claim(self, operator: str, documents: Mapping[str, Mapping[str, Any]], end: int) -> None:
        """As-of says that documents hold the frames before `end`: none of them may show less."""
        for name, data in documents.items():
            if offset_of(data["version"]) < end:
                self.document(f"{name}, as its as-of claims, of {operator}", {**data, "version": end})

    def claim_topics(self, partition: int, end: int) -> None:
        """As-of says that the results topics hold the frames of a partition before `end`."""
        shown = {
            (data["operatorId"], data["groupId"], data["month"], data["currency"]): data
            for (topic, _), data in self.shown.items()
            if topic == MONTHLY_TOPIC
        }
        for operator in self._prefixes.operators(partition):
            truth = self._prefixes.truth(operator, end)
            for key, row in truth.monthly.items() if truth else ():
                if key not in shown:
                    self.wrong.append(f"{MONTHLY_TOPIC} {key}: missing, and as-of claims {end}: {row}")
                elif offset_of(shown[key]["version"]) < end:
                    self._row(truth, key, shown[key], f"{MONTHLY_TOPIC} as its as-of claims up to {end}")


class Documents:
    """Documents as Redis keeps them (ports.sinks.Sink), with what its scripts refuse."""

    name = "documents"
    errors: tuple[type[Exception], ...] = ()
    keeps_past = False

    def __init__(self, town: Town) -> None:
        self._town = town
        self.store: dict[str, bytes] = {}
        self._seen: dict[str, int] = {}
        self._versions: dict[str, int] = {}
        self.as_of_ms: dict[int, int] = {}
        self._marks: set[int] = set()  # partitions that were compared since it lost everything
        self.away = False

    def _answers(self) -> None:
        if self.away:
            raise OSError("away")

    async def compare(self, view: View) -> Dirty:
        """All of it may differ."""
        self._answers()
        self._marks.add(view.partition)
        dirty = Dirty(operators=set(view.operators()))
        for table in TABLES:
            for operator in view.operators():
                dirty.cells[table.name].update(key for key, _ in view.scan_cells(table, operator))
        return dirty

    def claimed_ms(self, partition: int) -> int:
        return 0

    async def write(self, changes: Sequence[tuple[View, Dirty]]) -> None:
        for view, dirty in changes:
            for call in puts(view, dirty):
                await asyncio.sleep(0)
                self._answers()
                self._put(*call.keys, *call.arguments)  # type: ignore[arg-type]

    def _put(self, name: str, seen: str, document: bytes, version: int | bytes, state: int, _channel: str) -> None:
        if state < self._seen.get(seen, 0):
            return
        old = self.store.get(name)
        if old == document:
            return
        if old is not None and version != b"" and json.loads(old).get("version", -1) > int(version):
            return
        if state > self._seen.get(seen, 0) and (document == b"" or version == b""):
            self._seen[seen] = state
        if document == b"":
            self.store.pop(name, None)
            return
        self.store[name] = document
        if version != b"":
            data = json.loads(document)
            if data["version"] < self._versions.get(name, 0):
                self._town.wrong.append(f"{name}: version {self._versions[name]}, then {data['version']}")
            self._versions[name] = data["version"]
            self._town.document(name, data)

    async def write_as_of(self, as_of_ms: dict[int, int]) -> set[int]:
        self._answers()
        for partition in as_of_ms.keys() & self._marks:
            self.as_of_ms[partition] = max(as_of_ms[partition], self.as_of_ms.get(partition, 0))
        return as_of_ms.keys() - self._marks

    async def close(self) -> None:
        pass

    def empty(self) -> None:
        """Lose everything; whoever fills it is told, and compares."""
        self.store.clear()
        self._seen.clear()
        self._marks.clear()
        self.as_of_ms.clear()

    def has(self, operator: str, group: str) -> bool:
        """Are both documents of a group there?"""
        return all(document_key(table, operator, group) in self.store for table in TABLES)

    def of(self, partition: int) -> dict[str, Any]:
        """Documents with a version, of a partition."""
        found = {name: json.loads(document) for name, document in self.store.items() if not name.endswith(":groups")}
        return {name: data for name, data in found.items() if data["partition"] == partition}


class Rows:
    """Rows as ClickHouse keeps them: of each key the highest version, for ever."""

    name = "rows"
    errors: tuple[type[Exception], ...] = ()
    keeps_past = True

    def __init__(self, town: Town) -> None:
        self._town = town
        self.store: dict[tuple[str, str, str, str], dict[str, Any]] = {}
        self.away = False

    async def compare(self, view: View) -> Dirty:
        if self.away:
            raise OSError("away")
        dirty = Dirty(operators=set(view.operators()))
        for operator in view.operators():
            dirty.cells[MONTHLY.name].update(key for key, _ in view.scan_cells(MONTHLY, operator))
        dirty.cells[MONTHLY.name].update(view.past(MONTHLY))
        return dirty

    def claimed_ms(self, partition: int) -> int:
        return 0

    async def write(self, changes: Sequence[tuple[View, Dirty]]) -> None:
        for view, dirty in changes:
            keys = sorted(dirty.cells[MONTHLY.name])
            for key, cell in zip(keys, view.last_cells(MONTHLY, keys), strict=True):
                if self.away:
                    raise OSError("away")
                for currency in cell.payments if cell is not None else ():
                    assert cell is not None
                    row = figure_row(MONTHLY, cell, key.period, currency) | {"version": cell.version}
                    at = key.operator, key.group, row["month"], currency
                    if cell.version >= self.store.get(at, row)["version"]:
                        self.store[at] = row
                    truth = self._town.truth(key.operator, cell.version, "row")
                    if truth is not None:
                        self._town._row(truth, at, row, "row")
            await asyncio.sleep(0)

    async def write_as_of(self, as_of_ms: dict[int, int]) -> set[int]:
        return set()

    async def close(self) -> None:
        pass

"""From frames to what a transaction holds: the ledger of a partition between bytes and bytes. No I/O but the store's reads.

Invariant: `freeze` gives, for one offset, the changed rows with the position they stand for, the records of results topics and dead letters, and what sinks must copy:
all of one state, made without letting anything in between.
"""

import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stream_app.domain import probe
from stream_app.domain.cdrs import Events
from stream_app.domain.cells import HalfHourKey, MonthlyKey
from stream_app.domain.errors import Reason, Rejection
from stream_app.domain.events import ENTITIES
from stream_app.domain.ledger import Frozen, Late, Ledger
from stream_app.domain.local_time import month_of_day
from stream_app.formats import rows
from stream_app.formats.frames import FramePart, decode_frame
from stream_app.formats.rows import Position, version_of
from stream_app.partition.conf import Conf
from stream_app.partition.state import State, encode
from stream_app.ports.records import Record
from stream_app.ports.sinks import Dirty
from stream_app.sinks.dead_letters import dead_letter
from stream_app.sinks.topics import ResultRecords, partition_for

_SWEEP_ROWS = 200


class Tick(NamedTuple):
    """What one transaction holds, and what follows from it. `published`: the offset up to which results topics hold everything, or None."""

    rows: dict[bytes, bytes]
    records: dict[tuple[str, int], list[Record]]
    offset: int
    published: int | None
    dirty: Dirty


class Books:
    """The ledger of one partition. `position`: what its rows stand for; `applied`: the next offset to apply."""

    def __init__(
        self, conf: Conf, partition: int, state: State, position: Position, partitions: dict[str, int]
    ) -> None:
        self._conf, self.partition, self._state, self.position = conf, partition, state, position
        self._ledger = Ledger(state, conf.ledger, position.now)
        self._results = ResultRecords(conf.ce_type_prefix, conf.ce_source)
        self._partitions = partitions
        self._dead: list[Record] = []
        self._monthly: set[MonthlyKey] = set()  # changed, not in the results topics yet
        self._half_hours: set[HalfHourKey] = set()
        self._sweeping: tuple[str, tuple[bytes, str] | None] | None = None
        self.changed = False  # since the last freeze
        self.applied = position.offset
        self._recall()

    def _recall(self) -> None:
        """Cells that an earlier owner changed, and did not publish. None, if it published all up to its position."""
        published = self.position.published
        if published >= version_of(self._conf.generation, self.position.offset):
            return
        for operator in self._ledger.work.operators.keys() - {probe.OPERATOR}:
            self._monthly |= {key for key, cell in self._state.scan_monthly(operator) if cell.version > published}
            self._half_hours |= {key for key, cell in self._state.scan_half_hours(operator) if cell.version > published}

    @property
    def unpublished(self) -> bool:
        """Is there something for the results topics, of what was frozen?"""
        return bool(self._monthly or self._half_hours)

    # -- applying

    def apply(self, frames: Sequence[bytes]) -> None:
        """Apply the frames that follow. `Raises` FrameError; then the books must be dropped."""
        decoded = [self._events(*decode_frame(frame)) for frame in frames]
        self._dead += [self._dead_letter(late) for late in self._ledger.apply(decoded)]
        self.applied += len(frames)
        self.changed = True

    def _events(self, clock: int | None, parts: Iterable[FramePart]) -> tuple[int | None, list[Events]]:
        out = []
        for operator, kind, ids, found, raws in parts:
            prefix = rows.entity_prefix(operator, kind)
            keys = [prefix + entity for entity in ids] if kind in ENTITIES else []
            out.append(Events(operator, kind, ids, keys, found, raws))
        return clock, out

    def _dead_letter(self, late: Late) -> Record:
        rejection = Rejection(Reason.TOO_LATE, late.detail)
        topic = self._conf.topics.sources[late.kind]
        failed_at_ms = int(time.time() * 1000)
        return dead_letter(topic, late.partition, late.offset, late.source_key, late.value, rejection, failed_at_ms)

    def sweep(self) -> bool:
        """Delete a few rows past retention; False when there are none."""
        if self._sweeping is None:
            unswept = self._ledger.unswept()
            if not unswept:
                return False
            self._sweeping = unswept[0], None
        operator, after = self._sweeping
        after = self._ledger.sweep(operator, after, _SWEEP_ROWS)
        self._sweeping = None if after is None else (operator, after)
        self.changed = True
        return True

    # -- freezing

    def freeze(self, as_of_ms: int, *, publish: bool) -> Tick:
        """All that changed, as one transaction; with the results topics' records of all cells changed since they were last published."""
        offset = self.applied
        version = version_of(self._conf.generation, offset)
        frozen = self._ledger.freeze(version, as_of_ms)
        self.changed = False
        shown = _without_probe(frozen)
        records = self._tombstones(shown, version, as_of_ms)
        for key, cell in shown.monthly.items():
            (self._monthly.discard if cell is None else self._monthly.add)(key)
        for day, half_hour in shown.half_hours.items():
            (self._half_hours.discard if half_hour is None else self._half_hours.add)(day)
        if publish:
            self._publish(records)
        if not self.unpublished:
            self.position.published = version
        if self._dead:
            self._gather(records, self._conf.topics.dead_letters, self._dead)
            self._dead = []
        self.position.offset, self.position.now, self.position.as_of = offset, self._ledger.work.now, as_of_ms
        changes = encode(frozen)
        changes[rows.POSITION] = rows.encode(self.position)
        self._state.committing = changes
        return Tick(changes, records, offset, None if self.unpublished else offset, self._dirty(frozen))

    def committed(self) -> None:
        """The last tick is in the store."""
        self._state.committing = {}

    def _gather(self, out: dict[tuple[str, int], list[Record]], topic: str, records: Iterable[Record]) -> None:
        count = self._partitions[topic]
        for record in records:
            out.setdefault((topic, partition_for(record.key, count)), []).append(record)

    def _tombstones(self, shown: Frozen, version: int, as_of_ms: int) -> dict[tuple[str, int], list[Record]]:
        """In the transaction that deletes the cells: nobody could know of them later."""
        out: dict[tuple[str, int], list[Record]] = {}
        topics, results = self._conf.topics, self._results
        for key, currencies in shown.dropped.items():
            self._gather(out, topics.monthly, results.monthly_tombstones(key, currencies, version, as_of_ms))
        days = [key for key, cell in shown.half_hours.items() if cell is None]
        self._gather(out, topics.half_hour, [results.half_hour_tombstone(key, version, as_of_ms) for key in days])
        return out

    def _publish(self, out: dict[tuple[str, int], list[Record]]) -> None:
        work, results, topics = self._ledger.work, self._results, self._conf.topics
        work.load_monthly(self._monthly)
        work.load_half_hours(self._half_hours)
        for key in self._monthly:
            operator = work.operators[key.operator]
            self._gather(out, topics.monthly, results.monthly(operator, key, work.monthly.get(key), self.partition))
        for day in self._half_hours:
            operator = work.operators[day.operator]
            cell = work.half_hours.get(day)
            self._gather(out, topics.half_hour, [results.half_hour(operator, day, cell, self.partition)])
        self._monthly, self._half_hours = set(), set()

    def _dirty(self, frozen: Frozen) -> Dirty:
        dirty = Dirty(set(frozen.monthly), set(frozen.half_hours), set(frozen.relisted))
        for operator, group in frozen.hidden:
            today = self._ledger.work.operators[operator].today
            dirty.monthly.add(MonthlyKey(operator, group, month_of_day(today)))
            dirty.half_hour.add(HalfHourKey(operator, group, today))
        return dirty


def _without_probe(frozen: Frozen) -> Frozen:
    """What results topics may show of it: their readers know nothing of the probe."""
    return frozen._replace(
        monthly={key: cell for key, cell in frozen.monthly.items() if key.operator != probe.OPERATOR},
        half_hours={key: cell for key, cell in frozen.half_hours.items() if key.operator != probe.OPERATOR},
        dropped={key: currencies for key, currencies in frozen.dropped.items() if key.operator != probe.OPERATOR},
    )

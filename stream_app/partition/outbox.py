"""What the results topics and dead letters lack of a partition: the records that go with its next transactions.

Beside the partition's state, which decides when. Invariant: a record of a cell is made when it is published, of the cell as it is then; cells
that nobody published are found again by their versions, so none is forgotten by a new owner. Nothing is sent of the probe's operator.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from stream_app.domain import probe
from stream_app.domain.cells import Cell, CellKey
from stream_app.domain.errors import Reason, Rejection
from stream_app.domain.events import PARTITIONS_MAX
from stream_app.domain.ledger import LateEvent
from stream_app.domain.steps import in_steps
from stream_app.domain.tables import TABLES, Table
from stream_app.domain.working import Working
from stream_app.kernel.result_records import NativeResultRecords, new_result_records
from stream_app.partition.conf import Conf
from stream_app.partition.frozen_rows import FrozenRows
from stream_app.partition.traces import Traces
from stream_app.ports.records import Record
from stream_app.sinks.dead_letters import dead_letter
from stream_app.sinks.topics import ResultRecords, partition_for

C = TypeVar("C", bound=Cell | None)
Records = dict[tuple[str, int], list[Record]]  # by (topic, partition)

_PUBLISHED_MAX = 5_000  # cells of a table in one transaction, some 8 MB; what is more goes with the next ones
_STEP_RECORDS = 500  # made at once: some 10 ms
_STEP_CELLS = 20_000  # noted at once: some 10 ms


class Outbox:
    """Cells that changed since they were published, and dead letters. `partitions`: how many each topic has."""

    def __init__(self, conf: Conf, partition: int, partitions: Mapping[str, int]) -> None:
        self._topics, self._partition, self._partitions = conf.topics, partition, partitions
        self._results = ResultRecords(conf.ce_type_prefix, conf.ce_source)
        self._native: dict[str, NativeResultRecords] = {}
        for table in TABLES if conf.native else ():
            made = new_result_records(table, partition, partitions[conf.topics.results[table.name]])
            if made is not None:
                self._native[table.name] = made
        self._letters: list[tuple[int, Record]] = []  # with the offset behind the frame
        self._cells: dict[str, set[CellKey]] = {table.name: set() for table in TABLES}

    @property
    def has_cells(self) -> bool:
        """Is there something for the results topics, of what was frozen?"""
        return any(self._cells.values())

    def recall(self, rows: FrozenRows, operators: Collection[str], published: int) -> None:
        """Find the cells that an earlier owner changed after the version that it published last."""
        for table in TABLES:
            for operator in operators:
                found = rows.scan_cells(table, operator)
                self._cells[table.name] |= {key for key, cell in found if cell.version > published}

    def reject(self, events: Iterable[LateEvent], applied: int) -> None:
        """Add dead letters of events that are too late; `applied`: the offset behind their frame."""
        self._letters += [(applied, self._letter(event)) for event in events]

    def forget_letters(self, offset: int) -> None:
        """Drop dead letters of frames up to this offset."""
        self._letters = [(end, letter) for end, letter in self._letters if end > offset]

    def changed(self, cells: Mapping[str, Mapping[CellKey, Any]]) -> Iterator[None]:
        """Note cells that changed, by name of table, in steps; None: the cell is gone."""
        for name, found in cells.items():
            unpublished = self._cells[name]
            for some in in_steps(found.items(), _STEP_CELLS):
                for key, cell in some:
                    if key.operator != probe.OPERATOR:
                        (unpublished.discard if cell is None else unpublished.add)(key)
                yield

    def tombstones(
        self, dropped: Mapping[str, Mapping[CellKey, Any]], version: int, as_of_ms: int, out: Records
    ) -> None:
        """Add tombstones of cells that left retention; only the transaction that deletes cells knows of them."""
        for table in TABLES:
            topic = self._topics.results[table.name]
            for key, cell in dropped[table.name].items():
                self._gather(out, topic, self._results.tombstones(table, key, cell, version, as_of_ms))

    def publish(self, work: Working, traces: Traces | None, out: Records) -> Iterator[None]:
        """Add records of cells, in steps; of so many that a transaction may hold."""
        for table in TABLES:
            topic, cells = self._topics.results[table.name], work.cells[table.name]
            unpublished = self._cells[table.name]
            keys = list(islice(unpublished, _PUBLISHED_MAX))
            for some in in_steps(keys, _STEP_RECORDS):
                rest = some if traces is not None else self._publish_rows(table, some, work, out)
                for key, cell in zip(rest, cells.peek(rest), strict=True):
                    operator = work.operators[key.operator]
                    found = self._results.of(table, operator, key, cell, self._partition)
                    if traces is not None:
                        found = traces.marked(topic, key.operator, found)
                    self._gather(out, topic, found)
                yield
            unpublished.difference_update(keys)

    def _publish_rows(
        self, table: Table[Any], keys: Sequence[CellKey], work: Working, out: Records
    ) -> Sequence[CellKey]:
        """Add records of those of the cells that are known as rows; the others, in no order."""
        native = self._native.get(table.name)
        if native is None:
            return keys
        rows = work.cells[table.name].peek_rows(keys)
        known = [(key, row) for key, row in zip(keys, rows, strict=True) if row]
        if not known:
            return keys
        names = [key for key, _ in known]
        timezones = [work.operators[key.operator].timezone for key in names]
        made, left = native.of(names, timezones, [row for _, row in known])
        topic = self._topics.results[table.name]
        for one in made:
            record = self._results.made(table, one.key, one.value, one.id, one.as_of)
            out.setdefault((topic, one.partition), []).append(record)
        return [*(key for key, row in zip(keys, rows, strict=True) if not row), *(names[index] for index in left)]

    def send_letters(self, out: Records) -> None:
        """Add all dead letters."""
        self._gather(out, self._topics.dead_letters, [letter for _, letter in self._letters])
        self._letters = []

    def _gather(self, out: Records, topic: str, records: Iterable[Record]) -> None:
        count = self._partitions[topic]
        for record in records:
            out.setdefault((topic, partition_for(record.key, count)), []).append(record)

    def _letter(self, late: LateEvent) -> Record:
        rejection = Rejection(Reason.TOO_LATE, late.detail)
        number, partition = divmod(late.partition, PARTITIONS_MAX)
        topic = self._topics.sources.get((late.kind, number), f"topic-{number}")  # the map of its topic may be gone
        failed_at_ms = int(time.time() * 1000)
        return dead_letter(topic, partition, late.offset, late.source_key, late.value, rejection, failed_at_ms)


def shown(tables: dict[str, dict[CellKey, C]]) -> dict[str, dict[CellKey, C]]:
    """Cells by name of table, without those of the probe's operator."""
    return {
        name: {key: cell for key, cell in cells.items() if key.operator != probe.OPERATOR}
        for name, cells in tables.items()
    }

"""The cases as records of the results topics, one topic for each table and one for as-of.

Pure. Written in rounds: round n has the n-th step of each case, so that a reader who is interrupted between two rounds has half of each case behind it.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import chain, product, zip_longest
from typing import Any, Final, NamedTuple

from stream_app.domain.cells import Cell, CellKey, CountCell, FigureCell, Operator
from stream_app.domain.figures import MONEY
from stream_app.domain.local_time import day_of
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS, Layout, Sums
from stream_app.domain.tables import TABLES, CountTable, Table
from stream_app.golden.cases import AS_OF, CASES, Case, Step
from stream_app.ports.records import Record
from stream_app.sinks.topics import ResultRecords, partition_for

AS_OF_TOPIC: Final = "as-of.v1"
TOPICS: Final = (*(table.topic for table in TABLES), AS_OF_TOPIC)
"""What the names of the topics end with."""

UNKNOWN: Final = "fieldOfALaterRelease"
"""A field that readers don't know; no part of a right view, and no fault in one."""

_OPERATORS: Final = ("M1", "a b|c{d}+%")
_OPERATOR: Final = Operator(timezone="Europe/Berlin", currency="EUR")
_CURRENCIES: Final = ("EUR", "JPY", "KWD")  # of 2, 0 and 3 digits
_DAYS: Final = (day_of(date(2026, 1, 31)), day_of(date(2026, 2, 1)))
_FIRST_MS: Final = 1_769_990_400_000  # 2026-02-02T00:00:00Z
_LARGE: Final = 10**20


class Golden(NamedTuple):
    """A record: `topic` is one of TOPICS; `meaning` is the case's. `is_held`: a right view has it in the end."""

    topic: str
    record: Record
    meaning: str
    is_held: bool
    is_aborted: bool
    is_elsewhere: bool

    def partition(self, partitions: int) -> int:
        """Where it goes in a topic of so many partitions."""
        return (partition_for(self.record.key, partitions) + self.is_elsewhere) % partitions


class Round(NamedTuple):
    """Two transactions, in this order."""

    aborted: list[Golden]
    committed: list[Golden]


def rounds(results: ResultRecords) -> list[Round]:
    """All records, as they are written."""
    keys = [_steps(results, *each) for each in product(TABLES, CASES, _OPERATORS, _DAYS)]
    keys += [_as_of_steps(results, *each) for each in AS_OF]
    out = []
    for together in zip_longest(*keys, fillvalue=()):
        found = list(chain.from_iterable(together))
        out.append(Round([each for each in found if each.is_aborted], [each for each in found if not each.is_aborted]))
    return out


def _steps(results: ResultRecords, table: Table[Any], case: Case, operator: str, day: int) -> Iterator[list[Golden]]:
    key = CellKey(operator, case.group, table.period.of_day(day))
    for step in case.steps:
        cell = _cell(table, step)
        if step.is_tombstone:
            made = results.tombstones(table, key, cell, step.version, cell.as_of)
        else:
            made = results.of(table, _OPERATOR, key, cell, AS_OF[0].partition)
        if step.has_more:
            made = [record._replace(value=_with_more(record.value or b"")) for record in made]
        held = step.version == case.holds and not step.is_tombstone
        yield [Golden(table.topic, one, case.meaning, held, step.is_aborted, step.is_elsewhere) for one in made]


def _as_of_steps(
    results: ResultRecords, partition: int, meaning: str, seconds: Sequence[int]
) -> Iterator[list[Golden]]:
    for second in seconds:
        record = results.as_of(partition, _FIRST_MS + second * 1000)
        yield [Golden(AS_OF_TOPIC, record, meaning, second == max(seconds), is_aborted=False, is_elsewhere=False)]


def _cell(table: Table[Any], step: Step) -> Cell:
    """Figures that each version has others of."""
    size, as_of = step.version % 97 + 1, _FIRST_MS + step.version % 1000
    if isinstance(table, CountTable):
        slots = [0 if step.is_zero else (size + slot) % 7 for slot in range(table.width)]
        return CountCell(step.version, as_of, slots)
    payments = {currency: _sums(PAYMENT_SUMS, size * (at + 1), step) for at, currency in enumerate(_CURRENCIES)}
    return FigureCell(step.version, as_of, payments, _sums(SESSION_SUMS, size, step))


def _sums(layout: Layout, size: int, step: Step) -> Sums:
    """Sums that get smaller, so that a part is not more than the sum that it is a part of."""
    if step.is_zero:
        return layout.zeros()
    sums = [size * 1001 // (place + 1) for place in range(layout.size)]
    if step.is_large:
        sums = [n * _LARGE + 1 if layout.figures[place].unit is MONEY else n for place, n in enumerate(sums)]
    return sums


def _with_more(value: bytes) -> bytes:
    return json.dumps(json.loads(value) | {UNKNOWN: {"any": ["thing"]}}, ensure_ascii=False).encode()

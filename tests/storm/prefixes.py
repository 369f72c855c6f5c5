"""Versions that were read, held against the oracle: a version names a place in the events topic, and so a set of source records.

Whatever was read at a version must be the oracle's answer to the source records of the frames before that place; and where an as-of was read before it, to all
records that Kafka had taken before that as-of, too.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from stream_app.domain.events import OFFSET, PARTITION
from stream_app.domain.local_time import QUARTER_MS
from stream_app.formats.frames import decode_frame
from tests.oracle import TOPICS, Place, Record, Truth, truth
from tests.oracle_room.differences import MONTHLY_COLUMNS, compare, expected_row
from tests.storm.readers import Seen

_OFFSET_OF: Final = (1 << 40) - 1  # of a version: the offset behind the last applied frame
_KINDS: Final = dict(enumerate(("session", "payment", "cdr", "membership", "group", "operator"), start=1))
_TRUTHS_MAX: Final = 64
_FAR_MS: Final = 1 << 42  # what lies in the future is no event


class _Told(NamedTuple):
    """What frames say of an operator: offsets, and beside each the place of a source record."""

    offsets: list[int]
    places: list[Place]


class Prefixes:
    """The events topic, by operator. `records`: of the source topics; `taken_ms`: when Kafka had taken them."""

    def __init__(self, events: Iterable[Record], records: Iterable[Record], taken_ms: Mapping[Place, int]) -> None:
        self._records = {record.place: record for record in records}
        self._taken_ms = taken_ms
        self._told: dict[str, _Told] = defaultdict(lambda: _Told([], []))
        self._clocks: dict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        self._partition: dict[str, int] = {}
        self._truths: dict[tuple[str, int], Truth | None] = {}
        for frame in events:
            assert frame.value is not None
            clock, parts = decode_frame(frame.value)
            if clock is not None:
                offsets, clocks = self._clocks[frame.partition]
                offsets.append(frame.offset)
                clocks.append(max(clock, clocks[-1] if clocks else 0))
            for part in parts:
                told = self._told[part.operator]
                self._partition[part.operator] = frame.partition
                for row in part.rows:
                    told.offsets.append(frame.offset)
                    told.places.append((TOPICS[_KINDS[part.kind]], row[PARTITION], row[OFFSET]))

    def wrong(self, seen: Seen) -> list[str]:
        """What of a content that was read is not the oracle's."""
        offset = seen.version & _OFFSET_OF
        lines = self._differences(seen, offset)
        operator = seen.name.operator
        if seen.as_of_ms and operator in self._told:
            told = self._told[operator]
            held = [
                at + 1 for at, place in zip(*told, strict=True) if self._taken_ms.get(place, _FAR_MS) < seen.as_of_ms
            ]
            if held and held[-1] > offset:
                # Each record is held from its first frame on: later ones of it are repetitions.
                first = {place: at + 1 for at, place in reversed(list(zip(*told, strict=True)))}
                held = [first[p] for p in first if self._taken_ms.get(p, _FAR_MS) < seen.as_of_ms]
                if max(held) > offset:
                    lines += [f"by as-of: {line}" for line in self._differences(seen, max(held))]
        return [f"{seen.name} at version {seen.version}: {line}" for line in lines]

    def _differences(self, seen: Seen, offset: int) -> list[str]:
        wanted = self._truth(seen.name.operator, offset)
        if wanted is None:
            return ["read before any clock record"]
        kind, operator, group, period, currency = seen.name
        if kind == "row":
            return _row(wanted, seen.name, seen.content)
        answer = (
            wanted.monthly_index(operator, group) if kind == "monthly" else wanted.charging_distribute(operator, group)
        )
        del period, currency
        return compare(answer, {name: value for name, value in seen.content.items() if name != "partition"})

    def _truth(self, operator: str, offset: int) -> Truth | None:
        """Of the frames before an offset; None before any clock record."""
        told = self._told[operator]
        count = bisect_left(told.offsets, offset)
        offsets, clocks = self._clocks[self._partition[operator]]
        before = bisect_left(offsets, offset)
        if not before:
            return None
        key = operator, (count << 20) + before
        if key not in self._truths:
            if len(self._truths) > _TRUTHS_MAX:
                self._truths.clear()
            records = [self._records[place] for place in dict.fromkeys(told.places[:count])]
            self._truths[key] = truth(records, now=clocks[before - 1] * QUARTER_MS, wall_now=_FAR_MS)
        return self._truths[key]


def _row(wanted: Truth, name: Any, found: list[Any]) -> list[str]:
    _, operator, group, month, currency = name
    if month < wanted.first_month(operator):
        return []  # past retention: frozen as it was
    row = expected_row(wanted, operator, group, month, currency)
    lines = []
    for column, value in zip(MONTHLY_COLUMNS, found, strict=True):
        figure = "".join(part.title() if n else part for n, part in enumerate(column.split("_")))
        expected = row[figure]
        if Decimal(value) != Decimal(expected):
            lines.append(f"{column}: expected {expected}, found {value}")
    return lines

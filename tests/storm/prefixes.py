"""Versions that were read, held against the oracle (`tests/support/prefixes.py`).

Whatever was read at a version must be the oracle's answer to the source records of the frames before its place; and where an as-of was read before it, to all
records that Kafka had taken before that as-of, too.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from tests.oracle import Place, Record, Truth
from tests.oracle_room.differences import MONTHLY_COLUMNS, compare, expected_row
from tests.storm.readers import Name, Seen
from tests.support.prefixes import Prefixes, offset_of

_NEVER_MS: Final = 1 << 42


class Versions:
    """`events`: records of the events topic, in order; `records`: of the source topics; `taken_ms`: when Kafka had taken them."""

    def __init__(self, events: Iterable[Record], records: Iterable[Record], taken_ms: Mapping[Place, int]) -> None:
        self._taken_ms = taken_ms
        self._prefixes = Prefixes({record.place: record for record in records})
        for frame in events:
            assert frame.value is not None
            self._prefixes.add(frame.partition, frame.offset, frame.value)

    def wrong(self, seen: Seen) -> list[str]:
        """What of a content that was read is not the oracle's."""
        offset = offset_of(seen.version)
        lines = self._differences(seen, offset)
        if seen.as_of_ms:
            first = self._prefixes.first_offsets(seen.name.operator)
            claimed = [at for place, at in first.items() if self._taken_ms.get(place, _NEVER_MS) < seen.as_of_ms]
            if max(claimed, default=0) > offset:
                lines += [f"by as-of: {line}" for line in self._differences(seen, max(claimed))]
        return [f"{seen.name} at version {seen.version}: {line}" for line in lines]

    def _differences(self, seen: Seen, offset: int) -> list[str]:
        name = seen.name
        wanted = self._prefixes.truth(name.operator, offset)
        if wanted is None:
            return ["read before any clock record"]
        if name.kind == "row":
            return _row(wanted, name, seen.content)
        answer = wanted.monthly_index if name.kind == "monthly" else wanted.charging_distribute
        found = {field: value for field, value in seen.content.items() if field != "partition"}
        return compare(answer(name.operator, name.group), found)


def _row(wanted: Truth, name: Name, found: list[Any]) -> list[str]:
    if name.period < wanted.first_month(name.operator):
        return []  # past retention: frozen as it was
    row = expected_row(wanted, name.operator, name.group, name.period, name.currency)
    lines = []
    for column, value in zip(MONTHLY_COLUMNS, found, strict=True):
        figure = "".join(part.title() if n else part for n, part in enumerate(column.split("_")))
        if Decimal(value) != Decimal(row[figure]):
            lines.append(f"{column}: expected {row[figure]}, found {value}")
    return lines

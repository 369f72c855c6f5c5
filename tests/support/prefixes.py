"""The oracle at a place of the events topic: what results must be that hold exactly the frames before an offset.

A version names such a place. Frames are decoded by the product, for they say which source records they hold; all else is the oracle's.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from typing import Final, NamedTuple

from stream_app.domain.events import OFFSET, PARTITION
from stream_app.domain.local_time import QUARTER_MS
from stream_app.formats.frames import decode_frame
from tests.oracle import TOPICS, Clock, Place, Record, Settings, Truth, truth

_KINDS: Final = dict(enumerate(("session", "payment", "cdr", "membership", "group", "operator"), start=1))
_TRUTHS_MAX: Final = 64
_FAR_MS: Final = 1 << 42  # what lies in the future is no event


def offset_of(version: int) -> int:
    """The offset behind the last frame that a version holds."""
    return version & (1 << 40) - 1


class _Told(NamedTuple):
    """Offsets of frames, and beside each a place of a source record, or a clock record."""

    offsets: list[int]
    items: list[Place | Clock]


class Prefixes:
    """The events topic, by operator. `records`: the source records, by place; more may come later."""

    def __init__(self, records: Mapping[Place, Record], settings: Settings | None = None) -> None:
        self._records, self._settings = records, settings
        self._clocks: dict[int, _Told] = defaultdict(lambda: _Told([], []))  # by partition
        self._told: dict[str, _Told] = {}
        self._partition: dict[str, int] = {}
        self._truths: dict[tuple[str, int, int], Truth | None] = {}

    def add(self, partition: int, offset: int, frame: bytes) -> None:
        """The next frame of a partition."""
        clock, parts = decode_frame(frame)
        if clock is not None:
            self._clocks[partition].offsets.append(offset)
            self._clocks[partition].items.append(Clock(clock * QUARTER_MS))
        for part in parts:
            told = self._told.setdefault(part.operator, _Told([], []))
            self._partition[part.operator] = partition
            for row in part.rows:
                told.offsets.append(offset)
                told.items.append((TOPICS[_KINDS[part.kind]], row[PARTITION], row[OFFSET]))

    def operators(self, partition: int) -> list[str]:
        """Those of a partition that frames have named."""
        return [operator for operator, own in self._partition.items() if own == partition]

    def first_offsets(self, operator: str) -> dict[Place, int]:
        """By place of an operator's source records, the offset behind the first frame that holds it."""
        told = self._told.get(operator, _Told([], []))
        return {place: at + 1 for at, place in reversed(list(zip(*told, strict=True))) if not isinstance(place, Clock)}

    def truth(self, operator: str, offset: int) -> Truth | None:
        """About the operator, of the frames before an offset; None before any clock record, when no window is known."""
        told, clocks = self._told.get(operator, _Told([], [])), self._clocks[self._partition.get(operator, 0)]
        count, ticks = bisect_left(told.offsets, offset), bisect_left(clocks.offsets, offset)
        if not ticks:
            return None
        key = operator, count, ticks
        if key not in self._truths:
            if len(self._truths) > _TRUTHS_MAX:
                self._truths.clear()
            numbered = [
                *zip(told.offsets[:count], told.items, strict=False),
                *zip(clocks.offsets[:ticks], clocks.items, strict=False),
            ]
            numbered.sort(key=lambda found: found[0])
            items = [item if isinstance(item, Clock) else self._records[item] for _, item in numbered]
            self._truths[key] = truth(items, ordered=True, wall_now=_FAR_MS, settings=self._settings)
        return self._truths[key]

"""What is remembered of a partition of a consumer group: some minutes, in slots, and since when what has been so.

Bounded, whatever the length of the watch and the pace of looks: when there are too many slots each two become one, and what is older than
the window goes. The last two minutes have slots of their own, for what has just changed would be lost among ten. A slot keeps the lowest
and the highest lag of its looks, so that a sawtooth is seen whatever falls between. A topic made anew begins a new history. No clock: the
time is the point's.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from stream_app.health.lag import Point, is_unread, lag_records

WINDOW_MS: Final = 600_000
RECENT_MS: Final = 120_000
SLOTS_MAX: Final = 32
_STEPS_KEPT: Final = 4


@dataclass(slots=True)
class Slot:
    """Looks that follow each other, summed up. `moves`: how often the committed offset rose."""

    point: Point  # the first
    floor: int  # of the lag in records
    peak: int
    moves: int

    def take(self, other: "Slot") -> None:
        """Add the slot that follows."""
        self.floor, self.peak = min(self.floor, other.floor), max(self.peak, other.peak)
        self.moves += other.moves


class Window:
    """The slots of the last `window_ms` milliseconds."""

    def __init__(self, window_ms: int) -> None:
        self._window_ms, self._spacing_ms = window_ms, 0
        self.slots: list[Slot] = []

    def put(self, slot: Slot) -> None:
        """A look, later than all before."""
        if self.slots and slot.point.time_ms - self.slots[-1].point.time_ms < self._spacing_ms:
            self.slots[-1].take(slot)
        else:
            self.slots.append(slot)
        while self.slots[0].point.time_ms < slot.point.time_ms - self._window_ms:
            self.slots.pop(0)
        if len(self.slots) > SLOTS_MAX:
            for first, second in zip(self.slots[::2], self.slots[1::2], strict=False):
                first.take(second)
            self.slots = self.slots[::2]
            self._spacing_ms = (slot.point.time_ms - self.slots[0].point.time_ms) // len(self.slots)

    def thirds(self) -> list[Sequence[Slot]]:
        """The slots, in three parts of about the same time."""
        if not self.slots:
            return [[], [], []]
        first, last = self.slots[0].point.time_ms, self.slots[-1].point.time_ms
        parts: list[list[Slot]] = [[], [], []]
        for slot in self.slots:
            parts[min(2, 3 * (slot.point.time_ms - first) // max(1, last - first))].append(slot)
        return list(parts)


class History:
    """The history of one partition of one consumer group. Times are epoch milliseconds; None: the condition does not hold."""

    def __init__(self) -> None:
        self.whole, self.recent = Window(WINDOW_MS), Window(RECENT_MS)
        self._steps: deque[int] = deque(maxlen=_STEPS_KEPT)  # between commits that moved
        self.last: Point | None = None
        self.moved: Point | None = None  # the look that saw the committed offset change last
        self.waiting_ms: int | None = None  # since when something is unread and the committed offset has not moved
        self.unowned_ms: int | None = None  # since when no member owns the partition

    def points(self) -> list[Point]:
        """The first look of each slot and the last look of all, oldest first."""
        return self._points(self.whole)

    def pace(self) -> list[Point]:
        """The points that rates are measured over: of the last two minutes, or of the whole window where commits are rarer than that."""
        return self._points(self.recent if moves(self.recent.slots) > 1 else self.whole)

    def _points(self, window: Window) -> list[Point]:
        found = [slot.point for slot in window.slots]
        return found if self.last is None or found[-1] is self.last else [*found, self.last]

    def add(self, point: Point, *, owned: bool | None) -> None:
        """A look, later than all before. `owned`: by a member of the group; None: it can't be told now."""
        before, self.last = self.last, point
        moved = before is not None and before.committed != point.committed
        if moved:
            if self.moved is not None:
                self._steps.append(point.time_ms - self.moved.time_ms)
            self.moved = point
        if not is_unread(point) or moved:
            self.waiting_ms = None
        if is_unread(point) and self.waiting_ms is None:
            self.waiting_ms = point.time_ms
        if owned:
            self.unowned_ms = None
        elif owned is False and self.unowned_ms is None:
            self.unowned_ms = point.time_ms
        rose = moved and before is not None and (point.committed or 0) > (before.committed or 0)
        lag = lag_records(point)
        for window in (self.whole, self.recent):
            window.put(Slot(point, lag, lag, int(rose)))

    def step_ms_max(self) -> int:
        """The longest of the last times between two moves of the committed offset; 0 while none is known."""
        return max(self._steps, default=0)

    def highest(self) -> int | None:
        """The highest committed offset of the window."""
        return max((point.committed for point in self.points() if point.committed is not None), default=None)


def floor(slots: Sequence[Slot]) -> int:
    """The lowest lag of these slots, in records."""
    return min(slot.floor for slot in slots)


def peak(slots: Sequence[Slot]) -> int:
    """The highest lag of these slots, in records."""
    return max(slot.peak for slot in slots)


def moves(*parts: Sequence[Slot]) -> int:
    """How often the committed offset rose in these slots."""
    return sum(slot.moves for slot in chain(*parts))

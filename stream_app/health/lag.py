"""How far a consumer group is behind in a partition, in records and in seconds; how long until it is not, or until records are lost.

A `Point` is one look at a partition of a group. Everything here is a function of points and of the time that is given; there is no clock.
Two words decide what counts as lag:

- *readable*: up to the last stable offset. What lies in an open transaction can't be read by anybody who reads committed, so it is no lag of a
  consumer; a group that has committed beyond it reads uncommitted, and then everything counts.
- *unread*: the first record that is readable and not consumed, by its timestamp. Control records and gaps of compaction are no records: with
  nothing but those behind the committed offset nothing is unread, whatever the difference of offsets says.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

UNKNOWN_MS: Final = -1  # of an unread record whose time could not be found
_MS: Final = 1000


class Point(NamedTuple):
    """A look at a partition of a consumer group. Offsets; times in epoch milliseconds."""

    time_ms: int
    committed: int | None  # None: never, or what was committed is of another topic of this name
    start: int  # of what is kept
    end: int  # of what can be read
    unread_ms: int | None = UNKNOWN_MS  # when the first unread record was taken; None: nothing is unread


class Retention(NamedTuple):
    """What a topic keeps; None: for ever."""

    ms: int | None = None
    bytes: int | None = None


class Rates(NamedTuple):
    """Offsets a second: into the partition, and read by the group."""

    incoming: float
    outgoing: float


def readable_end(committed: int | None, stable: int, end: int) -> int:
    """Up to where the group can read. `stable`: last stable offset; `end`: behind the last record, open transactions included."""
    return end if committed is not None and committed > stable else stable


def lag_records(point: Point) -> int:
    """Offsets not consumed yet, which are at most so many records; for a group that never committed, all that are kept."""
    if point.unread_ms is None:
        return 0
    return max(0, point.end - max(point.committed or 0, point.start))


def is_unread(point: Point) -> bool:
    """Is any record unread?"""
    return lag_records(point) > 0


def lag_ms(now_ms: int, point: Point) -> int | None:
    """The age of the first unread record: 0 with nothing unread, and for one that says it is of the future. None: not known."""
    if not is_unread(point):
        return 0
    if point.unread_ms is None or point.unread_ms == UNKNOWN_MS:
        return None
    return max(0, now_ms - point.unread_ms)


def rates(points: Sequence[Point]) -> Rates:
    """Over points, oldest first. A group that commits in steps is measured from step to step, so that half a step does not count."""
    if len(points) < 2:
        return Rates(0.0, 0.0)
    first, last = points[0], points[-1]
    steps = [now for before, now in pairwise(points) if _rose(before, now)]
    outgoing = _speed(first.time_ms, first.committed, last.time_ms, last.committed)
    if len(steps) > 1:
        outgoing = _speed(steps[0].time_ms, steps[0].committed, steps[-1].time_ms, steps[-1].committed)
    return Rates(_speed(first.time_ms, first.end, last.time_ms, last.end), max(0.0, outgoing))


def _rose(before: Point, now: Point) -> bool:
    return before.committed is not None and now.committed is not None and now.committed > before.committed


def _speed(from_ms: int, before: int | None, to_ms: int, now: int | None) -> float:
    if before is None or now is None or to_ms <= from_ms:
        return 0.0
    return (now - before) * _MS / (to_ms - from_ms)


def catch_up_s(records: int, speed: Rates) -> float | None:
    """Seconds until nothing is unread, as things go; None: never."""
    if not records:
        return 0.0
    gain = speed.outgoing - speed.incoming
    return records / gain if gain > 0 else None


def retention_used(now_ms: int, point: Point, retention: Retention) -> float | None:
    """Which share of what is kept lies before the group: at 1 records go unread. None: nothing is deleted here, or it is not known.

    By time from the age of the first unread record; by size from offsets, once deletion has begun (the partition no longer starts at 0).
    """
    shares = []
    if retention.ms is not None and (age_ms := lag_ms(now_ms, point)) is not None:
        shares.append(age_ms / max(1, retention.ms))
    if retention.bytes is not None and point.start > 0 and point.end > point.start:
        shares.append(lag_records(point) / (point.end - point.start))
    return max(shares) if shares else None


def loss_in_s(now_ms: int, points: Sequence[Point], retention: Retention) -> float | None:
    """Seconds until records are deleted unread, as things go; 0: they may be by now. None: never, or it is not known.

    The earliest moment: Kafka deletes whole segments, so a record lives on until the newest of its segment is old enough.
    """
    first, last, found = points[0], points[-1], []
    age_ms = lag_ms(now_ms, last)
    if not is_unread(last):
        return None
    if retention.ms is not None and age_ms is not None:
        # How fast the age grows: 1 for a group that stands still, below 0 for one that catches up.
        passed_ms, before_ms = last.time_ms - first.time_ms, lag_ms(first.time_ms, first)
        growth = 1.0 if passed_ms <= 0 or before_ms is None else (age_ms - before_ms) / passed_ms
        left_ms = retention.ms - age_ms
        if left_ms <= 0:
            found.append(0.0)
        elif growth > 0:
            found.append(left_ms / growth / _MS)
    if retention.bytes is not None and last.committed is not None:
        closing = _speed(first.time_ms, first.start, last.time_ms, last.start) - rates(points).outgoing
        if closing > 0:
            found.append(max(0, last.committed - last.start) / closing)
    return min(found, default=None)

"""Has a source fallen silent? The age of its last record against what came in the same hour of the last seven days. Pure.

A dead upstream must not look fresh: with nothing to read, lag is 0 and as-of moves on. Whether nothing is too little is told by the days
before: by their median so many records would have come since the last one, in up to an hour; after a whole day without a record, in a
day, for sources of which an hour says little. Too few days, or ones that are always empty, judge nothing.
"""

from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

DAYS: Final = 7
HOUR_S: Final = 3600.0
DAY_S: Final = 24 * HOUR_S
_DAYS_MIN: Final = 3
_AGE_S_MIN: Final = 300.0
_MISSED_MIN: Final = 10.0  # records that should have come: none came by chance once in 20,000 times


class Silence(NamedTuple):
    """`per_hour`: records of this hour in the days before, None: nothing to compare with. `missed`: how many should have come since the last."""

    per_hour: float | None
    missed: float
    is_silent: bool


def judge_silence(age_s: float | None, hours: Sequence[int | None], days: Sequence[int | None] = ()) -> Silence:
    """By the age of the last record (None: there is none), and what came before (None: not kept).

    `hours`: records of the hour that ended at this time of day, on each day before; `days`: of the whole day that ended then.
    """
    per_hour, per_day = _typical(hours), _typical(days)
    if per_hour is None:
        return Silence(None, 0.0, is_silent=False)
    waited_s = DAY_S if age_s is None else age_s
    missed = per_hour * min(waited_s, HOUR_S) / HOUR_S
    if waited_s >= DAY_S:
        missed = max(missed, per_day or 0.0)
    return Silence(per_hour, missed, is_silent=waited_s >= _AGE_S_MIN and missed >= _MISSED_MIN)


def _typical(counts: Sequence[int | None]) -> float | None:
    known = [count for count in counts if count is not None]
    return float(median(known)) if len(known) >= _DAYS_MIN else None

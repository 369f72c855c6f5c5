"""When a generation that is being built has caught up with events that go on coming in.

Partitions commit step by step, each at its own time, so with steady traffic there may be no moment at which all of them
stand at the ends of a moment before. The ends to reach therefore stay the same until every partition has passed them.
Pure: no clock, no I/O.
"""

from collections.abc import Callable, Mapping
from math import inf
from typing import Final

NEAR_S: Final = 10.0  # what is left to apply at most, in seconds of events
_GAINING: Final = 0.8  # to pass the ends took less than this share of the time before: the next ones will be nearer

Ends = Mapping[tuple[str, int], int]


class CatchingUp:
    """Caught up: ends that were seen at most NEAR_S ago are passed by every partition, and those seen next would be no nearer."""

    def __init__(self) -> None:
        self._wanted: Ends | None = None
        self._seen_s, self._took_s = 0.0, inf

    def is_done(self, now_s: float, ends: Ends, has_passed: Callable[[Ends], bool]) -> bool:
        """Has it caught up? `ends`: the ends now; `has_passed`: whether all partitions have reached given ends; times in seconds of any clock that does not jump."""
        if self._wanted is not None and has_passed(self._wanted):
            before_s, self._took_s = self._took_s, now_s - self._seen_s
            if self._took_s <= NEAR_S and self._took_s >= _GAINING * before_s:
                return True
            self._wanted = None
        if self._wanted is None:
            self._wanted, self._seen_s = dict(ends), now_s
        return False

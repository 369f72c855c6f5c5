"""Trouble that many have at once, and again and again: when it is worth a line that it has begun, and that it is over.

A broker that goes takes something away from each partition, so whoever tells of it tells of all of them in one line. Pure: no log, no clock.
"""

from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Trouble(Generic[T]):
    """Trouble of one kind. What begins soon after a line is not said, unless it lasts.

    `quiet_s`: seconds between two lines that it has begun.
    """

    def __init__(self, quiet_s: float) -> None:
        self._quiet_s, self._again_s = quiet_s, float("-inf")
        self._has: set[T] = set()
        self._had: set[T] = set()  # since nobody had it last
        self._is_said = False

    def has(self, who: T, now_s: float) -> bool:
        """Whether to say that the trouble has begun. To be called again while it lasts."""
        self._has.add(who)
        self._had.add(who)
        if self._is_said or now_s < self._again_s:
            return False
        self._is_said, self._again_s = True, now_s + self._quiet_s
        return True

    def is_over(self, who: Collection[T]) -> frozenset[T]:
        """All who had the trouble, when it is over for the last of them and to be said; else nobody."""
        self._has.difference_update(who)
        if self._has or not self._had:
            return frozenset()
        had, is_said = frozenset(self._had), self._is_said
        self._had.clear()
        self._is_said = False
        return had if is_said else frozenset()

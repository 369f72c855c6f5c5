"""What is true of a consumer group, as the one knows it who writes its records and its commits.

All is noted while it happens and judged after the run, so that an acknowledgement that comes late is no error of anybody. Asks Kafka nothing.
"""

from typing import NamedTuple


class Commit(NamedTuple):
    """Times in epoch milliseconds: the broker took it somewhere between the two."""

    began_ms: int
    done_ms: int
    offset: int


class Truth:
    """One partition of one group. One thread writes."""

    def __init__(self) -> None:
        self._records: list[tuple[int, int]] = []  # that can be read: offset and time, in the order of offsets
        self._commits: list[Commit] = []

    def appended(self, offset: int, time_ms: int) -> None:
        """A record that a consumer can read."""
        self._records.append((offset, time_ms))

    def committed(self, commit: Commit) -> None:
        """What the group committed; later ones follow."""
        self._commits.append(commit)

    def may_be_committed(self, from_ms: int, to_ms: int) -> list[int]:
        """Each offset that was the committed one at some moment in between; 0 stands for none."""
        found = []
        for number, commit in enumerate([Commit(0, 0, 0), *self._commits]):
            until_ms = self._commits[number].done_ms if number < len(self._commits) else to_ms
            if commit.began_ms <= to_ms and until_ms >= from_ms:
                found.append(commit.offset)
        return found

    def ages_s(self, from_ms: int, to_ms: int) -> list[float]:
        """The age of the oldest record not committed, at `from_ms`, for all that was so at some moment until `to_ms`."""
        return [
            self._age_s(offset, from_ms, end_ms)
            for offset in self.may_be_committed(from_ms, to_ms)
            for end_ms in (from_ms, to_ms)
        ]

    def _age_s(self, committed: int, now_ms: int, end_ms: int) -> float:
        for offset, time_ms in self._records:
            if offset >= committed:
                return max(0, now_ms - time_ms) / 1000 if time_ms <= end_ms else 0.0
        return 0.0

    def records(self, at_ms: int) -> int:
        """How many are not committed."""
        committed = self.may_be_committed(at_ms, at_ms)[-1]
        return sum(offset >= committed and time_ms <= at_ms for offset, time_ms in self._records)

    def error_s(self, said_s: float, from_ms: int, to_ms: int) -> tuple[float, float]:
        """How far this is from what was true in between, and from which true age."""
        return min((abs(said_s - age_s), age_s) for age_s in self.ages_s(from_ms, to_ms))


def is_within(error_s: float, age_s: float) -> bool:
    """The promise: at most 1 s or 2 % off."""
    return error_s <= max(1.0, 0.02 * age_s)

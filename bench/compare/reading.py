"""What a tool says of a group at a moment, and what became of it over a run. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from bench.compare.truth import Truth, is_within


class Reading(NamedTuple):
    """Looked at between two times, epoch milliseconds. None: it does not say."""

    from_ms: int
    to_ms: int
    word: str
    records: int | None
    seconds: float | None = None


class Error(NamedTuple):
    """The worst of the seconds of lag against the truth. `looks`: how many were held to it; `missed`: how many broke the promise."""

    seconds: float
    age_s: float
    looks: int
    missed: int


def words(readings: Sequence[Reading], event_ms: int, from_ms: int) -> list[tuple[str, float]]:
    """The words of all looks since `from_ms`, each time they change, and the seconds from the event until each was known."""
    found: list[tuple[str, float]] = []
    for reading in readings:
        if reading.from_ms >= from_ms and (not found or found[-1][0] != reading.word):
            found.append((reading.word, (reading.to_ms - event_ms) / 1000))
    return found


def wrong(said: Sequence[tuple[str, float]], right: Sequence[str]) -> list[bool]:
    """Which of the words are wrong: those that are not of the right ones, that fall back behind one before them, or stay short of the last."""
    found, reached = [], 0
    for number, (word, _) in enumerate(said, 1):
        at = right.index(word) if word in right else -1
        found.append(at < reached or (number == len(said) and at < len(right) - 1))
        reached = max(reached, at)
    return found


def error(readings: Sequence[Reading], truth: Truth, from_ms: int) -> Error | None:
    """Of all looks since then that tell seconds; None: none does."""
    errors = [
        truth.error_s(reading.seconds, reading.from_ms, reading.to_ms)
        for reading in readings
        if reading.seconds is not None and reading.from_ms >= from_ms
    ]
    if not errors:
        return None
    missed = sum(not is_within(*one) for one in errors)
    # The worst by what it may be: a second off at the age of hours is less than a second off at once.
    worst = max(errors, key=lambda one: one[0] / max(1.0, 0.02 * one[1]))
    return Error(*worst, len(errors), missed)

"""Rules by which others judge, written from how they are published, for a Kafka that the programs themselves can't read. Pure.

Burrow's (its wiki, "Consumer Lag Evaluation Rules"): the last ten commits of a partition and the lag at each. The exporters' (kafka_exporter, KMinion,
Kafka Lag Exporter): the broker's end minus the committed offset, no judgement; of them Kafka Lag Exporter tells seconds, by interpolation between the
ends that it saw.
"""

from collections import deque
from itertools import pairwise
from typing import Final, NamedTuple

INTERVALS: Final = 10
MIN_DISTANCE_MS: Final = 1000
POINTS_MAX: Final = 60


class _Offset(NamedTuple):
    offset: int
    time_ms: int
    lag: int


class BurrowRule:
    """A partition of a group."""

    def __init__(self) -> None:
        self._window: deque[_Offset] = deque(maxlen=INTERVALS)

    def take(self, offset: int, time_ms: int, end: int) -> None:
        """A commit; the broker's end as it was known then."""
        if self._window and time_ms - self._window[-1].time_ms < MIN_DISTANCE_MS:
            time_ms = self._window.pop().time_ms
        self._window.append(_Offset(offset, time_ms, max(0, end - offset)))

    def status(self, now_ms: int, end: int) -> str:
        """Its word, by the first rule that applies; "" while there is no commit."""
        window = list(self._window)
        if not window:
            return ""
        first, last = window[0], window[-1]
        rules = (
            ("OK", last.offset >= end),
            ("STOP", now_ms - last.time_ms > last.time_ms - first.time_ms),
            ("REWIND", last.offset < max(one.offset for one in window)),
            ("OK", any(one.lag == 0 for one in window)),
            ("STALL", all(one.offset == first.offset for one in window)),
            ("WARN", all(before.lag <= after.lag for before, after in pairwise(window))),
        )
        return next((word for word, applies in rules if applies), "OK")


class EndTable:
    """The ends that were seen of a partition, as Kafka Lag Exporter keeps them."""

    def __init__(self) -> None:
        self._points: deque[tuple[int, int]] = deque(maxlen=POINTS_MAX)  # end and time

    def take(self, end: int, time_ms: int) -> None:
        """A look. Of an end that does not move only the first and the last time count."""
        if len(self._points) > 1 and self._points[-1][0] == self._points[-2][0] == end:
            self._points.pop()
        self._points.append((end, time_ms))

    def lag_s(self, committed: int, now_ms: int) -> float | None:
        """By the line through two looks: those around the committed offset, else through the first and the last. None: not known."""
        if len(self._points) < 2:
            return None
        if committed >= self._points[-1][0]:
            return 0.0
        points = list(self._points)
        around = [(a, b) for a, b in pairwise(points) if a[0] <= committed < b[0]]
        (low, low_ms), (high, high_ms) = around[-1] if around else (points[0], points[-1])
        if high == low:
            return None
        when_ms = low_ms + (committed - low) * (high_ms - low_ms) / (high - low)
        return max(0.0, (now_ms - when_ms) / 1000)

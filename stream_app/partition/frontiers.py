"""As-of of one partition: which of the reached samples an offset stands for."""

from collections import deque

_SAMPLES_MAX = 1024


class Frontiers:
    """Samples (time, end) in order.

    What holds the partition up to an offset holds every source record taken before `as_of(offset)`. `as_of_ms` is that of
    the first `offset`: of what holds less nothing is known.
    """

    def __init__(self, as_of_ms: int, offset: int) -> None:
        self._reached, self._offset = as_of_ms, offset
        self._samples: deque[tuple[int, int]] = deque()

    def add(self, time_ms: int, end: int) -> None:
        """A sample; one that is older than the last is left out, and one that is reached together with the last takes its place: time passes, and no event comes."""
        if time_ms > (self._samples[-1][0] if self._samples else self._reached):
            if self._samples and end <= self._samples[-1][1]:
                end = self._samples.pop()[1]
            if len(self._samples) == _SAMPLES_MAX:  # far behind: as-of may take larger steps
                self._samples = deque(list(self._samples)[::2])
            self._samples.append((time_ms, end))

    def as_of(self, offset: int) -> int:
        """Epoch milliseconds; 0 while nothing is known.

        Offsets of different callers may differ, and be asked in any order.
        """
        best = self._reached if offset >= self._offset else 0
        for time_ms, end in self._samples:
            if end > offset:
                break
            best = time_ms
        return best

    def forget(self, offset: int) -> None:
        """No caller will ask for an earlier offset any more."""
        while self._samples and self._samples[0][1] <= offset:
            self._reached = self._samples.popleft()[0]

"""What aiokafka logs, said seldom: while a broker is away, each client repeats the same line many times a second.

A line speaks for those of the same place in the code that follow it, of other brokers too; the next one that passes tells how many there were.
"""

import logging
import time
from collections.abc import Callable


class Seldom(logging.Filter):
    """Lets a line of the same place and level pass once in `seconds`; then with the number of those that were left out since."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds, self._now = seconds, now
        self._said: dict[tuple[str, int, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Is it said?"""
        place = record.pathname, record.lineno, record.levelno
        now = self._now()
        at, left_out = self._said.get(place, (-self._seconds, 0))
        if now - at < self._seconds:
            self._said[place] = at, left_out + 1
            return False
        self._said[place] = now, 0
        if left_out:
            record.msg, record.args = f"{record.getMessage()} (and {left_out} more in {now - at:.0f} s)", None
        return True


def install(seconds: float) -> None:
    """On all that aiokafka has imported by now."""
    seldom = Seldom(seconds)
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "aiokafka":
            logging.getLogger(name).addFilter(seldom)

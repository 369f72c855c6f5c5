"""aiokafka's log, rate limited: while a broker is away, each client repeats the same lines many times a second.

One line stands for those that follow it from the same place in the code, whichever broker they name; the next line from there that passes
tells how many were left out. Lines of all places together are limited, too. What asyncio says of futures that aiokafka leaves behind is dropped.
"""

import logging
import time
from collections import deque
from collections.abc import Callable

from aiokafka.errors import KafkaError


class RateLimitedLog(logging.Filter):
    """Passes one line of a place and level, and `most` lines of all, in `seconds`, with the number of lines left out before it."""

    def __init__(self, seconds: float, most: int, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds, self._now = seconds, now
        # place -> time of the last line that passed, number of lines left out since
        self._passed: dict[tuple[str, int, int], tuple[float, int]] = {}
        self._last: deque[float] = deque([-seconds] * most, maxlen=most)  # times of the lines that passed last

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line passes."""
        place = record.pathname, record.lineno, record.levelno
        now = self._now()
        at, left_out = self._passed.get(place, (-self._seconds, 0))
        if now - at < self._seconds or now - self._last[0] < self._seconds:
            self._passed[place] = at, left_out + 1
            return False
        self._last.append(now)
        self._passed[place] = now, 0
        if left_out:
            since = f" in {now - at:.0f} s" if at > 0 else ""
            record.msg, record.args = f"{record.getMessage()} (and {left_out} more{since})", ()
        return True


class _ToldBefore(logging.Filter):
    """Drops that nobody asked a future for its error, where the error is Kafka's.

    Of a transaction that is refused, aiokafka gives the error to who committed it, and to futures of batches, offsets and the transaction that nobody has.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not (isinstance(error, KafkaError) and record.getMessage().startswith("Future exception was never"))


_TOLD_BEFORE = _ToldBefore()


def drop_what_was_told() -> None:
    """Drop what asyncio says of errors of Kafka's that were raised elsewhere. Repeating the call changes nothing."""
    logging.getLogger("asyncio").addFilter(_TOLD_BEFORE)


def install(seconds: float, most: int, *others: str) -> None:
    """Limit the loggers of all modules of aiokafka that are imported by now, and drop what asyncio repeats of its errors.

    `others`: names of packages whose loggers are limited likewise, each by itself.
    """
    drop_what_was_told()
    for package in ("aiokafka", *others):
        limit = RateLimitedLog(seconds, most)
        for name in list(logging.root.manager.loggerDict):
            if name.partition(".")[0] == package:
                logging.getLogger(name).addFilter(limit)

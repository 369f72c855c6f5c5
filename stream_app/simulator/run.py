"""From plan to sender: a history at full speed, live traffic at its pace.

Invariant: nothing is sent faster than its rate over any second or two; time that was lost (a sleeping laptop, a broker away) is not made up for.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from stream_app.simulator.live import Live
from stream_app.simulator.plan import History
from stream_app.simulator.records import SourceRecord

_BATCH = 4000
_WAKE_SECONDS = 0.02  # of high rates several records are sent at once


class Sending(Protocol):
    """A sender of source records."""

    async def send(self, some: list[SourceRecord]) -> int:
        """Send records; returns when Kafka has them, with epoch milliseconds of then."""


async def send_history(history: History, sender: Sending, progress: Callable[[int, int], None]) -> tuple[int, int]:
    """Send all; the number of records, and epoch milliseconds of when Kafka had them. `progress` gets days done and records sent."""
    sent = at_ms = 0
    batch: list[SourceRecord] = []
    for day, some in enumerate(history, start=1):
        batch += some
        if len(batch) >= _BATCH or day == history.days:
            at_ms = await sender.send(batch)
            sent += len(batch)
            batch = []
            progress(day, sent)
    return sent, at_ms


async def send_live(
    live: Live, sender: Sending, rate: float, seconds: float | None, progress: Callable[[int], None]
) -> int:
    """Send `rate` records a second, for so many seconds or until it is cancelled; the number of records. `progress` gets the number sent."""
    loop = asyncio.get_running_loop()
    began = pace = loop.time()
    sent = paced = 0
    while True:
        now = loop.time()
        if seconds is not None and now - began >= seconds:
            return sent
        if now - pace > (paced + 1) / rate + 1:
            pace, paced = now, 0
        due = int((now - pace) * rate) - paced
        if due > 0:
            await sender.send([live.next(int(time.time() * 1000)) for _ in range(due)])
            paced, sent = paced + due, sent + due
            progress(sent)
        until = pace + (paced + 1) / rate
        if seconds is not None:
            until = min(until, began + seconds)
        await asyncio.sleep(max(_WAKE_SECONDS, until - loop.time()))

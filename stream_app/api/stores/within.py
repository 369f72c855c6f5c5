"""A time limit for answers that a pause of this very process does not use up.

Place: around questions to Redis. Invariant: what lies in the socket when the process goes on after a pause (a busy machine, a stopped one) is read before
the limit is up, so a store that answered in time is never taken for one that is down.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

_LAST_PART: Final = (
    0.2  # of the time; it begins when the first part is seen to be over, and lets the loop read meanwhile
)


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """`Raises` TimeoutError when the work inside takes longer."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:
        first = loop.call_later(
            seconds * (1 - _LAST_PART), lambda: limit.reschedule(loop.time() + seconds * _LAST_PART)
        )
        try:
            yield
        finally:
            first.cancel()

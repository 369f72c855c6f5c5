"""A timeout that a pause of this process itself does not use up.

Place: around commands to Redis. Invariant: an answer that lies in the socket when the process goes on after a pause (of
a busy or a suspended machine) is read before the timeout, so a store that answered in time is never taken for one that
is down.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

# A part of the time that begins only when the loop sees the first part over, so the loop reads its sockets in between.
_LAST_PART: Final = 0.2


@asynccontextmanager
async def pause_tolerant_timeout(seconds: float) -> AsyncIterator[None]:
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

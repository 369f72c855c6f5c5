"""Waiting for room on the disk of the stores: nothing is lost meanwhile, since the changelog and the events topic have it all."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, TypeVar

from stream_app.ports.store import StoreFull

T = TypeVar("T")

log = logging.getLogger(__name__)

_POLL_S: Final = 1.0


class Room:
    """Of all stores of a worker. The log says it once when waiting begins, and once when it ends."""

    def __init__(self) -> None:
        self._waiting = 0

    async def until(self, write: Callable[[], T]) -> T:
        """What `write` gives, once there is room for it."""
        waits = False
        try:
            while True:
                try:
                    return write()
                except StoreFull as exc:
                    if not waits:
                        waits = True
                        self._waiting += 1
                        if self._waiting == 1:
                            log.warning("%s: results stand still until there is some, nothing is lost", exc)
                    await asyncio.sleep(_POLL_S)
        finally:
            if waits:
                self._waiting -= 1
                if not self._waiting:
                    log.warning("waiting for room on the disk has ended")

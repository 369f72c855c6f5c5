"""Schemas by their ids, each asked for once: what ingest reads records by.

A registry that is away is waited for, with back-off, by one caller for all. A schema of an id never changes, so a known one is known for ever; that an id is unknown
may change, since registries copy each other, and is asked again after some seconds.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from typing import Final

from stream_app.schema_registry.client import RegistryAwayError, RegistryClient
from stream_app.schema_registry.waiting import until_the_registry_answers
from stream_app.sources.wire import Known, Schema
from stream_app.trouble import Trouble

log = logging.getLogger(__name__)

_QUIET_S: Final = 30.0  # between two lines that the waiting has begun
_UNKNOWN_S: Final = 10.0


class RegistrySchemas:
    """The schemas of a registry. `now_s`: seconds of a steady clock."""

    def __init__(self, client: RegistryClient, now_s: Callable[[], float] = time.monotonic) -> None:
        self._client, self._now_s = client, now_s
        self._known: dict[int, Schema] = {}
        self._unknown_until: dict[int, float] = {}
        self._asking = asyncio.Lock()
        self._trouble: Trouble[None] = Trouble(_QUIET_S)

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()

    def lacks(self, ids: Collection[int]) -> bool:
        """Whether the registry has to be asked for some of them."""
        return not all(self._is_settled(each) for each in ids)

    async def of(self, ids: Collection[int]) -> Known:
        """The schemas of these ids, once the registry has told them. `Raises` AccessError where it refuses whoever asks."""
        if self.lacks(ids):
            async with self._asking:
                for each in ids:
                    if not self._is_settled(each):
                        await self._ask(each)
        return {each: self._known.get(each) for each in ids}

    def _is_settled(self, number: int) -> bool:
        return number in self._known or self._unknown_until.get(number, 0.0) > self._now_s()

    async def _ask(self, number: int) -> None:
        found = await until_the_registry_answers(lambda: self._attempt(number))
        if self._trouble.is_over([None]):
            log.warning("The schema registry answers again")
        if found is not None:
            self._known[number] = found
        else:
            self._unknown_until[number] = self._now_s() + _UNKNOWN_S

    async def _attempt(self, number: int) -> Schema | None:
        try:
            return await self._client.schema(number)
        except RegistryAwayError as error:
            if self._trouble.has(None, self._now_s()):
                log.warning("The schema registry is waited for, for schema %d (%s)", number, error)
            raise

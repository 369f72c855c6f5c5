"""Results as Redis shows them to everybody: as-of, operators, documents of months.

Invariant: a result is taken to hold a record only when the as-of of its partition says so. Reads only.
"""

import asyncio
from collections.abc import Collection
from typing import Any

import orjson
from redis.exceptions import RedisError

from stream_app.domain.events import ALL
from stream_app.domain.report import iso_ms
from stream_app.domain.tables import MONTHLY
from stream_app.sinks.redis_calls import commands, connect
from stream_app.sinks.redis_keys import AS_OF, OPERATORS, document_key

_POLL_SECONDS = 0.02


class ShownError(Exception):
    """Redis can't be read; the message is one sentence."""


class Shown:
    """A reader of results. `Raises` ShownError."""

    def __init__(self, url: str) -> None:
        self._url, self._client = url, connect(url)

    async def close(self) -> None:
        """Give the connection back."""
        await self._client.aclose()

    async def _ask(self, *command: str) -> Any:
        try:
            (answer,) = await commands(self._client, [command])
        except (RedisError, OSError):
            raise ShownError(f"Redis does not answer at {self._url}: start it by make up") from None
        return answer

    async def operator(self, operator_id: str) -> dict[str, Any] | None:
        """The operator's entry; None while the operator is unknown."""
        entry = await self._ask("HGET", OPERATORS, operator_id)
        return orjson.loads(entry) if entry else None

    async def monthly(self, operator_id: str) -> dict[str, Any] | None:
        """The months of an operator's group ALL."""
        document = await self._ask("GET", document_key(MONTHLY, operator_id, ALL))
        return orjson.loads(document) if document else None

    async def holds(self, partitions: Collection[int], time_ms: int) -> bool:
        """Do the results of all these partitions hold all records that Kafka had taken before then?"""
        as_of = await self._ask("HMGET", AS_OF, *map(str, partitions))
        return all(value is not None and value.decode() >= iso_ms(time_ms) for value in as_of)

    async def wait(self, partitions: Collection[int], time_ms: int, seconds_max: float) -> bool:
        """Wait until `holds`; False when that takes too long."""
        deadline = asyncio.get_running_loop().time() + seconds_max
        while True:
            if await self.holds(partitions, time_ms):
                return True
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(_POLL_SECONDS)

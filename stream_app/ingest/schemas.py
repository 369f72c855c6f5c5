"""Schemas of a schema registry as ingest needs them: a port, and its lack."""

from collections.abc import Collection
from typing import Protocol

from stream_app.sources.wire import Known


class Schemas(Protocol):
    """The schemas by which records of some source topics are read."""

    def lacks(self, ids: Collection[int]) -> bool:
        """Whether the registry has to be asked for some of them."""

    async def of(self, ids: Collection[int]) -> Known:
        """The schemas of these ids; a registry that is away is waited for. `Raises` AccessError where it refuses whoever asks."""


class NoSchemas:
    """Where no registry is set, and so no topic needs one."""

    def lacks(self, ids: Collection[int]) -> bool:
        """None are needed."""
        del ids
        return False

    async def of(self, ids: Collection[int]) -> Known:
        """None are known."""
        return dict.fromkeys(ids)

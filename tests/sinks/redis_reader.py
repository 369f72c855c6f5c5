"""What the default answers are made of, read plainly: what a sink wrote, as integrators would read it."""

import re
from typing import Any, NamedTuple

import orjson

from stream_app.domain.report import Json
from stream_app.domain.tables import Table
from stream_app.sinks import redis_keys as keys
from stream_app.sinks.redis_calls import commands, connect, in_order


class Document(NamedTuple):
    """A document as it is stored, and what an answer needs to know of it."""

    body: bytes
    partition: int
    version: int

    @classmethod
    def of(cls, body: bytes) -> "Document | None":
        """What is stored, or None if that is no document of ours."""
        partition, version = _PARTITION_FIELD.search(body), _VERSION_FIELD.search(body)
        return cls(body, int(partition[1]), int(version[1])) if partition and version else None

    def with_as_of(self, as_of: str) -> bytes:
        """The body with the live as-of in place of that of its last change."""
        return _AS_OF_FIELD.sub(lambda _: b'"asOf":"%b"' % as_of.encode(), self.body, count=1)


# A quote inside an id is escaped, so the first of these is never one.
_AS_OF_FIELD = re.compile(rb'"asOf":"[^"]*"')
_PARTITION_FIELD = re.compile(rb'"partition":([0-9]+)')
_VERSION_FIELD = re.compile(rb'"version":([0-9]+)')

AsOf = dict[int, str]  # by partition, as in answers


class RedisReader:
    """What the default answers are made of; every read takes as-of before the document. `Raises` redis.RedisError."""

    def __init__(self, url: str) -> None:
        self.client = connect(url)

    async def document(self, table: Table[Any], operator: str, group: str) -> tuple[Document | None, AsOf]:
        """The default answer of a table."""
        body, as_of = await self._read("GET", keys.document_key(table, operator, group))
        return (None if body is None else Document.of(body)), as_of

    async def groups(self, operator: str) -> tuple[bytes | None, AsOf]:
        """The answer of `groups`."""
        return await self._read("GET", keys.groups_key(operator))

    async def operators(self) -> tuple[dict[str, bytes], AsOf]:
        """Entries of the known operators by id."""
        stored, as_of = await self._read("HGETALL", keys.OPERATORS)
        return {name.decode(): entry for name, entry in stored.items()}, as_of

    async def operator(self, operator: str) -> Json | None:
        """The entry of an operator."""
        (entry,) = await commands(self.client, [("HGET", keys.OPERATORS, operator)])
        return None if entry is None else dict(orjson.loads(entry))

    async def as_of(self) -> AsOf:
        """Up to when the documents of each partition hold."""
        (stored,) = await commands(self.client, [("HGETALL", keys.AS_OF)])
        return _as_of(stored)

    async def close(self) -> None:
        """Give connections back."""
        await self.client.aclose()

    async def _read(self, *command: str) -> tuple[Any, AsOf]:
        as_of, stored = await in_order(self.client, [("HGETALL", keys.AS_OF), command])
        return stored, _as_of(as_of)


def _as_of(stored: dict[bytes, bytes]) -> AsOf:
    return {int(partition): when.decode() for partition, when in stored.items()}

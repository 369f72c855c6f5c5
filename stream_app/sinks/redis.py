"""Redis: the default answers as JSON, one key one read. Who reads them is stream_app/api/stores/redis_store.py.

A document is set by a script that compares versions inside Redis, so a writer that lost its partition can't put an old
one over a new one. What bears no version (entries, lists of groups, that a document was removed) is beside one of the
newest state that was seen of its operator, which each comparison and each such write raises: a writer with an older
state is refused. As-of is raised by a script that refuses when Redis may have lost documents since the partition was
compared: the mark that `compare` set before it looked is gone (emptied), or the server runs for another time (restarted
with an older snapshot, or failed over to a replica); in a cluster each of the other servers is looked at before. So as-of
never runs ahead of the documents it speaks for. Must not hold what is dirty: that is the caller's.

A generation with another number of partitions moves operators between them, and a document takes its as-of from the
partition that it names. So documents of such a generation wait until they have reached what was claimed (`claimed_ms`),
as-of stands still until all of them are written, and then partitions that are no more lose theirs, in one step. A
writer of an older generation is refused by partitions that a newer one has begun.
"""

import logging
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

from redis.exceptions import RedisClusterException, RedisError

from stream_app.domain import probe
from stream_app.domain.cells import CellKey, Group
from stream_app.domain.events import ALL
from stream_app.domain.report import has_documents, iso_ms
from stream_app.domain.tables import TABLES, Table
from stream_app.ports.sinks import Dirty, View
from stream_app.sinks import redis_keys as keys
from stream_app.sinks.lua import AS_OF, BEGIN, ENTRIES, PUT_ENTRIES, SEEN, VERSIONS
from stream_app.sinks.redis_calls import Call, connect, evictions, scripts
from stream_app.sinks.redis_documents import entry_document, groups_document, listed_groups, puts
from stream_app.sinks.redis_shards import Shards

log = logging.getLogger(__name__)

_NEVER_MS: Final = 1 << 62  # an as-of that nothing reaches
_ENTRIES: Final = [keys.OPERATORS, keys.SEEN]
BATCH: Final = 200  # keys a pipeline: some hundred KB, and a pause for others after each
T = TypeVar("T")


class _Wanted(NamedTuple):
    """A document, the cell that makes it be written again, and the version that should be there; None: no document."""

    table: Table[Any]
    cell: CellKey
    version: int | None


class RedisSink:
    """Copies of committed results in Redis."""

    name = "redis"
    errors: tuple[type[Exception], ...] = (RedisError, RedisClusterException)
    keeps_past = False

    def __init__(self, url: str, *, generation: int, partitions: int) -> None:
        self._client, self._generation, self._partitions = connect(url), generation, partitions
        self._marks: dict[int, tuple[str, str]] = {}  # partition: token and run of the server, of its last comparison
        self._shards = Shards(self._client)
        self._walks: dict[int, AsyncIterator[Dirty]] = {}  # partition: the rest of its keys that are to be looked over
        self._policies: set[str] = set()  # of eviction, those that were warned of
        self._claimed_ms: dict[int, int] = {}  # partition: as-of that its documents must have reached

    async def compare(self, view: View) -> Dirty:
        """What of the partition Redis does not hold at its version; entries and groups by content."""
        token = f"{self._generation}.{secrets.token_hex(8)}"
        self._marks.pop(view.partition, None)
        arguments: list[str | int] = [view.partition, token, self._generation, self._partitions]
        (found,) = await scripts(self._client, [Call(BEGIN, [keys.MARKS, keys.AS_OF, keys.PARTITIONS], arguments)])
        dirty = Dirty()
        if not found:  # a newer generation serves
            self._claimed_ms[view.partition] = _NEVER_MS
            return dirty
        await self._shards.begin(view.partition, token)
        run, claimed = (part.decode() for part in found)
        self._marks[view.partition] = token, run
        self._claimed_ms[view.partition] = round(datetime.fromisoformat(claimed).timestamp() * 1000) if claimed else 0
        self._walks.pop(view.partition, None)
        await self._name_policy()
        async for found_dirty in self._differences(view):
            dirty.update(found_dirty)
        return dirty

    async def _differences(self, view: View) -> AsyncIterator[Dirty]:
        """What Redis does not hold, of so many keys at a time."""
        for operators in _batches(list(view.operators())):
            wanted, dirty = await self._directory(view, operators)
            yield dirty
            for batch in _batches(wanted):
                yield await self._missing(view, batch)

    async def _directory(self, view: View, operators: list[str]) -> tuple[list[_Wanted], Dirty]:
        """The documents that operators should have; and those of them whose entry or list of groups is another one."""
        state = view.version
        calls = [Call(SEEN, [keys.groups_key(operator), keys.seen_key(operator)], [state]) for operator in operators]
        entries, *documents = await scripts(self._client, [Call(ENTRIES, _ENTRIES, [state, *operators]), *calls])
        wanted: list[_Wanted] = []
        dirty = Dirty()
        for operator_id, entry, document in zip(operators, entries, documents, strict=True):
            operator, groups = view.operator(operator_id), view.groups(operator_id)
            if operator is None:
                continue
            listed = None if operator_id == probe.OPERATOR else entry_document(operator_id, operator)
            if entry != listed or document != groups_document(groups):
                dirty.operators.add(operator_id)
            if not operator.today:
                continue
            # Also groups that only Redis still knows: they left retention while nobody looked.
            for group_id, group in (dict.fromkeys([*listed_groups(document), ALL], Group()) | groups).items():
                there = has_documents(operator, group_id, group)
                for table in TABLES:
                    cell = CellKey(operator_id, group_id, table.current(operator))
                    wanted.append(_Wanted(table, cell, group.of(table.name).version if there else None))
        return wanted, dirty

    async def _missing(self, view: View, wanted: Sequence[_Wanted]) -> Dirty:
        """The documents that are not there at their version, or should not be there."""
        dirty = Dirty()
        names = [keys.document_key(table, cell.operator, cell.group) for table, cell, _ in wanted]
        stored = await scripts(self._client, [Call(VERSIONS, [key], [view.partition]) for key in names])
        for (table, cell, version), (found,) in zip(wanted, stored, strict=True):
            if (found != b"") if version is None else (found == b"" or int(found) < version):
                dirty.cells[table.name].add(cell)
        return dirty

    async def look_over(self, view: View) -> Dirty:
        """What is gone of the next keys: evicted, or deleted by somebody."""
        if self._claimed_ms.get(view.partition) == _NEVER_MS:
            return Dirty()  # a newer generation serves
        walk = self._walks.setdefault(view.partition, self._differences(view))
        found = await anext(walk, None)
        if found is None:
            del self._walks[view.partition]
        return found or Dirty()

    async def _name_policy(self) -> None:
        """Say when Redis is set to evict keys that have no expiry, as ours: at the start, and when it changes."""
        policies = await evictions(self._client)
        if policies and policies != self._policies:
            log.warning(
                "Redis evicts keys of results when its memory is full (maxmemory-policy %s): they are looked for and "
                "written again, minutes later for many operators. Set noeviction",
                ", ".join(sorted(policies)),
            )
        self._policies = policies

    def claimed_ms(self, partition: int) -> int:
        """As-of that documents of the partition must have reached to be written."""
        return self._claimed_ms.get(partition, 0)

    async def write(self, changes: Sequence[tuple[View, Dirty]]) -> None:
        """Bring documents, groups and entries up to the views."""
        for view, dirty in changes:
            for calls in _batches(puts(view, dirty)):
                await scripts(self._client, calls)
            for operators in _batches(dirty.operators):
                shown = [name for name in operators if name != probe.OPERATOR]
                entries = [(name, operator) for name in shown if (operator := view.operator(name)) is not None]
                fields = [part for name, operator in entries for part in (name, entry_document(name, operator))]
                if fields:
                    await scripts(self._client, [Call(PUT_ENTRIES, _ENTRIES, [view.version, *fields])])

    async def write_as_of(self, as_of_ms: dict[int, int]) -> set[int]:
        """Raise as-of; returns partitions whose documents may be gone, or that were not compared yet."""
        left_out = as_of_ms.keys() - self._marks.keys()
        left_out |= await self._shards.lost(as_of_ms.keys() - left_out)
        arguments: list[bytes | str | int] = [self._generation, self._partitions]
        for partition in as_of_ms.keys() - left_out:
            arguments += [partition, iso_ms(as_of_ms[partition]), *self._marks[partition]]
        if as_of_ms.keys() - left_out:
            names = [keys.AS_OF, keys.MARKS, keys.PARTITIONS, keys.MOVED]
            (emptied,) = await scripts(self._client, [Call(AS_OF, names, arguments)])
            left_out |= {int(partition) for partition in emptied}
        return left_out

    async def close(self) -> None:
        """Give connections back."""
        await self._client.aclose()


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    items = iter(items)
    while batch := list(islice(items, BATCH)):
        yield batch

"""The default answers of watched groups, read once a change however many viewers there are.

Place: between `answers` and `stream`, over `watched`. Invariants: a version never falls; an as-of told is one that
every document sent before it holds, because Redis gave it, then the updates published until then were heard, and
documents being read are left out until they are there.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from re import compile as pattern
from typing import Any, Final, TypeVar

import orjson

from stream_app.api.asking.answers import Answers
from stream_app.api.asking.given import Answer
from stream_app.api.errors import ApiError
from stream_app.api.live.updates import LINK_ERRORS, UpdateSubscription
from stream_app.api.live.watched import Document, Viewer, WatchedGroup, read_event_id
from stream_app.api.stores.circuit import CircuitBreaker, StoreUnavailable
from stream_app.api.stores.ports import AsOf, DocumentStore
from stream_app.sinks.redis_keys import document_key, updates_channel

_AS_OF_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 0.5
T = TypeVar("T")
_OWN_AS_OF: Final = pattern(rb'"asOf":"[^"\\]*"')


class Feed:
    """All watched groups of the process. Nothing is connected before the first viewer."""

    def __init__(
        self,
        answers: Answers,
        documents: tuple[DocumentStore, CircuitBreaker],
        updates: Callable[[Callable[[str, str | None], None], Callable[[], None]], UpdateSubscription] | None,
    ) -> None:
        self._answers = answers
        self._documents, self._redis = documents
        self._tables = {table.document: table for table in answers.tables}  # kind of document -> its table
        self._kinds = tuple(self._tables)
        self._updates = updates(self._on_change, self._on_lost) if updates else None
        self._watched: dict[tuple[str, str], WatchedGroup] = {}
        self._channels: dict[str, dict[str, tuple[WatchedGroup, str]]] = {}  # channel -> key -> group, kind
        self._tasks: set[asyncio.Task[Any]] = set()
        self.ended = False  # streams are to end: the server stops
        self._started = False
        self._live: bool | None = None  # None: not known yet

    @property
    def live(self) -> bool:
        """Whether changes are heard and as-of is known."""
        return bool(self._live)

    def viewers(self) -> int:
        """The number of viewers; a connection counts for each group that it watches."""
        return sum(len(watched.viewers) for watched in self._watched.values())

    @asynccontextmanager
    async def watch(
        self, operator_id: str, group_id: str, last_event_id: str, wake: asyncio.Event
    ) -> AsyncIterator[Viewer]:
        """A viewer whose first documents are there; the id of its last event says which of them the client has.

        `Raises` ApiError when no store can answer.
        """
        watched = self._watched.get((operator_id, group_id)) or self._open(operator_id, group_id)
        watched.holders += 1
        try:
            for kind in self._kinds:
                while kind not in watched.latest:
                    error = await asyncio.shield(watched.reads.get(kind) or self._read(watched, kind))
                    if error is not None:
                        raise error
            viewer = Viewer(watched, read_event_id(last_event_id, self._kinds), wake)
            if self._live is not None:
                viewer.notify(None)
            watched.viewers.add(viewer)
            try:
                yield viewer
            finally:
                watched.viewers.discard(viewer)
        finally:
            watched.holders -= 1
            if not watched.holders:
                self._close(watched)

    def _open(self, operator_id: str, group_id: str) -> WatchedGroup:
        watched = self._watched[operator_id, group_id] = WatchedGroup(operator_id, group_id, self._kinds)
        channel = updates_channel(operator_id)
        new = channel not in self._channels
        self._channels.setdefault(channel, {}).update(
            {document_key(table, operator_id, group_id): (watched, kind) for kind, table in self._tables.items()}
        )
        if new and self._updates:
            self._start(self._updates.want(self._channels))
        if not self._started:
            self._started = True
            self._start(self._follow_as_of())
            if self._updates:
                self._start(self._updates.listen())
        for kind in self._kinds:
            self._read(watched, kind)
        return watched

    def _close(self, watched: WatchedGroup) -> None:
        del self._watched[watched.operator_id, watched.group_id]
        channel = updates_channel(watched.operator_id)
        keys = self._channels[channel]
        for table in self._tables.values():
            del keys[document_key(table, watched.operator_id, watched.group_id)]
        if not keys:
            del self._channels[channel]
            if self._updates:
                self._start(self._updates.want(self._channels))

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _on_change(self, channel: str, key: str | None) -> None:
        known = self._channels.get(channel, {})
        for watched, kind in known.values() if key is None else filter(None, [known.get(key)]):
            self._read(watched, kind)

    def _read(self, watched: WatchedGroup, kind: str) -> asyncio.Task[ApiError | None]:
        """Read the document; one that is being read already is read again after that."""
        watched.changed.add(kind)
        if kind not in watched.reads:
            watched.reads[kind] = self._start(self._refresh(watched, kind))
        return watched.reads[kind]

    async def _refresh(self, watched: WatchedGroup, kind: str) -> ApiError | None:
        try:
            while kind in watched.changed:
                watched.changed.discard(kind)
                answer = await self._answers.default(self._tables[kind], watched.operator_id, watched.group_id)
                self._accept(watched, kind, answer)
        except ApiError as error:
            watched.changed.discard(kind)  # it is read again when Redis is back
            return error
        finally:
            del watched.reads[kind]
        return None

    def _accept(self, watched: WatchedGroup, kind: str, answer: Answer) -> None:
        bare = _OWN_AS_OF.sub(b"", answer.data, count=1)
        document = Document(b"\ndata: ".join(answer.data.splitlines()), bare, int(answer.tag), answer.stands_in)
        held = watched.latest.get(kind)
        if held is not None and document.version < held.version:
            return  # of ClickHouse, which is behind
        watched.as_of[kind] = max(watched.as_of.get(kind, b""), answer.as_of)
        watched.partition = b"%d" % orjson.loads(answer.data)["partition"]
        if document.follows(held):
            watched.latest[kind] = document
            for viewer in watched.viewers:
                viewer.notify(kind)

    async def _follow_as_of(self) -> None:
        """Notify viewers of as-of every few seconds, or of its standstill."""
        while True:
            try:
                if self._updates is None:
                    raise StoreUnavailable  # noqa: TRY301  # the same as one that can't be heard
                _, as_of = await self._redis.call(lambda: self._documents.operators(()))  # of nobody: just as-of
                await self._updates.barrier()
            except (StoreUnavailable, *LINK_ERRORS):
                self._on_lost()
            else:
                self._on_as_of(as_of)
            await asyncio.sleep(_AS_OF_SECONDS if self._live else _RETRY_SECONDS)

    def _on_as_of(self, as_of: AsOf) -> None:
        """Every change that this as-of holds has been heard."""
        if not self._live:
            for watched in self._watched.values():  # ClickHouse may have answered meanwhile, or nobody
                for kind in self._kinds:
                    self._read(watched, kind)
        self._live = True
        for watched in self._watched.values():
            for kind in watched.latest.keys() - watched.reads.keys():
                watched.as_of[kind] = max(watched.as_of[kind], as_of.get(watched.partition, b""))
            self._notify_state(watched)

    def _on_lost(self) -> None:
        if self._live is False or self.ended:
            return
        self._live = False
        for watched in self._watched.values():
            self._notify_state(watched)

    @staticmethod
    def _notify_state(watched: WatchedGroup) -> None:
        for viewer in watched.viewers:
            viewer.notify(None)

    def end(self) -> None:
        """End all streams, and each new one at once: the server stops."""
        self.ended = True
        for watched in self._watched.values():
            for viewer in watched.viewers:
                viewer.wake.set()

    async def close(self) -> None:
        """End what runs in the background."""
        self.end()
        while tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            # Again, for one that is cancelled in the moment in which its answer comes may go on with the answer.
            await asyncio.wait(tasks, timeout=0.2)

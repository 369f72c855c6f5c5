"""The default answers of the groups that somebody watches, read once a change however many they are.

Place: between `answers` and `stream`, over `watched`. Invariants: a version never falls; an as-of told is one that every document sent before
it holds, because Redis gave it, then the updates published until then were heard, and documents being read are left out until they are there.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from re import compile as pattern
from typing import Any, Final, TypeVar

import orjson

from stream_app.api.asking.answers import Answer, Answers
from stream_app.api.asking.parameters import distribution as parse_distribution
from stream_app.api.asking.parameters import monthly as parse_monthly
from stream_app.api.errors import ApiError
from stream_app.api.live.updates import LINK_ERRORS, Updates
from stream_app.api.live.watched import DISTRIBUTION, KINDS, MONTHLY, Document, Topic, Viewer
from stream_app.api.stores.circuit import Circuit, Unavailable
from stream_app.api.stores.ports import AsOf, Documents
from stream_app.sinks.redis_keys import distribution_key, monthly_key, updates_channel

_KEYS: Final = {MONTHLY: monthly_key, DISTRIBUTION: distribution_key}
_AS_OF_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 0.5
T = TypeVar("T")
_OWN_AS_OF: Final = pattern(rb'"asOf":"[^"\\]*"')


class Feed:
    """All topics of the process. Nothing is connected before the first viewer."""

    def __init__(
        self,
        answers: Answers,
        documents: tuple[Documents, Circuit],
        days_max: int,
        updates: Callable[[Callable[[str, str | None], None], Callable[[], None]], Updates] | None,
    ) -> None:
        self._answers = answers
        self._documents, self._redis = documents
        self._monthly = parse_monthly(b"", text=True)
        self._distribution = parse_distribution(b"", text=True, days_max=days_max)
        self._updates = updates(self._heard, self._lost) if updates else None
        self._topics: dict[tuple[str, str], Topic] = {}
        self._channels: dict[str, dict[str, tuple[Topic, str]]] = {}  # channel -> key -> what it is
        self._tasks: set[asyncio.Task[Any]] = set()
        self.ended = False  # streams are to end: the server stops
        self._begun = False
        self._live: bool | None = None  # None: not known yet

    @property
    def live(self) -> bool:
        """Are changes heard, and is as-of known?"""
        return bool(self._live)

    def viewers(self) -> int:
        """How many watch; who watches several groups counts for each."""
        return sum(len(topic.viewers) for topic in self._topics.values())

    @asynccontextmanager
    async def watch(
        self, operator: str, group: str, seen: dict[str, int], wake: asyncio.Event
    ) -> AsyncIterator[Viewer]:
        """A viewer whose first documents are there; `seen`: versions it has by kind. `Raises` ApiError when no store can answer."""
        topic = self._topics.get((operator, group)) or self._open(operator, group)
        topic.holders += 1
        try:
            for kind in KINDS:
                while kind not in topic.latest:
                    error = await asyncio.shield(topic.reads.get(kind) or self._read(topic, kind))
                    if error is not None:
                        raise error
            viewer = Viewer(topic, seen, wake)
            if self._live is not None:
                viewer.tell(None)
            topic.viewers.add(viewer)
            try:
                yield viewer
            finally:
                topic.viewers.discard(viewer)
        finally:
            topic.holders -= 1
            if not topic.holders:
                self._close(topic)

    def _open(self, operator: str, group: str) -> Topic:
        topic = self._topics[operator, group] = Topic(operator, group)
        channel = updates_channel(operator)
        new = channel not in self._channels
        self._channels.setdefault(channel, {}).update(
            {key_of(operator, group): (topic, kind) for kind, key_of in _KEYS.items()}
        )
        if new and self._updates:
            self._start(self._updates.want(self._channels))
        if not self._begun:
            self._begun = True
            self._start(self._watch_redis())
            if self._updates:
                self._start(self._updates.listen())
        for kind in KINDS:
            self._read(topic, kind)
        return topic

    def _close(self, topic: Topic) -> None:
        del self._topics[topic.operator, topic.group]
        channel = updates_channel(topic.operator)
        keys = self._channels[channel]
        for key_of in _KEYS.values():
            del keys[key_of(topic.operator, topic.group)]
        if not keys:
            del self._channels[channel]
            if self._updates:
                self._start(self._updates.want(self._channels))

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _heard(self, channel: str, key: str | None) -> None:
        known = self._channels.get(channel, {})
        for topic, kind in known.values() if key is None else filter(None, [known.get(key)]):
            self._read(topic, kind)

    def _read(self, topic: Topic, kind: str) -> asyncio.Task[ApiError | None]:
        """Read the document; one that is being read already is read again after that."""
        topic.changed.add(kind)
        if kind not in topic.reads:
            topic.reads[kind] = self._start(self._bring(topic, kind))
        return topic.reads[kind]

    async def _bring(self, topic: Topic, kind: str) -> ApiError | None:
        try:
            while kind in topic.changed:
                topic.changed.discard(kind)
                self._take(topic, kind, await self._ask(topic, kind))
        except ApiError as error:
            topic.changed.discard(kind)  # it is read again when Redis is back
            return error
        finally:
            del topic.reads[kind]
        return None

    async def _ask(self, topic: Topic, kind: str) -> Answer:
        if kind == MONTHLY:
            return await self._answers.monthly(topic.operator, self._monthly._replace(group=topic.group))
        return await self._answers.distribution(topic.operator, self._distribution._replace(group=topic.group))

    def _take(self, topic: Topic, kind: str, answer: Answer) -> None:
        bare = _OWN_AS_OF.sub(b"", answer.data, count=1)
        document = Document(b"\ndata: ".join(answer.data.splitlines()), bare, int(answer.tag))
        held = topic.latest.get(kind)
        if held is not None and document.version < held.version:
            return  # of ClickHouse, which is behind
        topic.as_of[kind] = max(topic.as_of.get(kind, b""), answer.as_of)
        topic.partition = b"%d" % orjson.loads(answer.data)["partition"]
        if document.follows(held):
            topic.latest[kind] = document
            for viewer in topic.viewers:
                viewer.tell(kind)

    async def _watch_redis(self) -> None:
        """Tell as-of every few seconds, or that it stands still."""
        while True:
            try:
                if self._updates is None:
                    raise Unavailable  # noqa: TRY301  # the same as one that can't be heard
                _, as_of = await self._redis.call(lambda: self._documents.operators(()))  # of nobody: just as-of
                await self._updates.barrier()
            except (Unavailable, *LINK_ERRORS):
                self._lost()
            else:
                self._hold(as_of)
            await asyncio.sleep(_AS_OF_SECONDS if self._live else _RETRY_SECONDS)

    def _hold(self, as_of: AsOf) -> None:
        """All that Redis had at this as-of was heard."""
        if not self._live:
            for topic in self._topics.values():  # ClickHouse may have answered meanwhile, or nobody
                for kind in KINDS:
                    self._read(topic, kind)
        self._live = True
        for topic in self._topics.values():
            for kind in topic.latest.keys() - topic.reads.keys():
                topic.as_of[kind] = max(topic.as_of[kind], as_of.get(topic.partition, b""))
            self._tell_state(topic)

    def _lost(self) -> None:
        if self._live is False or self.ended:
            return
        self._live = False
        for topic in self._topics.values():
            self._tell_state(topic)

    @staticmethod
    def _tell_state(topic: Topic) -> None:
        for viewer in topic.viewers:
            viewer.tell(None)

    def end(self) -> None:
        """End all streams, and each new one at once: the server stops."""
        self.ended = True
        for topic in self._topics.values():
            for viewer in topic.viewers:
                viewer.wake.set()

    async def close(self) -> None:
        """End what runs in the background."""
        self.end()
        while tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            # Again, for one that is cancelled in the moment in which its answer comes may go on with the answer.
            await asyncio.wait(tasks, timeout=0.2)

"""As-of is a sampled frontier: up to when everything that Kafka had taken has reached the events topic, and up to where there.

A sample notes the time T, then reads the end offsets E of all partitions of all source topics. When the committed positions of ingest have
passed E, the end offsets F of the events partitions are read: a result that holds an events partition up to F holds every record taken
before T. While nothing is appended samples are rarer, until somebody who gets frames says so (`wake`). Partitions are looked up anew for each sample, so one that is added counts from its first record; ends are those of open
transactions, too. A topic made anew (its id changes, or it ends before what was committed) holds as-of, and so does one deleted before all
of it was read; both are said. What was committed counts as read only if the leader that told the end has it: an election of a replica that was not in
sync puts others in the place of records, and ingest, which looks for that now and then, has not read these. The leader is asked once after each election.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Protocol

from stream_app.clients.waiting import ClusterError
from stream_app.formats.read_up_to import NOTHING, ReadUpTo, noted
from stream_app.observing.answers import Committed, End, Offsets, TopicDescription
from stream_app.ports.kafka import Sample
from stream_app.trouble import Trouble

log = logging.getLogger(__name__)

_CHECK_S = 0.02  # from a sample to the first look at whether it is reached; each next one after twice as long
_IDLE_S = 0.5  # between two samples while nothing is appended: as-of is so much older then
_QUIET_S = 30.0  # between two lines that Kafka does not answer

Ends = dict[tuple[str, int], End]  # by (topic, partition)


class Cluster(Protocol):
    """What the frontier asks of Kafka; stream_app.observing.observer.Observer answers. Every call may raise ClusterError."""

    async def topics(self, names: Sequence[str], *, denied_ok: bool) -> dict[str, TopicDescription]:
        """Those topics that exist; with `denied_ok` also those that may not be described."""

    async def ends(self, partitions: Sequence[tuple[str, int]]) -> Offsets:
        """End offsets of all these partitions, open transactions included."""

    async def leader_ends(self, partitions: Sequence[tuple[str, int]]) -> Ends:
        """The same, each with the epoch of the leader that told it."""

    async def epoch_ends(self, epochs: Mapping[tuple[str, int], int]) -> Offsets:
        """Where the records end that leaders wrote up to an epoch; -1: none is kept. Without those of which it is not known now."""

    async def committed_with_metadata(self, consumer_group: str) -> dict[tuple[str, int], Committed]:
        """All committed offsets of a group."""


class Frontier:
    """Takes samples, and tells which of them ingest has reached. `sources`: topics; `consumer_group`: of ingest.

    `optional`: sources that nobody needs to be given the right to read.
    """

    def __init__(
        self,
        cluster: Cluster,
        sources: Sequence[str],
        consumer_group: str,
        events: str,
        events_partitions: int,
        optional: Collection[str] = (),
    ) -> None:
        self._cluster, self._optional = cluster, frozenset(optional)
        self._sources, self._consumer_group = tuple(sources), consumer_group
        self._events = [(events, partition) for partition in range(events_partitions)]
        self._pending: deque[tuple[int, Ends]] = deque()
        self._ids: dict[str, str] = {}
        self._committed: dict[tuple[str, int], Committed] | None = None
        self._agreed: dict[
            tuple[str, int], tuple[ReadUpTo, int]
        ] = {}  # what was read, and the epoch of a later leader that has it
        self._said: set[str] = set()
        self._ends: tuple[Ends, Offsets] | None = None  # E and F of the last reached one
        self._idle = False
        self._woken = asyncio.Event()
        self._away: Trouble[str] = Trouble(_QUIET_S)

    def wake(self) -> None:
        """Something was appended: the next sample is due at once."""
        self._woken.set()

    async def run(self, interval_s: float, publish: Callable[[Sample], None]) -> None:
        """Sample for ever; `publish` is called with each sample that was reached. A broker that does not answer only holds as-of."""
        while True:
            started, wait_s = time.monotonic(), _CHECK_S
            self._woken.clear()
            self._idle = False
            try:
                if sample := await self.step(int(time.time() * 1000)):
                    publish(sample)
                if self._away.is_over([""]):
                    log.warning("as-of moves on: Kafka answers again")
                while self._pending and time.monotonic() + wait_s < started + interval_s:
                    await asyncio.sleep(wait_s)
                    if sample := await self.check():
                        publish(sample)
                    wait_s *= 2
            except ClusterError as exc:
                if self._away.has("", time.monotonic()):
                    log.warning("as-of is held: Kafka does not answer (%s)", exc)
            await asyncio.sleep(max(0.0, started + interval_s - time.monotonic()))
            if self._idle:
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, started + _IDLE_S - time.monotonic())):
                        await self._woken.wait()

    async def step(self, now_ms: int) -> Sample | None:
        """Take a sample, and return the newest one that was reached."""
        described = await self._cluster.topics(self._sources, denied_ok=True)
        topics = {topic: state for topic, state in described.items() if not state.is_denied}
        for topic in self._sources:
            if topic not in described:
                self._say(topic, "the source topic %s does not exist; it is waited for", topic)
        if not self._may_go_on_without(described.keys() - topics.keys()):
            return None
        partitions = [(topic, p) for topic, state in topics.items() for p in range(state.partitions)]
        if self._committed is None:
            self._committed = await self._cluster.committed_with_metadata(self._consumer_group)
        ends = await self._cluster.leader_ends(partitions)
        if self._made_anew(topics, ends, self._committed):
            self._pending.clear()
            self._committed = await self._cluster.committed_with_metadata(self._consumer_group)
            return None
        self._pending.append((now_ms, ends))
        return await self.check()

    async def check(self) -> Sample | None:
        """The newest of the samples taken that has been reached since the last check; at least one is pending."""
        _, ends = self._pending[-1]
        committed = self._committed = await self._cluster.committed_with_metadata(self._consumer_group)
        reached = None
        while self._pending and _passed(committed, self._pending[0][1]) and await self._has_read(committed, ends):
            reached = self._pending.popleft()[0]
        if reached is None:
            return None
        found = await self._cluster.ends(self._events)
        self._idle = self._ends == (ends, found) and not self._pending
        self._ends = ends, found
        return Sample(reached, {partition: end for (_, partition), end in found.items()})

    async def _has_read(self, committed: Mapping[tuple[str, int], Committed], ends: Ends) -> bool:
        """Whether what was read is what leaders have there that were elected since."""
        later: dict[tuple[str, int], tuple[ReadUpTo, int]] = {}
        for tp, end in ends.items():
            read = noted(committed[tp].metadata) if tp in committed else NOTHING
            if 0 <= read.epoch < end.leader_epoch and self._agreed.get(tp) != (read, end.leader_epoch):
                later[tp] = read, end.leader_epoch
        if later:
            found = await self._cluster.epoch_ends({tp: read.epoch for tp, (read, _) in later.items()})
            self._agreed |= {tp: later[tp] for tp, end in found.items() if not 0 <= end < later[tp][0].offset}
        return all(self._agreed.get(tp) == of for tp, of in later.items())

    def _may_go_on_without(self, denied: AbstractSet[str]) -> bool:
        """Whether all topics that may not be described are optional ones; these are left out of samples."""
        for topic in sorted(denied):
            why = "is left out" if topic in self._optional else "as-of is held"
            self._say(f"{topic}?", "the right to describe the source topic %s is missing: %s", topic, why)
        if denied and denied <= self._optional:
            kept = [(at, {tp: end for tp, end in ends.items() if tp[0] not in denied}) for at, ends in self._pending]
            self._pending = deque(kept)
        return denied <= self._optional

    def _made_anew(
        self, topics: Mapping[str, TopicDescription], ends: Ends, committed: Mapping[tuple[str, int], Committed]
    ) -> bool:
        held = False
        for topic, state in topics.items():
            if self._ids.setdefault(topic, state.topic_id) != state.topic_id:
                self._say(
                    topic + "!", "as-of is held: the topic %s was deleted and made anew; restart the workers", topic
                )
                held = True
        for topic in {topic for topic, _ in self._pending[0][1]} - topics.keys() if self._pending else ():
            self._say(
                f"{topic}-",
                "as-of is held: the topic %s was deleted before all of it was read; restart the workers",
                topic,
            )
        for tp, end in ends.items():
            if tp in committed and committed[tp].offset > end.offset:  # as it was before the ends were asked for
                self._say(f"{tp}", "as-of is held: %s/%d ends at %d, before what was read of it", *tp, end.offset)
                held = True
        return held

    def _say(self, what: str, message: str, *args: object) -> None:
        if what not in self._said:
            self._said.add(what)
            log.warning(message, *args)


def _passed(committed: Mapping[tuple[str, int], Committed], ends: Ends) -> bool:
    return all(tp in committed and committed[tp].offset >= end.offset for tp, end in ends.items() if end.offset)

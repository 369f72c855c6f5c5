"""A look at the cluster: groups, their members and committed offsets, and the first and end offsets of their partitions.

Order matters: committed offsets are asked for before ends, so one above its end is of another topic of that name. Bounded: at most so many
partitions, our groups' first. What does not answer is left out; a cluster that does not answer at all is an error of the caller.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from stream_app.clients.waiting import ClusterError
from stream_app.observing.answers import CONSUMER, READABLE, GroupDescription, Offsets, TopicDescription, TopicRetention
from stream_app.observing.observer import Observer

_RETENTION_LOOKS = 30  # the topics' configuration is asked for anew after so many looks
_NAMES_LOOKS = 5  # and the list of groups


class Partitions(NamedTuple):
    """Offsets of the partitions that any group reads: first records, last stable offsets, ends."""

    starts: Offsets
    stable: Offsets
    ends: Offsets


class Look(NamedTuple):
    """What a look saw. Groups without a description, or without offsets, did not answer."""

    time_ms: int
    kinds: Mapping[str, str]  # group -> its protocol type; "" for one of ours that is not there
    states: Mapping[str, GroupDescription]
    committed: Mapping[str, Offsets]
    concerned: Mapping[str, frozenset[tuple[str, int]]]  # group -> partitions that it reads, or should
    topics: Mapping[str, TopicDescription]
    retention: Mapping[str, TopicRetention]
    partitions: Partitions
    left_out: int  # partitions beyond the limit


class Looker:
    """Takes looks. `ours`: our groups and the topics each must read, whole; `others`: regular expressions of names.

    `own`: regular expression of the names of our groups in any generation: those of one that does not serve are nobody's trouble.
    """

    def __init__(
        self,
        observer: Observer,
        ours: Mapping[str, Sequence[str]],
        others: Sequence[str],
        partitions_max: int,
        own: str = "(?!)",
    ) -> None:
        self._observer = observer
        self._ours, self._others = ours, [re.compile(pattern) for pattern in others]
        self._partitions_max, self._own = partitions_max, re.compile(own)
        self._kinds: dict[str, str] = {}
        self._retention: dict[str, TopicRetention] = {}
        self._looks = 0

    async def look(self, now_ms: int) -> Look:
        """One look. `Raises` ClusterError when the cluster does not answer."""
        if self._looks % _NAMES_LOOKS == 0:
            self._kinds = await self._wanted()
        kinds = self._kinds
        readable = [name for name, kind in kinds.items() if kind in READABLE]
        classic = [name for name in readable if kinds[name] in {CONSUMER, ""}]
        states, offsets = await asyncio.gather(
            self._observer.describe_groups(classic), asyncio.gather(*(self._committed(name) for name in readable))
        )
        committed = {name: found for name, found in zip(readable, offsets, strict=True) if found is not None}
        named = sorted(self._topics(states.values(), committed.values()))
        found = await self._observer.topics(named, denied_ok=True)
        topics = {topic: state for topic, state in found.items() if not state.is_denied}
        left = await self._left(states, committed)
        concerned, left_out = self._concerned(states, committed, topics, left)
        if self._looks % _RETENTION_LOOKS == 0 or not topics.keys() <= self._retention.keys():
            self._retention = await self._observer.retention(topics)
        self._looks += 1
        partitions = await self._partitions({tp for some in concerned.values() for tp in some})
        return Look(now_ms, kinds, states, committed, concerned, topics, self._retention, partitions, left_out)

    async def _wanted(self) -> dict[str, str]:
        """Groups to look at: ours, whether or not they are there, and those that a pattern matches."""
        there = await self._observer.groups()
        others = sorted(
            name
            for name in there
            if any(pattern.fullmatch(name) for pattern in self._others) and not self._own.fullmatch(name)
        )
        return {name: there.get(name, "") for name in dict.fromkeys([*self._ours, *others])}

    async def _committed(self, group: str) -> Offsets | None:
        try:
            return await self._observer.committed(group)
        except ClusterError:
            return None

    async def _left(
        self, states: Mapping[str, GroupDescription], committed: Mapping[str, Offsets]
    ) -> dict[str, frozenset[str]]:
        """Topics that groups have offsets of and subscribe to no more: Kafka keeps such offsets for a week.

        By the members' subscriptions where nobody owns a part of a topic; the new protocol's coordinator leaves no topic without owners.
        """
        found = {}
        for name, state in states.items():
            if name in self._ours or not state.members or not state.is_settled:
                continue
            owned = {topic for some in state.members.values() for topic, _ in some}
            unowned = frozenset(topic for topic, _ in committed.get(name, {})) - owned
            if unowned and not state.is_kip_848:
                with suppress(ClusterError):
                    subscribed = await self._observer.subscription(name)
                    found[name] = unowned - subscribed if subscribed is not None else frozenset()
            elif unowned:
                found[name] = unowned
        return found

    def _topics(self, states: Iterable[GroupDescription], committed: Iterable[Offsets]) -> set[str]:
        found = {topic for topics in self._ours.values() for topic in topics}
        found |= {topic for offsets in committed for topic, _ in offsets}
        return found | {topic for state in states for owned in state.members.values() for topic, _ in owned}

    def _concerned(
        self,
        states: Mapping[str, GroupDescription],
        committed: Mapping[str, Offsets],
        topics: Mapping[str, TopicDescription],
        left: Mapping[str, frozenset[str]],
    ) -> tuple[dict[str, frozenset[tuple[str, int]]], int]:
        """What each group reads: what it committed or owns, and the rest of each topic of which a member owns a part; no topic that it left."""
        concerned, count, left_out = {}, 0, 0
        for name, offsets in committed.items():
            owned = {tp for some in states[name].members.values() for tp in some} if name in states else set()
            whole = set(self._ours[name]) if name in self._ours else {topic for topic, _ in owned}
            found = {(topic, p) for topic in whole & topics.keys() for p in range(topics[topic].partitions)}
            if name not in self._ours:
                gone = left.get(name, frozenset())
                found |= {tp for tp in offsets.keys() | owned if tp[0] in topics and tp[0] not in gone}
            if count + len(found) > self._partitions_max:
                left_out += len(found)
                continue
            count += len(found)
            concerned[name] = frozenset(found)
        return concerned, left_out

    async def _partitions(self, wanted: set[tuple[str, int]]) -> Partitions:
        stable = await self._observer.ends(wanted, stable=True, missing_ok=True)
        starts, ends = await asyncio.gather(
            self._observer.starts(wanted, missing_ok=True), self._observer.ends(wanted, missing_ok=True)
        )
        return Partitions(starts, stable, ends)

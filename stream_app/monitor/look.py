"""One look at the cluster: which groups there are, who is in them, what they committed, and where the partitions begin and end.

Order matters: committed offsets are asked for before ends, so one above its end is of another topic of that name. Bounded: at most so many
partitions, our groups' first. What does not answer is left out; a cluster that does not answer at all is an error of the caller.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from stream_app.observing.cluster import Cluster, Ends, KafkaException, TopicState
from stream_app.observing.groups import CONSUMER, READABLE, Groups, GroupState, KafkaError
from stream_app.observing.offsets import Kept, Offsets

_KEPT_LOOKS = 30  # the topics' configuration is asked for anew after so many looks
_NAMES_LOOKS = 5  # and the list of groups


class Partitions(NamedTuple):
    """Of the partitions that any group is at: (topic, partition) -> offset."""

    starts: Ends
    stable: Ends
    ends: Ends


class Look(NamedTuple):
    """What was seen. Groups without a state, or without offsets, did not answer."""

    time_ms: int
    kinds: Mapping[str, str]  # group -> its protocol type; "" for one of ours that is not there
    states: Mapping[str, GroupState]
    committed: Mapping[str, Ends]
    concerned: Mapping[str, frozenset[tuple[str, int]]]  # group -> partitions that it reads, or should
    topics: Mapping[str, TopicState]
    kept: Mapping[str, Kept]
    partitions: Partitions
    left_out: int  # partitions beyond the limit


class Looker:
    """Looks. `ours`: our groups and the topics each must read, whole; `others`: regular expressions of names."""

    def __init__(
        self, servers: str, ours: Mapping[str, Sequence[str]], others: Sequence[str], partitions_max: int
    ) -> None:
        self.cluster, self._groups, self.offsets = Cluster(servers), Groups(servers), Offsets(servers)
        self._ours, self._others = ours, [re.compile(pattern) for pattern in others]
        self._partitions_max = partitions_max
        self._kinds: dict[str, str] = {}
        self._kept: dict[str, Kept] = {}
        self._looks = 0

    async def close(self) -> None:
        """Disconnect."""
        await self._groups.close()

    async def look(self, now_ms: int) -> Look:
        """`Raises` KafkaError or KafkaException when the cluster does not answer."""
        if self._looks % _NAMES_LOOKS == 0:
            self._kinds = await self._wanted()
        kinds = self._kinds
        readable = [name for name, kind in kinds.items() if kind in READABLE]
        classic = [name for name in readable if kinds[name] in {CONSUMER, ""}]
        states, offsets = await asyncio.gather(
            self._groups.describe(classic), asyncio.gather(*(self._committed(name) for name in readable))
        )
        committed = {name: found for name, found in zip(readable, offsets, strict=True) if found is not None}
        topics = await self.cluster.describe(sorted(self._topics(states.values(), committed.values())))
        concerned, left_out = self._concerned(states, committed, topics)
        if self._looks % _KEPT_LOOKS == 0 or not topics.keys() <= self._kept.keys():
            self._kept = await self.offsets.kept(topics)
        self._looks += 1
        partitions = await self._partitions({tp for some in concerned.values() for tp in some})
        return Look(now_ms, kinds, states, committed, concerned, topics, self._kept, partitions, left_out)

    async def _wanted(self) -> dict[str, str]:
        """Groups to look at: ours, whether or not they are there, and those that a pattern matches."""
        there = await self._groups.names()
        others = sorted(name for name in there if any(pattern.fullmatch(name) for pattern in self._others))
        return {name: there.get(name, "") for name in dict.fromkeys([*self._ours, *others])}

    async def _committed(self, group: str) -> Ends | None:
        try:
            return await self._groups.committed(group)
        except KafkaError:
            return None

    def _topics(self, states: Iterable[GroupState], committed: Iterable[Ends]) -> set[str]:
        found = {topic for topics in self._ours.values() for topic in topics}
        found |= {topic for offsets in committed for topic, _ in offsets}
        return found | {topic for state in states for owned in state.members.values() for topic, _ in owned}

    def _concerned(
        self, states: Mapping[str, GroupState], committed: Mapping[str, Ends], topics: Mapping[str, TopicState]
    ) -> tuple[dict[str, frozenset[tuple[str, int]]], int]:
        """What each group reads: what it committed or owns, and the rest of each topic of which a member owns a part."""
        concerned, count, left_out = {}, 0, 0
        for name, offsets in committed.items():
            owned = {tp for some in states[name].members.values() for tp in some} if name in states else set()
            whole = set(self._ours[name]) if name in self._ours else {topic for topic, _ in owned}
            found = {(topic, p) for topic in whole & topics.keys() for p in range(topics[topic].partitions)}
            if name not in self._ours:
                found |= {tp for tp in offsets.keys() | owned if tp[0] in topics}
            if count + len(found) > self._partitions_max:
                left_out += len(found)
                continue
            count += len(found)
            concerned[name] = frozenset(found)
        return concerned, left_out

    async def _partitions(self, wanted: set[tuple[str, int]]) -> Partitions:
        stable = await self.offsets.ends(wanted, stable=True)
        starts, ends = await asyncio.gather(self.offsets.starts(wanted), self.offsets.ends(wanted, stable=False))
        return Partitions(starts, stable, ends)


ERRORS = (KafkaError, KafkaException, OSError)

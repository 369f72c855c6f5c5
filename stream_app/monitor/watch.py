"""The watch over groups: histories kept from look to look, and their judgement by `health.status`.

Invariant: each partition of a group has a history of one topic; a topic made anew begins another, and what was committed in the old one
counts for nothing. Asks nothing but the times of first unread records, and those only when the offset is another one than at the last look.
"""

from collections.abc import Mapping
from typing import NamedTuple

from stream_app.health.history import History
from stream_app.health.lag import UNKNOWN_MS, Point, Retention, readable_end
from stream_app.health.status import Limits, Reason
from stream_app.monitor.document import GroupRow, PartitionRow
from stream_app.monitor.look import Look
from stream_app.monitor.rows import group_row, missing_row, partition_row, share_row
from stream_app.observing.answers import READABLE
from stream_app.observing.timestamps import PARTITIONS_MAX, LookupRequest, TimestampLookup

_BLIP_MS = 60_000  # for which a partition that is not there keeps its history
_REMEMBERED_MS = 3_600_000  # and where the group was in it
_GONE_MAX = 1000  # so many of them
_PASSES_MAX = 4  # groups at different offsets of one partition that are asked about in one look

Key = tuple[str, str, int]  # group, topic, partition


class _Unread(NamedTuple):
    """The last lookup of a first unread record: its offset, the end at that time, the timestamp found."""

    offset: int
    end: int
    time_ms: int | None


class _Memory:
    """What is kept of a partition of a group, for one topic of that name: a topic made anew gets another."""

    def __init__(self, topic_id: str, left: int | None, *, made_anew: bool) -> None:
        self.topic_id, self.left, self.made_anew = topic_id, left, made_anew  # left: what was committed in the old one
        self.is_left_here = False  # and again in this one
        self.committed: int | None = None  # as Kafka said it last
        self.seen_ms = 0
        self.history = History()
        self.said: Reason | None = None  # after the last look
        self.unread: _Unread | None = None

    def take(self, committed: int, end: int) -> None:
        """Is it of this topic? Kafka takes the offset back with the topic, and a consumer that has not noticed commits its position again.

        That may be a later one than was seen before. It does not move, and lies beyond the end until the new topic has grown.
        """
        if committed != self.left and self.made_anew:
            is_new = self.left is None or self.is_left_here or committed < self.left or committed == end
            self.made_anew = not is_new
        if committed > end:
            self.made_anew = True
        if self.made_anew:
            self.left, self.is_left_here = committed, True
        self.committed = committed


class _Now(NamedTuple):
    """A partition of a group as this look saw it."""

    memory: _Memory
    committed: int | None
    start: int
    end: int  # that can be read
    held: int  # offsets in open transactions
    stable: bool

    @property
    def offset(self) -> int:
        """Offset of the first record that is kept and not consumed."""
        return max(self.committed or 0, self.start)


class Watch:
    """Histories of all partitions of all groups. `ours`: groups that must have members."""

    def __init__(self, lookup: TimestampLookup, ours: frozenset[str], limits: Limits) -> None:
        self._lookup, self._ours, self._limits = lookup, ours, limits
        self._memories: dict[Key, _Memory] = {}
        self._had_members: set[str] = set()
        self.starting_until_ms = 0  # our groups are not missed before: their workers are about to begin
        self._owners: dict[str, Mapping[str, frozenset[tuple[str, int]]]] = {}
        self._rebalances: dict[str, int] = {}
        self._rows: dict[str, GroupRow] = {}

    async def take(self, look: Look) -> list[GroupRow]:
        """The row of each group after this look, in the look's order. `Raises` ClusterError."""
        now = {
            (group, *tp): seen
            for group, partitions in look.concerned.items()
            for tp in sorted(partitions)
            if (seen := self._see(look, group, tp)) is not None
        }
        self._memories = self._gone(look.time_ms, now) | {key: seen.memory for key, seen in now.items()}
        await self._find_times(look, now)
        rows = [self._group(look, group, now) for group in look.kinds]
        self._rows = {row.group: row for row in rows}
        return rows

    def _gone(self, now_ms: int, now: Mapping[Key, _Now]) -> dict[Key, _Memory]:
        """What stays of partitions that this look did not see: they did not answer, or their topic is being made anew."""
        found = {}
        for key, memory in self._memories.items():
            gone_ms = now_ms - memory.seen_ms
            if key not in now and gone_ms <= _REMEMBERED_MS:
                found[key] = memory
                if gone_ms > _BLIP_MS:
                    memory.history, memory.said, memory.unread = History(), None, None
        return dict(list(found.items())[-_GONE_MAX:])

    def _see(self, look: Look, group: str, tp: tuple[str, int]) -> _Now | None:
        start, stable, end = (offsets.get(tp) for offsets in look.partitions)
        if start is None or stable is None or end is None:
            return None
        committed, topic_id = look.committed[group].get(tp), look.topics[tp[0]].topic_id
        memory = self._memories.get((group, *tp))
        if memory is None:
            memory = _Memory(topic_id, None, made_anew=False)
        elif memory.topic_id != topic_id:
            memory = _Memory(topic_id, memory.committed if committed is None else committed, made_anew=True)
        memory.seen_ms = look.time_ms
        if committed is not None:
            memory.take(committed, end)
        if memory.made_anew:
            committed = None
        readable = readable_end(committed, stable, end)
        return _Now(memory, committed, start, readable, end - stable, stable=readable == stable)

    async def _find_times(self, look: Look, now: Mapping[Key, _Now]) -> None:
        passes: list[dict[tuple[str, int], tuple[LookupRequest, list[Key]]]] = [{} for _ in range(_PASSES_MAX)]
        for (group, topic, partition), seen in now.items():
            offset, known = seen.offset, seen.memory.unread
            if offset >= seen.end:
                seen.memory.unread = _Unread(offset, seen.end, None)
            elif known is None or known.offset != offset or (known.time_ms is None and known.end != seen.end):
                kept = look.retention.get(topic)
                after_ms = known.time_ms if known and known.time_ms and known.offset < offset else 0
                want = LookupRequest(
                    offset, max(0, after_ms), seen.stable, is_compacted=kept is not None and kept.is_compacted
                )
                for one in passes:
                    if len(one) < PARTITIONS_MAX:
                        asked, keys = one.setdefault((topic, partition), (want, []))
                        if (asked.offset, asked.stable) == (want.offset, want.stable):
                            keys.append((group, topic, partition))
                            break
        for one in passes:
            if one:
                times = await self._lookup.timestamps({tp: want for tp, (want, _) in one.items()}, look.time_ms)
                for tp, time_ms in times.items():
                    for key in one[tp][1]:
                        now[key].memory.unread = _Unread(one[tp][0].offset, now[key].end, time_ms)

    def _group(self, look: Look, group: str, now: Mapping[Key, _Now]) -> GroupRow:
        kind, state, before = look.kinds[group], look.states.get(group), self._rows.get(group)
        if kind not in READABLE:
            return share_row(group, kind)
        if kind == "" and group in self._ours and not look.committed.get(group) and not (state and state.members):
            return missing_row(group, look.time_ms, before)
        members = state.members if state is not None else {}
        if state is not None and state.is_settled:
            if self._owners.get(group, members) != members:
                self._rebalances[group] = self._rebalances.get(group, 0) + 1
            self._owners[group] = members
        if members or (group in self._ours and look.time_ms >= self.starting_until_ms):
            self._had_members.add(group)
        owned = {tp for some in members.values() for tp in some}
        partitions = []
        for tp in sorted(look.concerned.get(group, ())):
            if (seen := now.get((group, *tp))) is not None:
                is_owned = True if tp in owned else False if state is not None and state.is_settled else None
                partitions.append(self._partition(look, group, tp, seen, len(members), is_owned))
        return group_row(
            group,
            is_new=state is not None and state.is_kip_848,
            members=len(members),
            rebalances=self._rebalances.get(group, 0),
            partitions=partitions,
            before=before,
            now_ms=look.time_ms,
        )

    def _partition(
        self, look: Look, group: str, tp: tuple[str, int], seen: _Now, members: int, is_owned: bool | None
    ) -> PartitionRow:
        memory, unread = seen.memory, seen.memory.unread
        unread_ms = unread.time_ms if unread is not None and unread.offset == seen.offset else UNKNOWN_MS
        memory.history.add(Point(look.time_ms, seen.committed, seen.start, seen.end, unread_ms), owned=is_owned)
        kept = look.retention.get(tp[0])
        row = partition_row(
            tp,
            history=memory.history,
            retention=Retention(kept.ms, kept.bytes) if kept is not None else Retention(),
            members=members,
            has_members=group in self._had_members,
            recreated=memory.made_anew,
            before=memory.said,
            held=seen.held,
            owned=is_owned,
            limits=self._limits,
        )
        memory.said = row.reason
        return row

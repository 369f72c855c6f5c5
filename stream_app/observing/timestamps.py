"""Timestamp lookup: when the first record at or behind an offset was appended. By reading that record, or by bisecting ListOffsets.

A record that is read gives the exact timestamp; control records, aborted records and gaps are stepped over, and one record of a partition is
read. Bisecting needs no right to read, is at most `_NEAR` of the age off, and takes control and aborted records for records. Both are
bounded: partitions at once, and rounds or seconds; partitions without an answer by then are left out.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from confluent_kafka import Consumer, KafkaError, TopicPartition

from stream_app.access.kafka import KafkaAccess
from stream_app.observing.answers import OffsetAndTime
from stream_app.observing.client import cluster_errors, reader_settings

PARTITIONS_MAX = 200  # asked about at once
_SECONDS_MAX = 3.0
_ROUNDS_MAX = 40
_FIRST_AGE_MS = 1000
_NEAR_MS, _NEAR = 200, 0.005  # of the age

# By (topic, partition), epoch milliseconds; None: there is no record up to the end that can be read.
Timestamps = dict[tuple[str, int], int | None]


class LookupRequest(NamedTuple):
    """The first record of a partition from `offset` on. `after_ms`: timestamp of an earlier record, 0 where none is known."""

    offset: int
    after_ms: int = 0
    stable: bool = True  # up to the last stable offset only
    is_compacted: bool = False


class TimestampLookup(Protocol):
    """Finds timestamps of records by their offsets."""

    async def timestamps(self, wanted: Mapping[tuple[str, int], LookupRequest], now_ms: int) -> Timestamps:
        """Timestamps of the records asked for, by (topic, partition). `Raises` ClusterError."""

    def close(self) -> None:
        """Disconnect."""


class ReadingLookup:
    """Timestamp lookup by reading one record of each partition."""

    def __init__(self, kafka: KafkaAccess) -> None:
        self._consumers: dict[bool, Consumer] = {}
        self._settings = reader_settings(kafka) | {
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 10,
            "queued.min.messages": 1,
            "fetch.message.max.bytes": 65_536,
        }

    async def timestamps(self, wanted: Mapping[tuple[str, int], LookupRequest], now_ms: int) -> Timestamps:
        """Exact timestamps. `Raises` ClusterError."""
        del now_ms
        found: Timestamps = {}
        for stable in (True, False):
            offsets = {tp: want.offset for tp, want in wanted.items() if want.stable is stable}
            if offsets:
                with cluster_errors():
                    found |= await asyncio.to_thread(self._read, stable, offsets)
        return found

    def _read(self, stable: bool, offsets: Mapping[tuple[str, int], int]) -> Timestamps:
        consumer = self._consumers.get(stable)
        if consumer is None:
            isolation = {"isolation.level": "read_committed" if stable else "read_uncommitted"}
            consumer = self._consumers[stable] = Consumer(self._settings | isolation)
        consumer.assign([TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()])
        consumer.resume([TopicPartition(*tp) for tp in offsets])  # one that was paused stays so, whatever is assigned
        found: Timestamps = {}
        todo, deadline = set(offsets), time.monotonic() + _SECONDS_MAX
        try:
            while todo and (left := deadline - time.monotonic()) > 0:
                message = consumer.poll(left)
                if message is None or (tp := (message.topic(), message.partition())) not in todo:
                    continue
                todo.discard(tp)
                error = message.error()
                if error is None:
                    found[tp] = message.timestamp()[1]
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its public name
                    found[tp] = None
                consumer.pause([TopicPartition(*tp)])
        finally:
            consumer.unassign()
        return found

    def close(self) -> None:
        """Disconnect."""
        for consumer in self._consumers.values():
            consumer.close()


class _Search:
    """Bisection for one record: the records older than `_low` lie before its offset, those that are not older than `_high` do not."""

    def __init__(self, want: LookupRequest, now_ms: int) -> None:
        self.want, self._now_ms = want, now_ms
        self._low = want.after_ms or None
        self._high, self._age = now_ms + 1, _FIRST_AGE_MS
        self._best: tuple[int, int] | None = None
        self.ask_ms = self._next()
        self.is_over = False

    def _next(self) -> int:
        if self._low is None:
            return max(0, self._now_ms - self._age)
        return (self._low + self._high) // 2

    def take(self, offset: int | None, time_ms: int) -> None:
        """Take an answer: offset and timestamp of the first record that is not older than `ask_ms`; None: there is none."""
        if offset is not None and offset < self.want.offset:
            self._low = max(self.ask_ms, time_ms)
        else:
            self._high = self.ask_ms
            self._age *= 4
            self._best = (offset, time_ms) if offset is not None else self._best
            if self.ask_ms == 0:
                self._low = 0
        near_ms = max(_NEAR_MS, int((self._now_ms - self._high) * _NEAR))
        exact = self._best is not None and self._best[0] == self.want.offset
        self.is_over = exact or (self._low is not None and self._high - self._low <= near_ms)
        self.ask_ms = self._next()

    def time_ms(self) -> int:
        """The timestamp found, epoch milliseconds."""
        if self._best is None:  # all that there is has timestamps of the future
            return self._high
        offset, time_ms = self._best
        if offset == self.want.offset or self.want.is_compacted or self._low == 0:
            return time_ms
        return min(time_ms, self._high)  # it has the timestamp of its neighbour before it


class OffsetsByTime(Protocol):
    """ListOffsets as the bisection asks it; stream_app.observing.observer.Observer answers."""

    async def at(
        self, times_ms: Mapping[tuple[str, int], int], *, stable: bool = True
    ) -> dict[tuple[str, int], OffsetAndTime | None]:
        """The first records that are not older than a time; None: there is none. `Raises` ClusterError."""


class BisectingLookup:
    """Timestamp lookup by ListOffsets alone: which times lie before the offset, and which behind it."""

    def __init__(self, offsets: OffsetsByTime) -> None:
        self._offsets = offsets

    async def timestamps(self, wanted: Mapping[tuple[str, int], LookupRequest], now_ms: int) -> Timestamps:
        """Timestamps to within `_NEAR` of the age. `Raises` ClusterError."""
        searches = {tp: _Search(want, now_ms) for tp, want in wanted.items()}
        answered: set[tuple[str, int]] = set()
        for _ in range(_ROUNDS_MAX):
            todo = {tp: search for tp, search in searches.items() if not search.is_over}
            if not todo:
                break
            answers: dict[tuple[str, int], OffsetAndTime | None] = {}
            for stable in (True, False):
                asked = {tp: search.ask_ms for tp, search in todo.items() if search.want.stable is stable}
                answers |= await self._offsets.at(asked, stable=stable)
            for tp, found in answers.items():
                searches[tp].take(*((found.offset, found.time_ms) if found else (None, 0)))
                answered.add(tp)
            searches = {tp: search for tp, search in searches.items() if tp in answered}
        return {tp: search.time_ms() for tp, search in searches.items() if search.is_over}

    def close(self) -> None:
        """Nothing to disconnect: the client is its owner's."""

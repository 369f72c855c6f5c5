"""Kafka records on their way in, a record batch at a time, and on their way out, by topic and partition."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Final, NamedTuple

Headers = list[tuple[str, bytes | None]]  # a value of None is a null header


class Record(NamedTuple):
    """A record to be appended, with a key. `value` None: a tombstone."""

    key: bytes
    value: bytes | None
    headers: Headers


RecordFields = tuple[bytes | None, bytes | None, Headers]  # key, value, headers: of a Record, or of one without a key
NO_TIMESTAMP = -1  # as Kafka has it: before every time
_NONE: Final[Mapping[int, Headers]] = MappingProxyType({})
Records = Mapping[tuple[str, int], Iterable[RecordFields]]  # by (topic, partition)


class Batch:
    """The records of one Kafka record batch, from the consumer's position on: parallel lists.

    Timestamps are epoch milliseconds, NO_TIMESTAMP for a record that has none.

    `next_offset` is the position behind the batch, which may lie further on than the last record's: compaction leaves
    gaps. `leader_epoch` grows with each election of a leader of the partition, -1: not known. `headers`, by offset, are those
    of records that have any, if the consumer keeps them.
    """

    __slots__ = ("headers", "keys", "leader_epoch", "next_offset", "offsets", "timestamps", "values")

    keys: list[bytes | None]
    values: list[bytes | None]
    offsets: list[int]
    timestamps: list[int]
    next_offset: int
    leader_epoch: int
    headers: Mapping[int, Headers]

    def __init__(
        self,
        keys: list[bytes | None],
        values: list[bytes | None],
        offsets: list[int],
        timestamps: list[int],
        next_offset: int,
        leader_epoch: int = -1,
        headers: Mapping[int, Headers] = _NONE,
    ) -> None:
        self.keys, self.values, self.offsets, self.timestamps = keys, values, offsets, timestamps
        self.next_offset, self.leader_epoch, self.headers = next_offset, leader_epoch, headers

    @classmethod
    def joined(cls, batches: Sequence["Batch"]) -> "Batch":
        """Batches of one partition that follow each other, as one."""
        if len(batches) == 1:
            return batches[0]
        return cls(
            list(chain.from_iterable([batch.keys for batch in batches])),
            list(chain.from_iterable([batch.values for batch in batches])),
            list(chain.from_iterable([batch.offsets for batch in batches])),
            list(chain.from_iterable([batch.timestamps for batch in batches])),
            batches[-1].next_offset,
            batches[-1].leader_epoch,
            {offset: some for batch in batches for offset, some in batch.headers.items()},
        )

    def cut(self, part: slice) -> "Batch":
        """A part of it."""
        return self._with(self.keys[part], self.values[part], self.offsets[part], self.timestamps[part])

    def picked(self, indexes: Sequence[int]) -> "Batch":
        """Some of its records."""
        return self._with(
            [self.keys[index] for index in indexes],
            [self.values[index] for index in indexes],
            [self.offsets[index] for index in indexes],
            [self.timestamps[index] for index in indexes],
        )

    def _with(
        self, keys: list[bytes | None], values: list[bytes | None], offsets: list[int], timestamps: list[int]
    ) -> "Batch":
        return Batch(keys, values, offsets, timestamps, self.next_offset, self.leader_epoch, self.headers)

    def __len__(self) -> int:
        return len(self.values)

"""Consumers that yield Kafka's own record batches whole: no object is made for a record.

`install` replaces the one name in aiokafka that unpacks a fetch (`fetcher.PartitionRecords`); from then on every consumer of this process
gives lists of `Batch` instead of records. Aborted transactions and control batches are stepped over, and positions with them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException


class Batch:
    """The records of one Kafka record batch, from the position on: parallel lists, timestamps in epoch milliseconds."""

    __slots__ = ("keys", "next_offset", "offsets", "timestamps", "values")

    keys: list[bytes | None]
    values: list[bytes | None]
    offsets: list[int]
    timestamps: list[int]
    next_offset: int

    @classmethod
    def of(cls, records: list[Any], next_offset: int) -> "Batch":
        """The batch of aiokafka's records."""
        return cls(
            [r.key for r in records],
            [r.value for r in records],
            [r.offset for r in records],
            [r.timestamp for r in records],
            next_offset,
        )

    def __init__(
        self,
        keys: list[bytes | None],
        values: list[bytes | None],
        offsets: list[int],
        timestamps: list[int],
        next_offset: int,
    ) -> None:
        self.keys, self.values, self.offsets, self.timestamps = keys, values, offsets, timestamps
        self.next_offset = next_offset

    @classmethod
    def joined(cls, batches: Sequence["Batch"]) -> "Batch":
        """Batches of one partition that follow each other, as one."""
        if len(batches) == 1:
            return batches[0]
        return cls(
            [key for batch in batches for key in batch.keys],
            [value for batch in batches for value in batch.values],
            [offset for batch in batches for offset in batch.offsets],
            [timestamp for batch in batches for timestamp in batch.timestamps],
            batches[-1].next_offset,
        )

    def __len__(self) -> int:
        return len(self.values)


class PartitionBatches(fetcher.PartitionRecords):  # type: ignore[misc]
    """aiokafka's PartitionRecords, a batch at a time."""

    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[Batch]:
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            if self._is_visible(batch):
                first: int = self.next_fetch_offset
                found = Batch.of([r for r in batch if r.offset >= first], batch.next_offset)
                self.next_fetch_offset = batch.next_offset
                if found:
                    yield found
            else:
                self.next_fetch_offset = batch.next_offset

    def _is_visible(self, batch: Any) -> bool:
        if self._isolation_level == fetcher.READ_COMMITTED and batch.producer_id is not None:
            self._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and self._contains_abort_marker(batch):
                self._aborted_producers.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in self._aborted_producers:
                return False
        return not batch.is_control_batch


def install() -> None:
    """From now on, for all consumers of this process. Repeating it changes nothing."""
    fetcher.PartitionRecords = PartitionBatches

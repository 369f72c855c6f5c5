"""Consumers that yield Kafka's own record batches whole: no object is made for a record.

`install` replaces the two names in aiokafka that unpack a fetch (`fetcher.PartitionRecords`, `fetcher.MemoryRecords`); from then on every consumer
of this process gives lists of `Batch` instead of records. Aborted transactions and control batches are stepped over, and positions with them.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from stream_app.ports.records import NO_TIMESTAMP, Batch, Headers

_HEAD: Final = struct.Struct(">qiib")  # of a batch: base offset, length behind it, leader epoch, format
_LENGTH_AT: Final = 12  # the length counts from here
_WITH_EPOCH: Final = 2  # the first format that has leader epochs


class BatchesWithEpochs:
    """The batches of a fetched partition, as aiokafka's MemoryRecords holds them; `leader_epoch` of the last one, which that does not tell."""

    def __init__(self, fetched: bytes) -> None:
        self._fetched, self._records, self._next_at = fetched, MemoryRecords(fetched), 0
        self.leader_epoch = -1

    def has_next(self) -> bool:
        """Whether there is one more whole batch."""
        return bool(self._records.has_next())

    def size_in_bytes(self) -> int:
        """Size of what was fetched."""
        return len(self._fetched)

    def next_batch(self) -> Any:
        """The next batch."""
        _, length, epoch, format_ = _HEAD.unpack_from(self._fetched, self._next_at)
        self._next_at += _LENGTH_AT + length
        self.leader_epoch = epoch if format_ >= _WITH_EPOCH else -1
        return self._records.next_batch()


def _batch(records: list[Any], next_offset: int, leader_epoch: int, headers: Mapping[int, Headers]) -> Batch:
    """A batch of these records of aiokafka's, which gives records of Kafka's first format, from before timestamps, None as theirs."""
    return Batch(
        [record.key for record in records],
        [record.value for record in records],
        [record.offset for record in records],
        [NO_TIMESTAMP if record.timestamp is None else record.timestamp for record in records],
        next_offset,
        leader_epoch,
        headers,
    )


class PartitionBatches(fetcher.PartitionRecords):  # type: ignore[misc]
    """The records of a fetched partition, as aiokafka's PartitionRecords holds them, yielded as whole batches."""

    next_fetch_offset: int
    keeps_headers = False

    def _unpack_records(self) -> Iterator[Batch]:
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            if self._is_visible(batch):
                first: int = self.next_fetch_offset
                records = [record for record in batch if record.offset >= first]
                headers = {each.offset: each.headers for each in records if each.headers} if self.keeps_headers else {}
                found = _batch(records, batch.next_offset, self._records.leader_epoch, headers)
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


def install(*, headers: bool = False) -> None:
    """Make all consumers of this process yield batches, with the `headers` of records or without. Repeating the call changes nothing else."""
    PartitionBatches.keeps_headers = headers
    fetcher.PartitionRecords, fetcher.MemoryRecords = PartitionBatches, BatchesWithEpochs

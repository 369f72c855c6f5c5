"""Consumers that yield Kafka's own record batches whole: no object is made for a record.

`install` replaces the one name in aiokafka that unpacks a fetch (`fetcher.PartitionRecords`); from then on every consumer of this process
gives lists of `Batch` instead of records. Aborted transactions and control batches are stepped over, and positions with them.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException

from stream_app.ports.records import NO_TIMESTAMP, Batch


def _batch(records: list[Any], next_offset: int) -> Batch:
    """A batch of these records of aiokafka's, which gives records of Kafka's first format, from before timestamps, None as theirs."""
    return Batch(
        [record.key for record in records],
        [record.value for record in records],
        [record.offset for record in records],
        [NO_TIMESTAMP if record.timestamp is None else record.timestamp for record in records],
        next_offset,
    )


class PartitionBatches(fetcher.PartitionRecords):  # type: ignore[misc]
    """The records of a fetched partition, as aiokafka's PartitionRecords holds them, yielded as whole batches."""

    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[Batch]:
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            if self._is_visible(batch):
                first: int = self.next_fetch_offset
                found = _batch([record for record in batch if record.offset >= first], batch.next_offset)
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
    """Make all consumers of this process yield batches. Repeating the call changes nothing."""
    fetcher.PartitionRecords = PartitionBatches

"""Consumers that read partitions they are assigned by hand: committed records only, from where they are told.

Must not join a group: with a `consumer_group` they keep offsets under its name, and commit only what the caller commits.
"""

from typing import Final

from aiokafka import AIOKafkaConsumer

from stream_app.access.kafka import KafkaAccess

_FETCH_BYTES: Final = 1 << 20  # aiokafka's own default; a record batch that is larger comes whole


def new_reader(
    kafka: KafkaAccess, *, consumer_group: str | None = None, partition_bytes: int = _FETCH_BYTES
) -> AIOKafkaConsumer:
    """A consumer that is not started yet. Without a position it begins at the first record that is kept.

    `partition_bytes`: what one fetch brings of a partition.
    """
    return AIOKafkaConsumer(
        **kafka.aiokafka(),
        group_id=consumer_group,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=partition_bytes,
        fetch_max_wait_ms=100,
    )

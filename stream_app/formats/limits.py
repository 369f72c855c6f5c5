"""How large things may become on their way through Kafka: limits that agree with each other.

A record's limit in Kafka is `max.message.bytes` of its topic, and is not retriable: what exceeds it never gets through. So
whatever may be larger is made smaller here: values of source records are cut where they only travel along, events that
are too large are rejected, rows are written in pieces.
"""

from typing import Final

RECORD_BYTES_MAX: Final = 2 << 20  # of the events topic and of the dead letters: what their max.message.bytes must be
BATCH_BYTES_MAX: Final = (
    1_000_000  # of the batches written to all other topics of ours; Kafka's own default is 1,048,588
)
PACKED_BYTES_MAX: Final = 900_000  # of records that are packed into a batch: some do not compress, and grow a little

# Of a source record that travels along in a frame, or lies in a dead letter. Beside both there is room for headers, and for the event.
KEY_BYTES_MAX: Final = 64 << 10
VALUE_BYTES_MAX: Final = RECORD_BYTES_MAX - KEY_BYTES_MAX - (192 << 10)

MEMBERSHIP_BYTES_MAX: Final = (
    3 << 19
)  # of an event that lists a customer's groups: a frame holds one, a row in pieces, too
NAME_BYTES_MAX: Final = 256 << 10  # of an event that names a group or an operator: it lies in one row

ROW_BYTES_MAX: Final = 512 << 10  # of a row's value in the changelog; of a larger one the pieces


def cut(value: bytes | None, bytes_max: int) -> bytes | None:
    """The value, or the beginning of one that is not shorter than the limit. So one as long as the limit was cut."""
    return value if value is None or len(value) < bytes_max else value[:bytes_max]


def is_cut(value: bytes | None, bytes_max: int) -> bool:
    """Did `cut` take something away?"""
    return value is not None and len(value) >= bytes_max

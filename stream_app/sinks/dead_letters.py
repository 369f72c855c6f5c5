"""Dead letters: source records that can't be used, as they came, with the reason. Writer and reader of one format.

The key names the source record, so the same record read again replaces its own letter in the compacted topic.
"""

from collections.abc import Iterable
from typing import NamedTuple

from stream_app.domain.errors import Reason, Rejection
from stream_app.domain.report import iso_ms
from stream_app.ports.records import Record


class DeadLetter(NamedTuple):
    """A letter as it is listed and sent again."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None  # None: the source's was null
    reason: str
    detail: str
    failed_at: str


def dead_letter(
    topic: str,
    partition: int,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    rejection: Rejection,
    failed_at_ms: int,
) -> Record:
    """The record of a letter. A null value becomes an empty one, for compaction would remove it."""
    return Record(
        f"{topic}/{partition}/{offset}".encode(),
        value or b"",
        [
            ("reason", rejection.reason.value.encode()),
            ("detail", rejection.detail.encode(errors="replace")),
            ("source-topic", topic.encode()),
            ("source-partition", str(partition).encode()),
            ("source-offset", str(offset).encode()),
            ("source-key", key),
            ("failed-at", iso_ms(failed_at_ms).encode()),
        ],
    )


def read_dead_letter(value: bytes | None, headers: Iterable[tuple[str, bytes | None]]) -> DeadLetter | None:
    """The letter in a record; None for a letter that was removed, or a record of somebody else's."""
    if value is None:
        return None
    found = {name: header for name, header in headers if header is not None}
    try:
        reason = found["reason"].decode()
        return DeadLetter(
            topic=found["source-topic"].decode(),
            partition=int(found["source-partition"]),
            offset=int(found["source-offset"]),
            key=found.get("source-key"),
            value=None if reason == Reason.TOMBSTONE else value,
            reason=reason,
            detail=found["detail"].decode(),
            failed_at=found["failed-at"].decode(),
        )
    except (KeyError, ValueError):
        return None

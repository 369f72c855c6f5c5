"""Dead letters: source records that can't be used, as they came, with the reason. Writer and reader of one format.

The key names the source record, so the same record read again replaces its own letter in the compacted topic.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from stream_app.domain.errors import Reason, Rejection
from stream_app.domain.report import iso_ms
from stream_app.formats.limits import KEY_BYTES_MAX, VALUE_BYTES_MAX, cut, is_cut
from stream_app.ports.records import Headers, Record

VALUE_CUT_AT: Final = "value-cut-at"  # headers of a letter whose value, or source key, is the beginning only
KEY_CUT_AT: Final = "source-key-cut-at"


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
    is_cut: bool  # key or value are the beginning only of those of the source record


def dead_letter(
    topic: str,
    partition: int,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    rejection: Rejection,
    failed_at_ms: int,
) -> Record:
    """The record of a letter. A null value becomes an empty one, for compaction would remove it.

    Key and value are cut where they are too large for the topic, and headers say where: the source record has the whole.
    """
    headers: Headers = [
        ("reason", rejection.reason.value.encode()),
        ("detail", rejection.detail.encode(errors="replace")),
        ("source-topic", topic.encode()),
        ("source-partition", str(partition).encode()),
        ("source-offset", str(offset).encode()),
        ("source-key", cut(key, KEY_BYTES_MAX)),
        ("failed-at", iso_ms(failed_at_ms).encode()),
    ]
    if is_cut(value, VALUE_BYTES_MAX):
        headers.append((VALUE_CUT_AT, b"%d" % VALUE_BYTES_MAX))
    if is_cut(key, KEY_BYTES_MAX):
        headers.append((KEY_CUT_AT, b"%d" % KEY_BYTES_MAX))
    return Record(f"{topic}/{partition}/{offset}".encode(), cut(value, VALUE_BYTES_MAX) or b"", headers)


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
            is_cut=VALUE_CUT_AT in found or KEY_CUT_AT in found,
        )
    except (KeyError, ValueError):
        return None

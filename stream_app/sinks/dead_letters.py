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
REDRIVEN_AT: Final = "redriven-at"  # of one that was sent again, with the place that it was sent to, and whether edited
REDRIVEN_TO: Final = "redriven-to"
REDRIVEN_AS: Final = "redriven-as"
DROPPED_AT: Final = "dropped-at"  # of one that needs nothing


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
    is_value_cut: bool = False  # the value is the beginning only of that of the source record
    is_key_cut: bool = False
    redriven_at: str | None = None  # RFC 3339
    redriven_to: str | None = None  # topic/partition/offset
    dropped_at: str | None = None  # RFC 3339

    @property
    def name(self) -> str:
        """The key of its record: topic/partition/offset of the source record."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def is_open(self) -> bool:
        """Whether nothing became of it yet."""
        return self.redriven_at is None and self.dropped_at is None


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
            is_value_cut=VALUE_CUT_AT in found,
            is_key_cut=KEY_CUT_AT in found,
            redriven_at=_text(found.get(REDRIVEN_AT)),
            redriven_to=_text(found.get(REDRIVEN_TO)),
            dropped_at=_text(found.get(DROPPED_AT)),
        )
    except (KeyError, ValueError):
        return None


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode()


def redriven(headers: Headers, at_ms: int, to: str, *, edited: bool) -> Headers:
    """The headers of a letter that was sent again. `to`: topic/partition/offset of the record."""
    note: Headers = [
        (REDRIVEN_AT, iso_ms(at_ms).encode()),
        (REDRIVEN_TO, to.encode()),
        (REDRIVEN_AS, b"edited" if edited else b"it came"),
    ]
    return [*headers, *note]


def dropped(headers: Headers, at_ms: int) -> Headers:
    """The headers of a letter that was dropped."""
    return [*headers, (DROPPED_AT, iso_ms(at_ms).encode())]

"""Frames: the records of the events topic.

One holds up to 1,000 events, so that the cost of a Kafka record is paid once per frame.

A frame is msgpack: [format, clock, part, …]. `clock` is a quarter hour since 1970 (a clock record: now is at least
that) or nil. A part is [operator, kind, ids, rows, raws, again]: ids as bytes, rows as in domain.events, raws {index:
[source key, source value]} of events that the ledger may reject as too late, so that their dead letters hold the value
as it came, cut as dead letters are (formats.limits); `again` says that the records were read from their source for another time: what can't be used of them has
its dead letter already.

Frames are written in the newest format, and read in every one that ever was: format 1 had no energy, no end of a
session, no session of a payment, and times to the quarter hour only.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgspec

from stream_app.domain.events import MEMBERSHIP, PAYMENT, SESSION, Row
from stream_app.formats import older
from stream_app.formats.rows import entity_keys

FORMAT = 2
EVENTS_MAX = 1000
BYTES_MAX = 256 * 1024
_HEAD_BYTES = 16  # before the parts of a frame, at most
_APPLIED_ENCODED: Final = (SESSION, PAYMENT, MEMBERSHIP)
_SHORT_LISTS, _LISTS_OF_16_BITS = range(0x90, 0xA0), 0xDC  # first bytes of msgpack's lists

Raws = dict[int, list[bytes | None]]


class FramePart(NamedTuple):
    """Events of one kind of one operator."""

    operator: str
    kind: int
    ids: list[bytes]
    rows: list[Row]
    raws: Raws
    again: bool = False


class EncodedPart(NamedTuple):
    """A part as it stands in a frame, of EVENTS_MAX events and BYTES_MAX bytes at most, with its number of events."""

    encoded: bytes
    events: int


class UnreadPart(msgspec.Struct, array_like=True, dict=True):
    """A part of the newest format as domain.events.Events, of which ids and rows are decoded when somebody looks at them."""

    operator: str
    kind: int
    raw_ids: msgspec.Raw
    raw_rows: msgspec.Raw
    raws: Raws
    again: bool = False

    @property
    def count(self) -> int:
        """The number of events, as the list of ids begins with it."""
        head = memoryview(self.raw_ids)[:5]
        if head[0] in _SHORT_LISTS:
            return head[0] & 0x0F
        return int.from_bytes(head[1:3] if head[0] == _LISTS_OF_16_BITS else head[1:5], "big")

    @cached_property
    def ids(self) -> list[bytes]:
        """As FramePart has them."""
        return _decode(self.raw_ids)

    @cached_property
    def rows(self) -> list[Row]:
        """As FramePart has them."""
        return _decode(self.raw_rows)

    @cached_property
    def keys(self) -> list[bytes]:
        """Names of the rows of entities, none of other events."""
        return entity_keys(self.operator, self.kind, self.ids)

    @property
    def encoded(self) -> tuple[bytes, bytes] | None:
        """Ids and rows of sessions, payments and memberships."""
        return (self.raw_ids, self.raw_rows) if self.kind in _APPLIED_ENCODED else None


class FrameError(Exception):
    """A frame that this version can't read. Operator action: run the version that wrote it, or a newer one."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Any]).decode


def _slices(part: FramePart) -> Iterator[FramePart]:
    if len(part.ids) <= EVENTS_MAX:
        yield part
        return
    for start in range(0, len(part.ids), EVENTS_MAX):
        yield _cut(part, start, start + EVENTS_MAX)


def _cut(part: FramePart, start: int, end: int) -> FramePart:
    raws = {i - start: raw for i, raw in part.raws.items() if start <= i < end}
    return FramePart(part.operator, part.kind, part.ids[start:end], part.rows[start:end], raws, part.again)


def _encoded(parts: list[FramePart]) -> Iterator[bytes]:
    """One frame, or several where it would be too large; a single event may be larger than the limit."""
    frame = _encode([FORMAT, None, *parts])
    if len(frame) <= BYTES_MAX or (len(parts) == 1 and len(parts[0].ids) == 1):
        yield frame
    elif len(parts) > 1:
        middle = len(parts) // 2
        yield from _encoded(parts[:middle])
        yield from _encoded(parts[middle:])
    else:
        middle = len(parts[0].ids) // 2
        yield from _encoded([_cut(parts[0], 0, middle)])
        yield from _encoded([_cut(parts[0], middle, len(parts[0].ids))])


def frames(parts: Iterable[FramePart]) -> Iterator[bytes]:
    """Parts as frames, in order."""
    gathered: list[FramePart] = []
    size = 0
    for whole in parts:
        for part in _slices(whole):
            if size and size + len(part.ids) > EVENTS_MAX:
                yield from _encoded(gathered)
                gathered, size = [], 0
            gathered.append(part)
            size += len(part.ids)
    if gathered:
        yield from _encoded(gathered)


def frames_of_encoded(parts: Iterable[EncodedPart]) -> Iterator[bytes]:
    """Parts that are encoded already as frames, in order."""
    gathered: list[bytes] = []
    events = size = 0
    for part in parts:
        if gathered and (events + part.events > EVENTS_MAX or size + len(part.encoded) > BYTES_MAX - _HEAD_BYTES):
            yield _joined(gathered)
            gathered, events, size = [], 0, 0
        gathered.append(part.encoded)
        events, size = events + part.events, size + len(part.encoded)
    if gathered:
        yield _joined(gathered)


def _joined(parts: list[bytes]) -> bytes:
    head = _encode([FORMAT, None, *([None] * len(parts))])
    return head[: len(head) - len(parts)] + b"".join(parts)  # each nil is one byte


def checksum(frame: bytes, timestamp_ms: int) -> int:
    """What tells a frame in its place from any other that comes to stand there: of its content and the time of its append; never 0."""
    return crc32(frame, timestamp_ms & 0xFFFFFFFF) or 1


def clock_frame(now: int) -> bytes:
    """The frame of a clock record."""
    return _encode([FORMAT, now])


def probe_frame() -> bytes:
    """A frame without anything: what the broker answers tells its clock."""
    return _encode([FORMAT, None])


_read = msgspec.msgpack.Decoder(list[int | UnreadPart | None]).decode


def read_frame(frame: bytes) -> tuple[int | None, Sequence[FramePart | UnreadPart]]:
    """(clock, parts), as decode_frame; those of the newest format are not decoded. `Raises` FrameError."""
    try:
        version, clock, *parts = _read(frame)
    except (msgspec.MsgspecError, ValueError):
        return decode_frame(frame)  # says what is wrong with it
    if version != FORMAT:
        return decode_frame(frame)
    return clock, parts  # type: ignore[return-value]  # a frame begins with two numbers


def decode_frame(frame: bytes) -> tuple[int | None, list[FramePart]]:
    """(clock, parts). `Raises` FrameError."""
    try:
        version, clock, *parts = _decode(frame)
    except (msgspec.MsgspecError, ValueError) as exc:
        raise FrameError(f"not a frame: {exc}") from exc
    if version == FORMAT:
        return clock, [FramePart(*part) for part in parts]
    if version == 1:
        return clock, [
            FramePart(operator, kind, ids, [older.row_of_1(kind, row) for row in found], raws)
            for operator, kind, ids, found, raws in parts
        ]
    raise FrameError(f"a frame of format {version}: this version reads up to {FORMAT}, run the one that wrote it")

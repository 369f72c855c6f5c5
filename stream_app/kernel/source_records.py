"""Sessions, payments and memberships of the contract, and records by simple maps, to parts of frames, a batch at a time, without the interpreter's lock.

What `sources` and formats.frames make of the same records, byte by byte; `left` are those that must go their way (source_records.c and mapped_records.c say which).
"""

import ctypes
from array import array
from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Final, NamedTuple

from stream_app.domain.events import MEMBERSHIP, PAYMENT, SESSION
from stream_app.domain.money import DIGITS
from stream_app.formats.frames import BYTES_MAX, EVENTS_MAX, EncodedPart
from stream_app.kernel.library import address, address_of_bytes, load
from stream_app.ports.map_program import MapProgram

KINDS: Final = (SESSION, PAYMENT, MEMBERSHIP)
_CURRENCIES: Final = "".join(DIGITS).encode()
_MARGIN: Final = 1024  # of a frame, beside the events of a part: headers and the operator
_FIELDS: Final = 4  # of a part, see events.h
_CURRENCY_DIGITS: Final = array("q", DIGITS.values())
_AT: Final = ctypes.c_void_p
_MAPPED_SIGNATURE: Final = (
    *(_AT, ctypes.c_char_p, _AT, _AT, ctypes.c_char_p, _AT, ctypes.c_char_p, ctypes.c_int64, _AT, _AT, _AT),
    *(ctypes.c_int64,) * 5,
    *(_AT, ctypes.c_int64, _AT, _AT, _AT),
)
_SIGNATURE: Final = (
    *(ctypes.c_int32, ctypes.c_char_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
    *(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64),
    *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
)


class Taken(NamedTuple):
    """What was made of a batch. `left`: indexes of what was not taken; `unknown_energy`: sessions that were, and whose energy is not known."""

    parts: list[tuple[bytes, EncodedPart]]  # id of the operator, and its events
    left: list[int]
    unknown_energy: int


def new_reader() -> "SourceRecordsReader | None":
    """A reader, where the native library is there."""
    library = load()
    return None if library is None else SourceRecordsReader(library)


class SourceRecordsReader:
    """Reads batches with a loaded library, into a buffer that stays: one batch at a time."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._read, self._room = library.stream_app_source_records, library.stream_app_room
        self._read.argtypes, self._read.restype = _SIGNATURE, ctypes.c_int32
        self._room.argtypes, self._room.restype = (ctypes.c_int64, ctypes.c_int64), ctypes.c_int64
        self._read_mapped = library.stream_app_mapped_records
        self._read_mapped.argtypes, self._read_mapped.restype = _MAPPED_SIGNATURE, ctypes.c_int32
        self._out = bytearray(1)  # a buffer has an address from one byte on

    def read(
        self,
        kind: int,
        values: Sequence[bytes | None],
        offsets: Sequence[int],
        timestamps: Sequence[int],
        partition: int,
        *,
        oldest_ms: int,
        latest_ms: int,
    ) -> Taken:
        """Values of one source partition, whose `partition` is that of rows. Sessions and payments before `oldest_ms` and after `latest_ms` are left."""
        count, data, lengths = len(values), *_joined(values)
        room = self._room(count, len(data)) + 1  # a buffer has an address from one byte on; so has `left`
        if len(self._out) < room:
            self._out = bytearray(room)
        parts, left, totals = array("q", bytes(8 * _FIELDS * count)), bytearray(count + 1), array("q", (0, 0))
        numbers = [lengths, array("q", timestamps), array("q", offsets)]
        failed = self._read(
            *(kind, data, count, *map(address, numbers), partition, oldest_ms, latest_ms),
            *(_CURRENCIES, len(DIGITS), EVENTS_MAX, BYTES_MAX - _MARGIN),
            *(address_of_bytes(self._out), address(parts), address_of_bytes(left), address(totals)),
        )
        if failed:
            raise MemoryError
        made, unknown = totals
        return Taken(list(self._parts(parts, made)), list(compress(range(count), left)), unknown)

    def read_mapped(
        self,
        program: MapProgram,
        values: Sequence[bytes | None],
        offsets: Sequence[int],
        timestamps: Sequence[int],
        partition: int,
        *,
        oldest_ms: int,
        latest_ms: int,
    ) -> Taken:
        """The same of values of a topic with a map, which may be a session and its payment: parts of sessions, then of payments."""
        count, data, lengths = len(values), *_joined(values)
        parts, left, totals = array("q", bytes(16 * _FIELDS * count)), bytearray(count + 1), array("q", (0, 0, 0))
        numbers = [lengths, array("q", timestamps), array("q", offsets)]
        while failed := self._read_mapped(
            *(address(program.numbers), program.texts, address(program.tree), address(program.sizes)),
            *(_CURRENCIES, address(_CURRENCY_DIGITS), data, count, *map(address, numbers)),
            *(partition, oldest_ms, latest_ms, EVENTS_MAX, BYTES_MAX - _MARGIN),
            *(address_of_bytes(self._out), len(self._out), address(parts), address_of_bytes(left), address(totals)),
        ):
            if failed < 0:
                raise MemoryError
            self._out = bytearray(totals[0])
        sessions, payments, unknown = totals
        return Taken(list(self._parts(parts, sessions + payments)), list(compress(range(count), left)), unknown)

    def _parts(self, parts: "array[int]", count: int) -> Iterator[tuple[bytes, EncodedPart]]:
        start, out = 0, memoryview(self._out)
        for at in range(0, _FIELDS * count, _FIELDS):
            operator_at, length, end, events = parts[at : at + _FIELDS]
            yield out[operator_at : operator_at + length].tobytes(), EncodedPart(out[start:end].tobytes(), events)
            start = end


def _joined(values: Sequence[bytes | None]) -> tuple[bytes, "array[int]"]:
    """Values one after the other, and how long each is; a null one is empty."""
    texts = [value or b"" for value in values] if None in values else values
    return b"".join(texts), array("q", map(len, texts))  # type: ignore[arg-type]  # no None is left

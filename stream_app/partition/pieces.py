"""Rows in pieces: a row whose value is too large for a record of the changelog is written as several rows, and read as one.

Store and changelog hold the same: under the row's key the number of its pieces, and the pieces as rows of a kind of their own. One
transaction holds all of a row's value, and a store is read only when it stands at the end of a transaction, so pieces of different values
never meet. Must not know what rows mean.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from stream_app.formats.limits import ROW_BYTES_MAX
from stream_app.formats.rows import DELETED, IN_PIECES, PIECES

_DIGITS: Final = 6  # of a piece's number, at the end of its key
_MARK: Final = IN_PIECES[0]

Load = Callable[[Sequence[bytes]], Sequence[bytes | None]]  # values in the order of keys

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, int]).decode


class PiecesError(Exception):
    """Pieces of a row are missing or too many.

    Operator action: drop the state directory, it is read anew from the changelog; if that is so, too: `stream-app rebuild`.
    """


class Pieces:
    """Which rows of a partition are in pieces, for who writes them."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}  # of pieces, by the key of the row

    def find(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Learn which rows are in pieces, from all rows whose key begins with PIECES."""
        self._numbers = {}
        for key, _ in rows:
            row, number = key[1:-_DIGITS], int(key[-_DIGITS:]) + 1
            self._numbers[row] = max(number, self._numbers.get(row, 0))

    def split(self, changes: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Changed rows as they are written: too large ones in pieces, and pieces that are no longer needed deleted."""
        is_any_large = max(map(len, changes.values()), default=0) > ROW_BYTES_MAX
        large = {key for key, value in changes.items() if len(value) > ROW_BYTES_MAX} if is_any_large else set()
        out = changes
        for key in large | (self._numbers.keys() & changes.keys()):
            if out is changes:
                out = dict(changes)
            value, before = changes[key], self._numbers.pop(key, 0)
            starts = range(0, len(value), ROW_BYTES_MAX) if key in large else ()
            for number, start in enumerate(starts):
                out[_key(key, number)] = value[start : start + ROW_BYTES_MAX]
            for number in range(len(starts), before):
                out[_key(key, number)] = DELETED
            if starts:
                out[key] = IN_PIECES + _encode((len(starts), len(value)))
                self._numbers[key] = len(starts)
        return out


def join(keys: Sequence[bytes], values: list[bytes | None], load: Load) -> None:
    """Put whole values where `values`, in the order of keys, has those of rows in pieces. `Raises` PiecesError."""
    for index in [index for index, value in enumerate(values) if value and value[0] == _MARK]:
        value = values[index]
        assert value is not None
        values[index] = whole(keys[index], value, load)


def whole(key: bytes, value: bytes, load: Load) -> bytes:
    """The whole value of a row. `Raises` PiecesError."""
    if value[0] != _MARK:
        return value
    number, size = _decode(value[1:])
    found = b"".join(piece or b"" for piece in load([_key(key, n) for n in range(number)]))
    if len(found) != size:
        raise PiecesError(f"of the row {key!r}, {len(found)} bytes in {number} pieces are there, and not {size}")
    return found


def _key(key: bytes, number: int) -> bytes:
    return PIECES + key + b"%0*d" % (_DIGITS, number)

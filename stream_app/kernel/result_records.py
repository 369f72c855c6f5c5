"""Records of the results topics made of rows of cells, without the interpreter's lock: what sinks.topics.ResultRecords makes of the same cells.

What is unusual is left to that, see result_records.c. How figures are shown and what tables are named is told to the library as data.
"""

import ctypes
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from stream_app.domain.cells import CellKey
from stream_app.domain.money import DIGITS
from stream_app.domain.report import SHOWN
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS
from stream_app.domain.tables import CountTable, FigureTable, Table
from stream_app.formats.ids import encode_id
from stream_app.kernel.library import address, address_of_bytes, load, numbers_at, texts_at

_OF_CURRENCY, _BARE = -2, -1  # digits of a figure
_NONE: Final = -1
_TEXTS_MAX: Final = 4 << 20  # bytes of names that are held for the next call
_TEXT, _AT, _NUMBER = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int64
_SIGNATURE: Final = (
    *(_TEXT, _AT, _NUMBER, _AT, _AT, _AT),
    *(_TEXT, _AT, _NUMBER, _TEXT, _AT, _TEXT, _AT, _AT, _TEXT),
    *(_AT, _AT),
)

K = TypeVar("K")

_json = msgspec.json.Encoder().encode


class MadeRecord(NamedTuple):
    """A record without its headers. `row`: the index of the row that it shows; `as_of` in epoch milliseconds."""

    row: int
    partition: int
    key: bytes
    value: bytes
    id: bytes
    as_of: int


class _Indexes(dict[K, int]):
    """Where the texts of places begin among all texts, each told once: made when they are asked for."""

    def __init__(self, data: bytearray, ends: "array[int]", texts: Callable[[K], Iterable[bytes]]) -> None:
        self._data, self._ends, self._texts = data, ends, texts

    def __missing__(self, place: K) -> int:
        found = self[place] = len(self._ends)
        for text in self._texts(place):
            self._data += text
            self._ends.append(len(self._data))
        return found


class _Texts:
    """Texts that places are told by, each once, one after the other."""

    def __init__(self, table: Table[Any]) -> None:
        data, ends = self.data, self.ends = bytearray(), array("q")
        self.operators = _Indexes[tuple[str, str]](data, ends, _of_operator)  # by id and zone
        self.groups = _Indexes[str](data, ends, lambda group: (encode_id(group).encode(), _json(group)))
        self.periods = _Indexes[int](data, ends, lambda period: (table.period.text(period).encode(),))


class NativeResultRecords:
    """Makes records of a table's cells. `partition`: the events partition; `topic_partitions`: how many the results topic has."""

    def __init__(self, library: ctypes.CDLL, table: Table[Any], partition: int, topic_partitions: int) -> None:
        self._make, self._end = library.stream_app_result_records, library.stream_app_result_records_end
        self._make.argtypes, self._make.restype = _SIGNATURE, ctypes.c_int32
        self._end.argtypes, self._end.restype = (_AT,), None
        self._table, self._texts = table, _Texts(table)
        shown = SHOWN if isinstance(table, FigureTable) else []
        names = [b'"%b":' % figure.name.encode() for figure in shown]
        self._figures = array("q")
        for figure in shown:
            digits = _OF_CURRENCY if figure.digits is None else figure.digits or _BARE
            places = (_NONE if at is None else at for at in (figure.part_at, figure.by_at))
            self._figures.extend((digits, figure.is_payments, figure.at, *places, figure.scale))
        self._name_lengths, self._currency_digits = array("q", map(len, names)), array("q", DIGITS.values())
        slots = table.width if isinstance(table, CountTable) else 0
        self._numbers = array("q", (PAYMENT_SUMS.size, SESSION_SUMS.size, slots, len(DIGITS), topic_partitions))
        head = b'%b"%b":"' % (b"{" if shown else b"", table.period.name.encode())
        self._form = (
            *(head, address(self._figures), len(shown), b"".join(names), address(self._name_lengths)),
            *("".join(DIGITS).encode(), address(self._currency_digits), address(self._numbers), b"%d" % partition),
        )

    def of(
        self, names: Sequence[CellKey], timezones: Iterable[str], rows: Sequence[bytes]
    ) -> tuple[list[MadeRecord], list[int]]:
        """Records of cells, of operators in these zones, that have these rows, in their order, and the indexes of those that are left."""
        if len(self._texts.data) > _TEXTS_MAX:
            self._texts = _Texts(self._table)
        texts = self._texts
        operators, groups, periods = texts.operators, texts.groups, texts.periods
        places = array(
            "q",
            [
                at
                for (operator, group, period), timezone in zip(names, timezones, strict=True)
                for at in (operators[operator, timezone], groups[group], periods[period])
            ],
        )
        lengths, left, results = array("q", map(len, rows)), bytearray(len(rows) + 1), array("q", bytes(48))
        failed = self._make(
            *(b"".join(rows), address(lengths), len(rows), address(places), address_of_bytes(texts.data)),
            *(address(texts.ends), *self._form, address_of_bytes(left), address(results)),
        )
        if failed:
            raise MemoryError
        try:
            found = texts_at(results[0], results[1], results[2], results[3] // 8)
            numbers = numbers_at(results[4], results[5])
        finally:
            self._end(address(results))
        made = map(MadeRecord, numbers[0::3], numbers[1::3], found[0::3], found[1::3], found[2::3], numbers[2::3])
        return list(made), [index for index, is_left in enumerate(left[:-1]) if is_left]


def _of_operator(place: tuple[str, str]) -> tuple[bytes, ...]:
    operator, timezone = place
    return encode_id(operator).encode(), _json(operator), _json(timezone)


def new_result_records(table: Table[Any], partition: int, topic_partitions: int) -> NativeResultRecords | None:
    """What makes records of a table of a kind that it knows, where the native library is there."""
    library = load()
    if library is None or type(table) not in (FigureTable, CountTable):
        return None
    return NativeResultRecords(library, table, partition, topic_partitions)

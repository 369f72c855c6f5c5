r"""Rows of a partition's store and of its changelog. One key space, told apart by the first byte.

    e operator \0 kind id              an entity: a list, see domain.events
    c operator \0 customer             Customer
    PREFIX operator \0 group \0 period  a cell of the table with the prefix (domain.tables)
    o operator                         Operator
    g operator \0 group                Group
    k and the key of a cell            the cell, which left retention, until the sink that keeps it for ever has it
    p                                  Position
    t                                  traces of events whose results are not published yet (formats.traces)
    x key number                       a piece of the value of another row (partition.pieces)
Ids hold no control characters, so the separators are safe, and everything of an operator is one range by kind of row. A
value that is empty is a deletion (in overlays; the changelog has a null).

A value begins with the number of its format, or with the mark of a row of the newest one that holds integers beyond 64
bits (domain.wide), which no older version can read; one of format 1 with what msgpack makes of a list, a byte from 0x80 on.
Rows are written in the newest format, and read in each that ever was, so an older one is written anew when it is
touched. The row Position has the number as its first field, in every format, and with it what else the rows were made
by: a version that knows less of it must not go on.
"""

from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar

import msgspec

from stream_app.domain.cells import Cell, CellKey, CountCell, Customer, FigureCell, Group, Operator
from stream_app.domain.events import ENTITIES, Row
from stream_app.domain.tables import Table
from stream_app.domain.wide import ext_hook, widened
from stream_app.formats import older

T = TypeVar("T")
C = TypeVar("C", bound=Cell)

FORMAT: Final = 2
POSITION: Final = b"p"
TRACES: Final = b"t"
OPERATORS, GROUPS, PAST, PIECES = b"o", b"g", b"k", b"x"
DELETED: Final = b""
_MARK: Final = bytes([FORMAT])
IN_PIECES: Final = b"\x7f"  # begins the value of a row whose value is in pieces: no format has that number
_WIDE: Final = 0x7E  # begins a row with integers beyond 64 bits: no format either
_LISTS_FROM: Final = 0x80  # first bytes of format 1
_IS_THE_VERSION: Final = "run the version of crm-stats that wrote it, or a newer one"


class Ahead(msgspec.Struct, array_like=True, gc=False):
    """Frames behind the position of which the rows hold all but what is of some operators, which are applied apart."""

    offset: int  # behind the last of them
    last_frame: int  # checksum of that one, and of its timestamp
    since: dict[str, int]  # those operators: the first frame of which the rows hold nothing of the operator


class Position(msgspec.Struct, array_like=True, gc=False):
    """The state that the rows stand for, and the versions of the rules that they were made by.

    A version that does not know `ahead` applies those frames again, which changes nothing: they are duplicates.
    """

    format: int
    topic_id: str  # of the events topic; another topic behind the name is another history
    generation: int
    offset: int  # the next one of the events partition
    published: int  # the version up to which cells are in the results topics
    now: int  # quarter hours, 0 while unknown
    as_of: int  # epoch milliseconds
    figures: int = 1  # domain.tables.VERSION
    tzdata: str = older.TZDATA_OF_1
    retention_months: int = 0  # 0: not known
    distribution_days: int = 0
    superseded_by: int = 0  # the generation that has taken this one's place, 0: none
    last_frame: int = 0  # checksum of the frame below `offset` and of its timestamp (formats.frames), 0: not known
    ahead: Ahead | None = None

    @property
    def applied(self) -> int:
        """The offset behind the last frame of which the rows hold anything."""
        return self.offset if self.ahead is None else self.ahead.offset


class FormatError(Exception):
    """A row was written by a newer version of this service.

    Operator action: see docs/operating.md, "Another version".
    """


def version_of(generation: int, offset: int) -> int:
    """The version of what an events offset brought: below 2^53, so it is exact in JSON."""
    return generation << 40 | offset


@lru_cache(100_000)
def entity_prefix(operator: str, kind: int) -> bytes:
    """The prefix of the rows of an operator's entities of a kind; the rest of the key is the id."""
    return b"e%b\0%c" % (operator.encode(), kind)


def entity_keys(operator: str, kind: int, ids: Iterable[bytes]) -> list[bytes]:
    """The keys of the rows of an operator's events of a kind by id; none where the kind has no entities."""
    if kind not in ENTITIES:
        return []
    prefix = entity_prefix(operator, kind)
    return [prefix + entity for entity in ids]


def entities_prefix(operator: str) -> bytes:
    """The prefix of the rows of all entities of an operator; the byte behind it is the kind."""
    return b"e%b\0" % operator.encode()


@lru_cache(100_000)
def customer_prefix(operator: str) -> bytes:
    """The prefix of the rows of an operator's customers; the rest of the key is the id."""
    return b"c%b\0" % operator.encode()


def cell_key(table: Table[Any], key: CellKey) -> bytes:
    """The key of a cell's row."""
    operator, group, period = key
    return b"%b%d" % (_group_prefix(table.prefix, operator, group), period)


def keys_of_cells(table: Table[Any], names: Iterable[CellKey]) -> list[bytes]:
    """The keys of the rows of cells."""
    prefix = table.prefix
    return [b"%b%d" % (_group_prefix(prefix, operator, group), period) for operator, group, period in names]


def cell_keys(table: Table[Any], operator: str, group: str, periods: Iterable[int]) -> list[bytes]:
    """The keys of the rows of a group's cells of some periods."""
    prefix = _group_prefix(table.prefix, operator, group)
    return [b"%b%d" % (prefix, period) for period in periods]


@lru_cache(100_000)
def _group_prefix(prefix: str, operator: str, group: str) -> bytes:
    return b"%b%b\0%b\0" % (prefix.encode(), operator.encode(), group.encode())


def cells_prefix(table: Table[Any], operator: str) -> bytes:
    """The prefix of the rows of an operator's cells of a table."""
    return b"%b%b\0" % (table.prefix.encode(), operator.encode())


def operator_key(operator: str) -> bytes:
    """The key of an operator's row."""
    return OPERATORS + operator.encode()


def group_key(operator: str, group: str) -> bytes:
    """The key of a group's row."""
    return b"g%b\0%b" % (operator.encode(), group.encode())


def parse_cell_key(key: bytes) -> CellKey:
    """The cell that a row's key names."""
    operator, group, period = key[1:].decode().split("\0")
    return CellKey(operator, group, int(period))


def past_key(table: Table[Any], key: CellKey) -> bytes:
    """The key of the row of a cell that left retention."""
    return PAST + cell_key(table, key)


def past_prefix(table: Table[Any]) -> bytes:
    """The prefix of the rows of cells of a table that left retention."""
    return PAST + table.prefix.encode()


def parse_past_key(key: bytes) -> CellKey:
    """The cell that the key of a row of one that left retention names."""
    return parse_cell_key(key[len(PAST) :])


def parse_group_key(key: bytes) -> tuple[str, str]:
    """(operator, group) that a row's key names."""
    operator, group = key[1:].decode().split("\0")
    return operator, group


encode_position = _encode = msgspec.msgpack.Encoder().encode


def encode(value: object) -> bytes:
    """The value of any row but the row Position."""
    try:
        return _MARK + _encode(value)
    except OverflowError:
        return bytes([_WIDE]) + _encode(widened(value))


def encode_all(rows: Collection[tuple[bytes, object]]) -> dict[bytes, bytes]:
    """Values of rows by key; empty for None, which is a deletion."""
    mark, encode_ = _MARK, _encode
    try:
        return {key: DELETED if value is None else mark + encode_(value) for key, value in rows}
    except OverflowError:  # a sum beyond 64 bits
        return {key: DELETED if value is None else encode(value) for key, value in rows}


class Decoder(Generic[T]):
    """Reads the values of one kind of row, of every format. `wide`: those with integers beyond 64 bits, if other than `newest`."""

    def __init__(
        self, newest: Callable[[bytes], T], of_1: Callable[[bytes], T], wide: Callable[[bytes], T] | None = None
    ) -> None:
        self._newest, self._of_1, self._wide = newest, of_1, wide or newest

    def __call__(self, raw: bytes) -> T:
        """The value. `Raises` FormatError for one of a newer format."""
        return self._newest(raw[1:]) if raw[0] == FORMAT else self._other(raw)

    def all(self, raws: Iterable[bytes | None]) -> list[T | None]:
        """Several values; None for one that is absent or empty."""
        newest, other = self._newest, self._other
        return [(newest(raw[1:]) if raw[0] == FORMAT else other(raw)) if raw else None for raw in raws]

    def _other(self, raw: bytes) -> T:
        if raw[0] >= _LISTS_FROM:
            return self._of_1(raw)
        if raw[0] == _WIDE:
            return self._wide(raw[1:])
        raise FormatError(f"a row of format {raw[0]}: this version reads up to {FORMAT}, {_IS_THE_VERSION}")


_decode_wide = msgspec.msgpack.Decoder(ext_hook=ext_hook).decode


def _wide_figure_cell(raw: bytes) -> FigureCell:
    return msgspec.convert(_decode_wide(raw), FigureCell)


decode_entity = Decoder[Row](msgspec.msgpack.Decoder(Row).decode, older.entity_of_1)
decode_customer = Decoder(msgspec.msgpack.Decoder(Customer).decode, older.customer_of_1)
decode_operator = Decoder(msgspec.msgpack.Decoder(Operator).decode, older.operator_of_1)
decode_group = Decoder(msgspec.msgpack.Decoder(Group).decode, older.group_of_1)
_decode_cell: dict[type[Cell], Decoder[Any]] = {
    FigureCell: Decoder(msgspec.msgpack.Decoder(FigureCell).decode, older.figure_cell_of_1, _wide_figure_cell),
    CountCell: Decoder(msgspec.msgpack.Decoder(CountCell).decode, older.count_cell_of_1),
}


def cell_decoder(table: Table[C]) -> Decoder[C]:
    """Reads the cells of a table; one may have fewer figures than today (`Table.read`)."""
    return _decode_cell[table.cell_type]


_decode_position = msgspec.msgpack.Decoder(Position).decode


def decode_position(raw: bytes) -> Position:
    """The value of the row Position. `Raises` FormatError for one of a newer format."""
    try:
        position = _decode_position(raw)
    except msgspec.MsgspecError as exc:
        raise FormatError(f"the row of the position can't be read, {_IS_THE_VERSION}: {exc}") from exc
    if position.format > FORMAT:
        raise FormatError(f"rows of format {position.format}: this version reads up to {FORMAT}, {_IS_THE_VERSION}")
    return position

r"""Rows of a partition's store and of its changelog. One key space, told apart by the first byte.

    e operator \0 kind id          an entity: a list, see domain.events
    c operator \0 customer         Customer
    m operator \0 group \0 month  Monthly
    h operator \0 group \0 day    HalfHour
    o operator                     Operator
    g operator \0 group            Group
    p                              Position
Ids hold no control characters, so the separators are safe, and everything of an operator is one range by kind of row. A value that is
empty is a deletion (in overlays; the changelog has a null). The format's number stands in the row Position.
"""

from functools import lru_cache

import msgspec

from stream_app.domain.cells import Customer, Group, HalfHour, HalfHourKey, Monthly, MonthlyKey, Operator
from stream_app.domain.events import Row

FORMAT = 1
POSITION = b"p"
OPERATORS, GROUPS = b"o", b"g"
DELETED = b""


class Position(msgspec.Struct, array_like=True, gc=False):
    """What the rows stand for."""

    format: int
    topic_id: str  # of the events topic; another topic behind the name is another history
    generation: int
    offset: int  # the next one of the events partition
    published: int  # the version up to which cells are in the results topics
    now: int  # quarter hours, 0 while unknown
    as_of: int  # epoch milliseconds


class FormatError(Exception):
    """The rows were written by another version of this service. Operator action: rebuild."""


def version_of(generation: int, offset: int) -> int:
    """The version of what an events offset brought: below 2^53, so it is exact in JSON."""
    return generation << 40 | offset


@lru_cache(100_000)
def entity_prefix(operator: str, kind: int) -> bytes:
    """Of the entities of a kind."""
    return b"e%b\0%c" % (operator.encode(), kind)


def entities_prefix(operator: str) -> bytes:
    """Of the entities of all kinds; the kind is the byte after it."""
    return b"e%b\0" % operator.encode()


@lru_cache(100_000)
def customer_prefix(operator: str) -> bytes:
    """Of the customers; the rest of the key is the id."""
    return b"c%b\0" % operator.encode()


def monthly_key(key: MonthlyKey) -> bytes:
    """The row of a monthly cell."""
    return b"m%b\0%b\0%d" % (key[0].encode(), key[1].encode(), key[2])


def half_hour_key(key: HalfHourKey) -> bytes:
    """The row of a half-hour cell."""
    return b"h%b\0%b\0%d" % (key[0].encode(), key[1].encode(), key[2])


def monthly_prefix(operator: str) -> bytes:
    """Of the monthly cells."""
    return b"m%b\0" % operator.encode()


def half_hour_prefix(operator: str) -> bytes:
    """Of the half-hour cells."""
    return b"h%b\0" % operator.encode()


def operator_key(operator: str) -> bytes:
    """The row of an operator."""
    return OPERATORS + operator.encode()


def group_key(operator: str, group: str) -> bytes:
    """The row of a group."""
    return b"g%b\0%b" % (operator.encode(), group.encode())


def parse_monthly_key(key: bytes) -> MonthlyKey:
    """The name of the cell of a row."""
    operator, group, month = key[1:].decode().split("\0")
    return MonthlyKey(operator, group, int(month))


def parse_half_hour_key(key: bytes) -> HalfHourKey:
    """The name of the cell of a row."""
    operator, group, day = key[1:].decode().split("\0")
    return HalfHourKey(operator, group, int(day))


def parse_group_key(key: bytes) -> tuple[str, str]:
    """(operator, group) of a row."""
    operator, group = key[1:].decode().split("\0")
    return operator, group


encode = msgspec.msgpack.Encoder().encode
decode_entity = msgspec.msgpack.Decoder(Row).decode
decode_customer = msgspec.msgpack.Decoder(Customer).decode
decode_monthly = msgspec.msgpack.Decoder(Monthly).decode
decode_half_hour = msgspec.msgpack.Decoder(HalfHour).decode
decode_operator = msgspec.msgpack.Decoder(Operator).decode
decode_group = msgspec.msgpack.Decoder(Group).decode
_decode_position = msgspec.msgpack.Decoder(Position).decode


def decode_position(raw: bytes) -> Position:
    """The row Position. `Raises` FormatError."""
    try:
        position = _decode_position(raw)
    except msgspec.MsgspecError as exc:
        raise FormatError(f"the row of the position can't be read: {exc}") from exc
    if position.format != FORMAT:
        raise FormatError(f"rows of format {position.format}, this version reads {FORMAT}")
    return position

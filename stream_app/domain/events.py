"""What travels from ingest to the ledger: rows, by operator and kind.

An event of an entity is its ledger row, so that the ledger stores what it read. Rows are lists, by the indexes below,
because they are made, compared and stored by the hundred thousand a second. The first five fields of every row decide
which of two is the later one: version, Kafka timestamp, offset, source partition, and the format of the frame that
first held it. They are one total order, whatever came first; a record that is read again from its source by a version
that keeps more of it is later than itself.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

Row = list[Any]

SESSION: Final = 1
PAYMENT: Final = 2
CDR: Final = 3
MEMBERSHIP: Final = 4  # a customer's groups; named by the customer
GROUP: Final = 5  # a group's name; named by the group
OPERATOR: Final = 6  # zone, currency, name; its id is empty

# Every row.
# PARTITION: of the source topic; the partitions of all topics of a kind are numbered on: those of the topic with number
# n (see sources.registry) begin at n * PARTITIONS_MAX.
VERSION, TIMESTAMP, OFFSET, PARTITION, FORMAT = range(5)
STAMP: Final = slice(VERSION, FORMAT + 1)  # what decides which of two rows is the later one
# Session, payment, CDR.
# COUNTED: what of the event counts, in bits, see below.
# TIME: quarter hours; decides the month of a payment or session; of a CDR its end.
# HOLD: the latest TIME that the entity ever had, 0 for TIME itself: until that leaves retention the entity is known.
# CUSTOMER: None is anonymous.
# ENERGY: Wh, None: unknown.
# REST: milliseconds of TIME within its quarter hour.
# LASTED: milliseconds from start to end, below zero where a source has the end before the start, None: unknown.
COUNTED, TIME, HOLD, CUSTOMER, ENERGY, REST, LASTED = range(5, 12)
# Payment, CDR: integers of the minor unit. SESSION_ID: the charging session it names by a valid id, else None.
RECEIVED, DISCOUNT, REFUNDED, CURRENCY, SESSION_ID = range(12, 17)
# CDR. START: quarter hours, of its session. CREDITS: the id that a credit takes back, else None.
# CREDITED: {id of a credit: its TIME}
START, CREDITS, CREDITED = range(17, 20)

PARTITIONS_MAX: Final = 1 << 16  # of a source topic

AS_SESSION: Final = 1  # bits of COUNTED
AS_PAYMENT: Final = 2

# Membership
GROUP_IDS: Final = 5
# Group
NAME: Final = 5
# Operator
TIMEZONE, OPERATOR_CURRENCY, OPERATOR_NAME = range(5, 8)

ENTITIES: Final = (SESSION, PAYMENT, CDR)
ALL: Final = "ALL"

NEVER: Final = (-1, 0, 0, 0, 0)  # the stamp of what no record told yet: before that of every record


class SourceEvents(NamedTuple):
    """Events of one kind of one operator, in the order of the source partition."""

    ids: list[str]
    rows: list[Row]
    indexes: list[int]  # of each in the batch of source records


class Events(Protocol):
    """Events of one kind of one operator, in order."""

    @property
    def operator(self) -> str:
        """Its id."""

    @property
    def kind(self) -> int:
        """Of which kind."""

    @property
    def count(self) -> int:
        """How many."""

    @property
    def ids(self) -> Sequence[bytes]:
        """The id of each, in UTF-8."""

    @property
    def keys(self) -> Sequence[bytes]:
        """The name of the row of each, where it is an entity; none of others."""

    @property
    def rows(self) -> Sequence[Row]:
        """The row of each."""

    @property
    def raws(self) -> dict[int, list[bytes | None]]:
        """Source key and value of some, as in formats.frames."""

    @property
    def again(self) -> bool:
        """Were they read from their source for another time? As in formats.frames."""

    @property
    def encoded(self) -> tuple[bytes, bytes] | None:
        """Ids and rows as msgpack, where they can be applied as such: the lists are decoded then when somebody looks at them."""


class DecodedEvents(msgspec.Struct, gc=False):
    """Events that are there as lists only."""

    operator: str
    kind: int
    ids: Sequence[bytes]
    keys: Sequence[bytes]
    rows: Sequence[Row]
    raws: dict[int, list[bytes | None]]
    again: bool = False

    @property
    def count(self) -> int:
        """How many."""
        return len(self.ids)

    @property
    def encoded(self) -> None:
        """They are not."""


def later(new: Row, old: Row) -> bool:
    """Is the new row the later one? One with an equal stamp is the same record again, and is not."""
    if new[VERSION] != old[VERSION]:
        return bool(new[VERSION] > old[VERSION])
    return new[STAMP] > old[STAMP]


def is_later(row: Row, stamp: tuple[int, ...]) -> bool:
    """Is the row later than the one that a stamp was taken from?"""
    return tuple(row[STAMP]) > stamp


def placeholder() -> Row:
    """The row of a CDR that a credit names and that never came: nothing of it counts.

    Its version lies before that of every record.
    """
    row: Row = [0] * (CREDITED + 1)
    row[STAMP] = NEVER
    row[CUSTOMER] = row[ENERGY] = row[LASTED] = row[SESSION_ID] = row[CREDITS] = None
    row[CURRENCY], row[CREDITED] = "", {}
    return row

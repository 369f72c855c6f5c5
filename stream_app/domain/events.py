"""What travels from ingest to the ledger: rows, by operator and kind.

An event of an entity is its ledger row, so that the ledger stores what it read. Rows are lists, by the indexes below, because they are
made, compared and stored by the hundred thousand a second. The first four fields of every row decide which of two is the later one: version, Kafka
timestamp, offset, source partition. They are one total order, whatever came first.
"""

from typing import Any, Final, NamedTuple

Row = list[Any]

SESSION: Final = 1
PAYMENT: Final = 2
CDR: Final = 3
MEMBERSHIP: Final = 4  # a customer's groups; named by the customer
GROUP: Final = 5  # a group's name; named by the group
OPERATOR: Final = 6  # zone, currency, name; its id is empty

# Every row
VERSION, TIMESTAMP, OFFSET, PARTITION = range(4)
# Session, payment, CDR. COUNTED: what of it counts, see below. TIME: quarter hours, decides the month of a payment or session; of a CDR its
# end. HOLD: the latest time it ever had, 0 for TIME itself: until that leaves retention the entity is known. CUSTOMER: None is anonymous.
COUNTED, TIME, HOLD, CUSTOMER = range(4, 8)
# Payment, CDR: integers of the minor unit
RECEIVED, DISCOUNT, REFUNDED, CURRENCY = range(8, 12)
# CDR. START: quarter hours, of its session. CREDITS: the id that a credit takes back, else None. CREDITED: {id of a credit: its TIME}
START, CREDITS, CREDITED = range(12, 15)

AS_SESSION: Final = 1  # bits of COUNTED
AS_PAYMENT: Final = 2

# Membership
GROUP_IDS: Final = 4
# Group
NAME: Final = 4
# Operator
TIMEZONE, OPERATOR_CURRENCY, OPERATOR_NAME = range(4, 7)

ENTITIES: Final = (SESSION, PAYMENT, CDR)
ALL: Final = "ALL"


class Part(NamedTuple):
    """Events of one kind of one operator, in the order of the source partition."""

    ids: list[str]
    rows: list[Row]
    indexes: list[int]  # of each in the batch of source records


def later(new: Row, old: Row) -> bool:
    """Does the new row win? An equal stamp is the same record again, and does not."""
    if new[0] != old[0]:
        return bool(new[0] > old[0])
    return new[1:4] > old[1:4]

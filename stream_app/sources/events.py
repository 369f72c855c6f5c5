"""What both ways of a map give: usable records of the contract, as their rows; and the rules of each kind."""

from typing import Final, NamedTuple

from stream_app.domain.events import GROUP, MEMBERSHIP, OPERATOR, PAYMENT, SESSION, Row
from stream_app.sources import canonical
from stream_app.sources.records import Source

SOURCES: Final[dict[int, Source]] = {
    OPERATOR: canonical.OPERATORS,
    GROUP: canonical.GROUPS,
    MEMBERSHIP: canonical.MEMBERSHIPS,
    SESSION: canonical.SESSIONS,
    PAYMENT: canonical.PAYMENTS,
}


class Event(NamedTuple):
    """What a usable record of the contract becomes, as a map made it: its kind of events, whose it is, and its row."""

    kind: int
    operator: str
    id: str
    row: Row

"""What both ways of a map give: usable records of the contract, with their rows; and the rules of each kind."""

from typing import Final, NamedTuple

from stream_app.domain.events import GROUP, MEMBERSHIP, OPERATOR, PAYMENT, SESSION, Row
from stream_app.sources import canonical
from stream_app.sources.records import Source, SourceRecord

SOURCES: Final[dict[int, Source]] = {
    OPERATOR: canonical.OPERATORS,
    GROUP: canonical.GROUPS,
    MEMBERSHIP: canonical.MEMBERSHIPS,
    SESSION: canonical.SESSIONS,
    PAYMENT: canonical.PAYMENTS,
}


class Event(NamedTuple):
    """A usable record of the contract, as a map made it, with its kind of events and its row."""

    kind: int
    operator: str
    id: str
    row: Row
    record: SourceRecord

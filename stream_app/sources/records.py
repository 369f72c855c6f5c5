"""What a source format gives to `decode`, and the types its fast way is made of.

A type's rules are kept by msgspec while it parses, which costs almost nothing. They are no wider than those of `exact`: what passes here
passes there, with the same result; what fails here is looked at again there.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final, NamedTuple, Protocol

from msgspec import Meta

from stream_app.domain.events import Row
from stream_app.sources.exact import ID_LENGTH, MOST_AMOUNT, MOST_VERSION, Fields
from stream_app.sources.times import LAST_MS

FORMAT: Final = 2  # of the frames that the rows go into: says how much of a record they keep

Id = Annotated[str, Meta(min_length=1, max_length=ID_LENGTH)]
Version = Annotated[int, Meta(ge=0, le=MOST_VERSION)]
Amount = Annotated[int, Meta(ge=0, le=MOST_AMOUNT)]
Time = Annotated[int, Meta(ge=0)] | str
AnyTime = Annotated[int, Meta(ge=0, le=LAST_MS)] | str  # one that is not looked at any closer where it is a number


class SourceRecord(Protocol):
    """A usable record, but for what `row` still has to check."""

    @property
    def operator_id(self) -> str:
        """Its operator."""

    @property
    def id(self) -> str:
        """Its name among those of its kind and operator."""


class Source(NamedTuple):
    """A kind of record: two ways in, one row.

    `read`: bytes to a record, or None if in doubt; it may raise what msgspec raises, takes bytes that are not UTF-8 in fields it skips, and
    looks for no control characters in `ids`. `exact`: the fields of an object and the latest time that is not in the future, to a record;
    `Raises` UnusableError. `row`: of a record, with Kafka's timestamp, offset, partition and the latest time; None if in doubt, never after
    `exact`.
    """

    read: Callable[[Any], Any]
    ids: Callable[[Any], list[str]]
    exact: Callable[[Fields, int], Any]
    row: Callable[[Any, int, int, int, int], Row | None]

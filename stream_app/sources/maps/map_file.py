"""A map: which columns of a file, paths into the records of a topic, or constants make which fields of our own contract.

The types of the document, in its words; map_load.py makes one of TOML. Must not know a row, a record or a file to import.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

ISO_8601, EPOCH_S, EPOCH_MS, EPOCH_US = "iso8601", "epoch_s", "epoch_ms", "epoch_us"  # formats beside those of strptime
LOCAL_MS, LOCAL_US = (
    "local_ms",
    "local_us",
)  # a wall clock, counted as if it were that of UTC: DATETIME columns in Debezium

SESSION_STATES = frozenset({"ACTIVE", "PENDING", "RESERVATION", "COMPLETED", "INVALID"})
PAYMENT_STATES = frozenset({"PENDING", "SUCCEEDED", "FAILED", "CANCELED", "REFUNDED"})

Name = Annotated[str, msgspec.Meta(min_length=1)]
Constant = Annotated[
    str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")
]  # fit for an id
MOST_VERSION = 2**53
Version = Annotated[int, msgspec.Meta(ge=0, le=MOST_VERSION)]


class MapError(Exception):
    """The map can't be used; the message is one sentence that names the key."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the map; unknown keys are refused, so that a misspelt one never passes in silence."""


class File(Part, frozen=True):
    """How the file is written."""

    format: Literal["csv", "parquet"] = "csv"
    separator: Annotated[str, msgspec.Meta(min_length=1, max_length=1)] = ","
    encoding: Name = "utf-8-sig"  # UTF-8 with or without a byte order mark
    nothing: list[str] = []  # cells that are read like empty ones, such as NA and n/a


class Times(Part, frozen=True):
    """The formats, tried in this order, the zone of times without an offset, and the names of zones that cells may hold."""

    formats: list[Name] = []
    zone: str | None = None
    zones: dict[Name, str] = {}  # a name, such as PST -> its offset, or a zone of IANA


Thousands = Literal["", ".", ",", " ", "'", "’"]  # noqa: RUF001  # the apostrophe of Swiss amounts


class Money(Part, frozen=True):
    """How amounts are written: in major units."""

    decimal: Literal[".", ","] = "."
    thousands: Thousands = ""
    more_digits: Literal["refuse", "half-up"] = "refuse"


class Place(Part, frozen=True):
    """Where a value stands: a column of a file, or a path into a record of a topic."""

    column: Name | None = None
    path: Name | None = None

    @property
    def name(self) -> str:
        """The column or path; empty without one."""
        return self.path or self.column or ""


class Text(Place, frozen=True):
    """A place or a constant, or several places joined by a separator; `values` translates what one place holds."""

    value: Constant | None = None
    values: dict[str, str] = {}
    columns: list[Name] = []
    paths: list[Name] = []
    separator: str = "-"


class Amount(Text, frozen=True):
    """An amount, in major units (1.50) or minor ones (150). With `scale` it is an integer in base64, with so many digits behind the point."""

    unit: Literal["major", "minor"] = "major"
    scale: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None


class Condition(Place, frozen=True):
    """What a place must hold, or must not: texts, an empty one for nothing."""

    is_: list[str] | None = msgspec.field(default=None, name="is")
    is_not: list[str] | None = None


class Customer(Text, frozen=True):
    """Where the customer stands, and what is there when there is none; an empty cell is none too."""

    anonymous: list[str] = []


class Time(Place, frozen=True):
    """One place, or one of the date and one of the time of day, joined by a blank before the formats are tried.

    `zone` is the place of the zone of a time without an offset; `formats` are tried in place of `times.formats`.
    """

    date: str | None = None
    time: str | None = None
    zone: str | None = None
    formats: list[Name] = []


class Energy(Place, frozen=True):
    """The place of the energy, and its unit; `minus` is the place of what is taken off, such as a meter's value at the start."""

    minus: Name | None = None
    unit: Literal["kWh", "Wh"] = "kWh"
    decimal: Literal[".", ","] = "."
    thousands: Thousands = ""


class GroupIds(Place, frozen=True):
    """The place of the customer's groups; without a separator a cell is one group, and a list of texts some."""

    separator: Annotated[str, msgspec.Meta(min_length=1)] | None = None


class Number(Place, frozen=True):
    """The place of an integer."""


class Row(Part, frozen=True):
    """What a row's session, payment and groups have in common."""

    operator_id: Text
    customer_id: Customer | None = None


class AnnouncedOperator(Part, frozen=True):
    """An operator to announce, once an import."""

    operator_id: Constant
    timezone: str
    currency: str
    name: Name | None = None
    version: Version = 0


class Session(Part, frozen=True):
    """The fields of a session."""

    session_id: Text
    status: Text
    started_at: Time
    ended_at: Time | None = None
    energy_kwh: Energy | None = None
    version: Version | Number = 0
    where: list[Condition] = []


class Payment(Part, frozen=True):
    """The fields of a payment; a row whose received amount is an empty cell has none."""

    payment_id: Text
    status: Text
    amount_received: Amount
    currency: Text
    paid_at: Time
    session_id: Text | None = None
    amount_discount: Amount | None = None
    amount_refunded: Amount | None = None
    version: Version | Number = 0
    where: list[Condition] = []


class Groups(Part, frozen=True):
    """The customer's groups, as of a time of the row: of several rows the latest counts."""

    group_ids: GroupIds
    at: Time
    where: list[Condition] = []


class Operator(Part, frozen=True):
    """What a record says of its operator."""

    timezone: Text
    currency: Text
    name: Text | None = None
    version: Version | Number = 0


class Group(Part, frozen=True):
    """What a record says of a group's name."""

    group_id: Text
    name: Text
    version: Version | Number = 0


class Rules(Part, frozen=True, kw_only=True):
    """What maps of files and of topics have in common."""

    row: Row
    times: Times
    money: Money = Money()
    where: list[Condition] = []
    session: Session | None = None
    payment: Payment | None = None
    groups: Groups | None = None


class MapFile(Rules, frozen=True, kw_only=True):
    """A whole map of files."""

    file: File = File()
    operators: list[AnnouncedOperator] = []


class Topic(Part, frozen=True):
    """The topic that is read.

    `number` tells topics with maps apart in what is kept: it is never changed and never given again. `partitions`: as `make up` makes the topic.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,249}\Z")]
    number: Annotated[int, msgspec.Meta(ge=1, le=9999)]
    partitions: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    is_optional: bool = msgspec.field(default=False, name="optional")
    envelope: Literal["plain", "cloudevents", "debezium", "ocpi"] = "plain"
    format: Literal["json", "json-lines", "avro", "json-schema", "protobuf"] = "json"
    records: Name | None = None  # the path of a list of records, in what the envelope holds


class Cdr(Part, frozen=True):
    """Each record is a CDR object of OCPI: nothing else is to be said."""


class TopicMap(Rules, frozen=True, kw_only=True):
    """A whole map of a topic. `row` is needed but for CDRs."""

    topic: Topic
    row: Row | None = None  # type: ignore[assignment]  # map_load sees that it is there
    times: Times = Times()
    operator: Operator | None = None
    group: Group | None = None
    cdr: Cdr | None = None


def places(part: Part, path: str = "") -> Iterator[tuple[str, str]]:
    """The places that a map names, each with the key that names it, like `session.started_at`."""
    for field in part.__struct_fields__:
        value = getattr(part, field)
        if field == "where":
            for index, condition in enumerate(value):
                yield condition.name, f"{path}where[{index}]"
        elif isinstance(value, Part):
            yield from places(value, f"{path}{field}.")
        elif value and isinstance(part, Place) and field in _PLACES:
            yield from ((name, path.rstrip(".")) for name in (value if isinstance(value, list) else [value]))


_PLACES = {"column", "path", "columns", "paths", "date", "time", "zone", "minus"}


def columns(map_file: Rules) -> dict[str, list[str]]:
    """The columns that the map names -> the keys that name them."""
    found: dict[str, list[str]] = {}
    for name, key in places(map_file):
        found.setdefault(name, []).append(key)
    return found


def by_key(rules: Rules) -> dict[str, list[str]]:
    """The keys of the map -> the places that they name."""
    found: dict[str, list[str]] = {}
    for name, key in places(rules):
        found.setdefault(key, []).append(name)
    return found

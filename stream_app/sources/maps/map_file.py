"""A map: which columns or constants of a file make which fields of the source topics.

The types of the document, in its words; map_load.py makes one of a file. Pure; must not know a row or a file to import.
"""

from typing import Annotated, Literal

import msgspec

ISO_8601, EPOCH_S, EPOCH_MS = "iso8601", "epoch_s", "epoch_ms"  # formats beside those of strptime

SESSION_STATES = frozenset({"ACTIVE", "PENDING", "RESERVATION", "COMPLETED", "INVALID"})
PAYMENT_STATES = frozenset({"PENDING", "SUCCEEDED", "FAILED", "CANCELED", "REFUNDED"})

Name = Annotated[str, msgspec.Meta(min_length=1)]
Constant = Annotated[
    str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")
]  # fit for an id
Version = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


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

    formats: Annotated[list[Name], msgspec.Meta(min_length=1)]
    zone: str | None = None
    zones: dict[Name, str] = {}  # a name, such as PST -> its offset, or a zone of IANA


Thousands = Literal["", ".", ",", " ", "'", "’"]  # noqa: RUF001  # the apostrophe of Swiss amounts


class Money(Part, frozen=True):
    """How amounts are written: in major units."""

    decimal: Literal[".", ","] = "."
    thousands: Thousands = ""
    more_digits: Literal["refuse", "half-up"] = "refuse"


class Text(Part, frozen=True):
    """A column or a constant; `values` translates what the column holds."""

    column: str | None = None
    value: Constant | None = None
    values: dict[str, str] = {}


class Customer(Part, frozen=True):
    """The column of the customer, and what it holds when there is none; an empty cell is none too."""

    column: Name
    anonymous: list[str] = []


class Time(Part, frozen=True):
    """One column, or a column for the date and one for the time of day, joined by a blank before the formats are tried.

    `zone` is the column of the zone of a time without an offset.
    """

    column: str | None = None
    date: str | None = None
    time: str | None = None
    zone: str | None = None


class Energy(Part, frozen=True):
    """The column of the energy, and its unit."""

    column: Name
    unit: Literal["kWh", "Wh"] = "kWh"
    decimal: Literal[".", ","] = "."
    thousands: Thousands = ""


class GroupIds(Part, frozen=True):
    """The column of the customer's groups; without a separator a cell is one group."""

    column: Name
    separator: Annotated[str, msgspec.Meta(min_length=1)] | None = None


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
    version: Version = 0


class Payment(Part, frozen=True):
    """The fields of a payment; a row whose received amount is an empty cell has none."""

    payment_id: Text
    status: Text
    amount_received: Text
    currency: Text
    paid_at: Time
    session_id: Text | None = None
    amount_discount: Text | None = None
    amount_refunded: Text | None = None
    version: Version = 0


class Groups(Part, frozen=True):
    """The customer's groups, as of a time of the row: of several rows the latest counts."""

    group_ids: GroupIds
    at: Time


class MapFile(Part, frozen=True):
    """A whole map."""

    times: Times
    row: Row
    file: File = File()
    money: Money = Money()
    operators: list[AnnouncedOperator] = []
    session: Session | None = None
    payment: Payment | None = None
    groups: Groups | None = None


_NAMING = Text | Customer | Time | Energy | GroupIds
_COLUMN_FIELDS = {"column", "date", "time", "zone"}


def columns(map_file: MapFile) -> dict[str, list[str]]:
    """The columns that the map names -> the keys that name them, like `session.started_at`."""
    found: dict[str, list[str]] = {}

    def walk(part: Part, path: str) -> None:
        for field in part.__struct_fields__:
            value = getattr(part, field)
            if isinstance(value, Part):
                walk(value, f"{path}{field}.")
            elif value is not None and isinstance(part, _NAMING) and field in _COLUMN_FIELDS:
                found.setdefault(value, []).append(path.rstrip("."))

    walk(map_file, "")
    return found

"""A cell's text -> a time, an amount, an id.

Called by mapping.py for each row. Invariant: a value is exact or refused, never guessed. Pure: no I/O, no clock.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from stream_app.domain.money import DIGITS
from stream_app.importer.map_file import EPOCH_MS, EPOCH_S, ISO_8601, Money, Times

LIMIT = 2**53
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_UNDECODED = re.compile("[\ud800-\udfff]")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_ZONELESS = " has no offset, and the map no zone"


class Reason(StrEnum):
    """Why a row is refused: a closed list."""

    NOT_CSV = "not CSV"
    NOT_JSON = "not JSON"
    NOT_A_CDR = "not a CDR"
    WRONG_CELL_COUNT = "not as many cells as the header"
    WRONG_ENCODING = "bytes that are not of the encoding"
    EMPTY = "empty cell"
    BAD_ID = "not an id"
    BAD_TIME = "not a time"
    BAD_NUMBER = "not a number"
    TOO_MANY_DIGITS = "more digits than the currency has"
    OUT_OF_RANGE = "out of range"
    UNKNOWN_STATUS = "unknown status"
    UNKNOWN_CURRENCY = "unknown currency"
    RESERVED_GROUP = "the group ALL"


class RefusedError(Exception):
    """The row can't be used. Never leaves the importer's mapping, which makes a value of it."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@cache
def zone_info(name: str) -> ZoneInfo:
    """A zone by the rules of the pinned package, never the machine's: an import of today and one of next year agree."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


def instant(text: str, times: Times, not_before: datetime | None = None) -> datetime:
    """The instant that a text names, with its offset.

    A local time that happens twice is the earlier one, unless that lies before `not_before` and the later one does not. One that
    clocks skip is read with the offset before the change. `Raises` RefusedError.
    """
    found = _parsed(text.strip(), times)
    if found.tzinfo is None:
        if times.zone is None:
            raise RefusedError(Reason.BAD_TIME, f"{text!r}{_ZONELESS}")
        found = found.replace(tzinfo=zone_info(times.zone))
        # As numbers: datetimes of one zone are compared by their wall clocks.
        if not_before is not None and found.timestamp() < not_before.timestamp() <= found.replace(fold=1).timestamp():
            found = found.replace(fold=1)
    if found < _EPOCH:
        raise RefusedError(Reason.OUT_OF_RANGE, f"{text!r} lies before 1970")
    return found


def _parsed(text: str, times: Times) -> datetime:
    """The time by the first format that fits; without a zone when the text holds none."""
    for form in times.formats:
        try:
            if form == ISO_8601:
                return datetime.fromisoformat(text)
            if form in (EPOCH_S, EPOCH_MS):
                return _EPOCH + timedelta(milliseconds=int(text) * (1000 if form == EPOCH_S else 1))
            return datetime.strptime(text, form)  # noqa: DTZ007  # the zone comes from the map
        except (ValueError, OverflowError):
            continue
    raise RefusedError(Reason.BAD_TIME, f"{text!r} fits none of {', '.join(times.formats)}")


def epoch_ms(when: datetime) -> int:
    """Milliseconds since 1970, rounded down, in integers."""
    return (when - _EPOCH) // timedelta(milliseconds=1)


def number(text: str, decimal: str, thousands: str = "") -> Decimal:
    """The number that a text names. `Raises` RefusedError."""
    plain = text.strip()
    if thousands:
        plain = plain.replace(thousands, "")
    if decimal != ".":
        # A point is no decimal sign here: what still holds one is not a number.
        plain = plain.replace(".", "x").replace(decimal, ".")
    if not _NUMBER.fullmatch(plain):
        raise RefusedError(Reason.BAD_NUMBER, f"{text!r}")
    return Decimal(plain)


def minor_units(text: str, currency: str, money: Money) -> int:
    """Major units in a text -> the integer of minor ones, exact by the digits that ISO 4217 gives the currency. `Raises` RefusedError."""
    minor = number(text, money.decimal, money.thousands).scaleb(DIGITS[currency])
    rounded = minor.quantize(Decimal(1), ROUND_HALF_UP) if abs(minor) < LIMIT else minor
    if not 0 <= rounded < LIMIT:
        raise RefusedError(Reason.OUT_OF_RANGE, f"{text!r} is not from 0 to 2^53 minor units")
    if rounded != minor and money.more_digits == "refuse":
        raise RefusedError(Reason.TOO_MANY_DIGITS, f"{text!r} of {currency}, which has {DIGITS[currency]}")
    return int(rounded)


def checked_id(text: str) -> str:
    """The id as it stands, if it is one by the contract. `Raises` RefusedError."""
    if not text.strip():
        raise RefusedError(Reason.EMPTY, "an id is needed")
    if _UNDECODED.search(text):
        raise RefusedError(Reason.WRONG_ENCODING, f"{text!r}")
    if len(text) > 200 or _CONTROL.search(text):
        raise RefusedError(Reason.BAD_ID, f"{text[:220]!r} is over 200 characters or holds control characters")
    return text

"""A cell's text -> a time, an id; its numbers and amounts are read by numbers.py.

Called by sections.py for each row. Invariant: a value is exact or refused, never guessed. Pure: no I/O, no clock.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from stream_app.domain.local_time import zone_names
from stream_app.sources import times as rfc_3339
from stream_app.sources.maps.map_file import EPOCH_MS, EPOCH_S, EPOCH_US, ISO_8601, LOCAL_MS, LOCAL_US, Times

LIMIT = 2**53
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_UNDECODED = re.compile("[\ud800-\udfff]")
_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-5][0-9])")
_DIRECTIVE = re.compile(r"%.")
_OF_UTC = ("UTC", "GMT")
_MICROSECONDS = {
    EPOCH_S: 1_000_000,
    EPOCH_MS: 1000,
    EPOCH_US: 1,
    LOCAL_MS: 1000,
    LOCAL_US: 1,
}  # of formats that are counts
_ZONELESS = " has no offset, and the map no zone"


class Reason(StrEnum):
    """Why a row is refused: a closed list."""

    NOT_CSV = "not CSV"
    NOT_JSON = "not JSON"
    NOT_A_TEXT = "an object or an array"
    UNKNOWN_ZONE = "unknown zone"
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
    OTHER_CURRENCY = "sign of another currency"
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


def zone_of(name: str, times: Times) -> tzinfo | None:
    """The zone that a name in a file means; None for an unknown one.

    UTC and GMT, the map's own names, an offset, or a zone of IANA that is named by its place: short names, such as CET, mean
    different things to different people.
    """
    if name.upper() in _OF_UTC:
        return UTC
    meant = times.zones.get(name, name)
    offset = _OFFSET.fullmatch(meant)
    if offset:
        minutes = int(offset[2]) * 60 + int(offset[3])
        return timezone(timedelta(minutes=minutes if offset[1] == "+" else -minutes)) if minutes < 24 * 60 else None
    return zone_info(meant) if meant in zone_names() and ("/" in meant or name in times.zones) else None


def instant(
    text: str, times: Times, not_before: datetime | None = None, zone: str = "", formats: Sequence[str] = ()
) -> datetime:
    """The instant that a text names, with its offset; `zone` is the name of its zone, where the row has one; `formats`, where a time has its own.

    A local time that happens twice is the earlier one, unless that lies before `not_before` and the later one does not. One that
    clocks skip is read with the offset before the change. `Raises` RefusedError.
    """
    found = _parsed(text.strip(), times, formats or times.formats)
    if found.tzinfo is None:
        found = found.replace(tzinfo=_local(text, times, zone))
        # As numbers: datetimes of one zone are compared by their wall clocks.
        if not_before is not None and found.timestamp() < not_before.timestamp() <= found.replace(fold=1).timestamp():
            found = found.replace(fold=1)
    if found < _EPOCH:
        raise RefusedError(Reason.OUT_OF_RANGE, f"{text!r} lies before 1970")
    return found


def _local(text: str, times: Times, zone: str) -> tzinfo:
    if zone:
        named = zone_of(zone, times)
        if named is None:
            raise RefusedError(Reason.BAD_TIME, f"{zone!r} is no zone that `times.zones` or IANA name")
        return named
    if times.zone is None:
        raise RefusedError(Reason.BAD_TIME, f"{text!r}{_ZONELESS}")
    return zone_info(times.zone)


def _parsed(text: str, times: Times, formats: Sequence[str]) -> datetime:
    """The time by the first format that fits; without a zone when the text holds none."""
    for form in formats:
        try:
            if form == ISO_8601:
                return _iso_8601(text)
            if form in _MICROSECONDS:
                found = _EPOCH + timedelta(microseconds=int(text) * _MICROSECONDS[form])
                return found.replace(tzinfo=None) if form in (LOCAL_MS, LOCAL_US) else found
            return _by_format(text, form, times)
        except (ValueError, OverflowError):
            continue
    raise RefusedError(Reason.BAD_TIME, f"{text!r} fits none of {', '.join(formats)}")


def _iso_8601(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        ms = rfc_3339.epoch_ms(text)  # of a leap second, which Python's dates don't know
        if ms is None:
            raise
        return _EPOCH + timedelta(milliseconds=ms)


def _by_format(text: str, form: str, times: Times) -> datetime:
    """By a format of strptime, whose own %Z knows the names of the machine's zone, and takes no offset from any. `Raises` ValueError."""
    if not holds_zone_name(form):
        return datetime.strptime(text, form)  # noqa: DTZ007  # the zone comes from the map
    for name in (*_OF_UTC, *times.zones):
        try:
            found = datetime.strptime(text, _with_zone(form, name))  # noqa: DTZ007  # its name is the zone
        except ValueError:
            continue
        return found.replace(tzinfo=zone_of(name, times))
    raise ValueError(text)


@cache
def holds_zone_name(form: str) -> bool:
    """Whether times of this format hold the name of their zone."""
    return "%Z" in _DIRECTIVE.findall(form)


@cache
def _with_zone(form: str, name: str) -> str:
    return _DIRECTIVE.sub(lambda found: name.replace("%", "%%") if found[0] == "%Z" else found[0], form)


def epoch_ms(when: datetime) -> int:
    """Milliseconds since 1970, rounded down, in integers."""
    return (when - _EPOCH) // timedelta(milliseconds=1)


def checked_id(text: str) -> str:
    """The id as it stands, if it is one by the contract. `Raises` RefusedError."""
    if not text:
        raise RefusedError(Reason.EMPTY, "an id is needed")
    if _UNDECODED.search(text):
        raise RefusedError(Reason.WRONG_ENCODING, f"{text!r}")
    if len(text) > 200 or _CONTROL.search(text):
        raise RefusedError(Reason.BAD_ID, f"{text[:220]!r} is over 200 characters or holds control characters")
    return text

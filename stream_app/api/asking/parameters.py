"""The parameters of a request, out of a query string or a JSON body, checked and typed.

Place: after the permissions, before the stores. Pure functions of bytes, so equal requests are parsed once. Invariant:
a parameter that can't be used is an error that names it, never a default. Null is absent; unknown names are ignored, as
in the source topics, so that clients may be ahead of servers; a name twice in a query is an error, since proxies
disagree on which of the two counts. What depends on the operator (its current month, the kept dates, the permission) is
checked where that is known.
"""

import re
import unicodedata
from datetime import date
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

import orjson

from stream_app.api.asgi import REQUEST_BYTES_MAX
from stream_app.api.errors import BAD_PARAMETER, ApiError, bad_parameter
from stream_app.domain.events import ALL
from stream_app.domain.local_time import day_of
from stream_app.domain.money import DIGITS

DEFAULT_MONTHS: Final = 6
MONTHS_MAX: Final = 25
DEFAULT_DAYS: Final = 30
ID_CODE_POINTS_MAX: Final = 200
WATCHES_MAX: Final = 64

_MONTH = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,9}", re.ASCII)
_FIRST_MONTH: Final = 197001  # stores count days from 1970

Raw = dict[str, Any]


class MonthlyQuery(NamedTuple):
    """Parameters of monthlyIndex.

    None: the operator that the token implies, the current month, the operator's currency.
    """

    operator_id: str | None
    group_id: str
    months: int
    end_month: int | None
    currency: str | None


class DistributionQuery(NamedTuple):
    """Parameters of chargingDistribute; end_day is a day number. None: the operator that the token implies, today."""

    operator_id: str | None
    group_id: str
    days: int
    end_day: int | None


class StreamQuery(NamedTuple):
    """A group to watch. None: the operator that the token implies."""

    operator_id: str | None
    group_id: str


class WatchQuery(NamedTuple):
    """One of many groups to watch. None: the operator that the token implies."""

    operator_id: str | None
    group_id: str
    last_event_id: str


class GroupsQuery(NamedTuple):
    """Parameters of groups."""

    operator_id: str | None


class OperatorsQuery(NamedTuple):
    """The question `operators` has no parameters."""


def _query(raw: bytes) -> Raw:
    found: Raw = {}
    for pair in raw.split(b"&"):
        if not pair:
            continue
        name, _, value = pair.replace(b"+", b" ").partition(b"=")
        try:
            key, text = unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode()
        except UnicodeDecodeError:
            raise ApiError(
                BAD_PARAMETER, f"{unquote_to_bytes(name).decode(errors='replace')[:50]}: not UTF-8, percent-encoded"
            ) from None
        if key in found:
            raise bad_parameter(key[:50], "given twice")
        found[key] = text
    return found


def _body(raw: bytes) -> Raw:
    if not raw.strip():
        return {}
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise ApiError(BAD_PARAMETER, "body: not JSON in UTF-8") from None
    if not isinstance(found, dict):
        raise ApiError(BAD_PARAMETER, "body: not a JSON object")
    return found


def _id(raw: Raw, name: str) -> str | None:
    value = raw.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise bad_parameter(name, "must be a string")
    if not 0 < len(value) <= ID_CODE_POINTS_MAX or any(unicodedata.category(char) == "Cc" for char in value):
        raise bad_parameter(name, f"must have 1 to {ID_CODE_POINTS_MAX} characters, none of them a control character")
    return value


def _number(raw: Raw, name: str, default: int, maximum: int, *, text: bool) -> int:
    value = raw.get(name)
    if value is None:
        return default
    if text and _DIGITS.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= maximum:
        raise bad_parameter(name, f"must be an integer from 1 to {maximum}")
    return value


def _month(raw: Raw, name: str) -> int | None:
    value = raw.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not _MONTH.fullmatch(value):
        raise bad_parameter(name, "must be a month like 2026-11")
    month = int(value[:4]) * 100 + int(value[5:])
    if month < _FIRST_MONTH:
        raise bad_parameter(name, "must not be before 1970-01")
    return month


def _day(raw: Raw, name: str) -> int | None:
    value = raw.get(name)
    if value is None:
        return None
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return day_of(date.fromisoformat(value))
    except ValueError:
        pass
    raise bad_parameter(name, "must be a date like 2026-11-24")


def _currency(raw: Raw, name: str) -> str | None:
    value = raw.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or value not in DIGITS:
        raise bad_parameter(name, "must be a currency code of ISO 4217, in upper case")
    return value


def _raw(source: bytes, *, text: bool) -> Raw:
    if len(source) > REQUEST_BYTES_MAX:
        raise ApiError(BAD_PARAMETER, f"{'query' if text else 'body'}: over {REQUEST_BYTES_MAX} bytes")
    return _query(source) if text else _body(source)


@lru_cache(1024)
def parse_monthly(source: bytes, *, text: bool) -> MonthlyQuery:
    """Parse a query string (text) or a body. `Raises` ApiError."""
    raw = _raw(source, text=text)
    return MonthlyQuery(
        operator_id=_id(raw, "operatorId"),
        group_id=_id(raw, "groupId") or ALL,
        months=_number(raw, "months", DEFAULT_MONTHS, MONTHS_MAX, text=text),
        end_month=_month(raw, "endMonth"),
        currency=_currency(raw, "currency"),
    )


@lru_cache(1024)
def parse_distribution(source: bytes, *, text: bool, days_max: int) -> DistributionQuery:
    """Parse a query string (text) or a body. `Raises` ApiError."""
    raw = _raw(source, text=text)
    return DistributionQuery(
        operator_id=_id(raw, "operatorId"),
        group_id=_id(raw, "groupId") or ALL,
        days=_number(raw, "days", min(DEFAULT_DAYS, days_max), days_max, text=text),
        end_day=_day(raw, "endDate"),
    )


@lru_cache(1024)
def parse_stream(source: bytes) -> StreamQuery:
    """Parse a query string. `Raises` ApiError."""
    raw = _raw(source, text=True)
    return StreamQuery(operator_id=_id(raw, "operatorId"), group_id=_id(raw, "groupId") or ALL)


def parse_watches(source: bytes) -> list[WatchQuery]:
    """Parse a body that lists what to watch. `Raises` ApiError."""
    listed = _raw(source, text=False).get("watch")
    if not isinstance(listed, list) or not 1 <= len(listed) <= WATCHES_MAX:
        raise bad_parameter("watch", f"must be a list of 1 to {WATCHES_MAX} objects")
    return [_watch(entry) for entry in listed]


def _watch(entry: object) -> WatchQuery:
    if not isinstance(entry, dict):
        raise bad_parameter("watch", "must hold objects")
    last_event_id = entry.get("lastEventId")
    if not isinstance(last_event_id, str | None):
        raise bad_parameter("lastEventId", "must be a string")
    return WatchQuery(_id(entry, "operatorId"), _id(entry, "groupId") or ALL, last_event_id or "")


@lru_cache(1024)
def parse_groups(source: bytes, *, text: bool) -> GroupsQuery:
    """Parse a query string (text) or a body. `Raises` ApiError."""
    return GroupsQuery(operator_id=_id(_raw(source, text=text), "operatorId"))


def parse_operators(source: bytes, *, text: bool) -> OperatorsQuery:
    """Check that a query string (text) or a body could be read. `Raises` ApiError."""
    _raw(source, text=text)
    return OperatorsQuery()

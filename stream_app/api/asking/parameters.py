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
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import unquote_to_bytes

import orjson

from stream_app.api.asgi import REQUEST_BYTES_MAX
from stream_app.api.errors import BAD_PARAMETER, ApiError, bad_parameter
from stream_app.domain.events import ALL
from stream_app.domain.local_time import day_of
from stream_app.domain.money import DIGITS
from stream_app.domain.tables import FigureTable, Table

ID_CODE_POINTS_MAX: Final = 200
WATCHES_MAX: Final = 64

_DIGITS = re.compile(r"[0-9]{1,9}", re.ASCII)
_EXAMPLE_DAY: Final = day_of(date(2026, 11, 24))

Raw = dict[str, Any]


class PeriodsQuery(NamedTuple):
    """Parameters of a question about a table: `length` periods, the last of which is `last`.

    None: the operator that the token implies, the current period, the operator's currency. A table without currencies
    takes none.
    """

    operator_id: str | None
    group_id: str
    length: int
    last: int | None = None
    currency: str | None = None


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


def _period(raw: Raw, table: Table[Any]) -> int | None:
    period = table.period
    value = raw.get(period.last)
    if value is None:
        return None
    try:
        found = period.parse(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or period.text(found) != value:  # other ways to write it are none
        raise bad_parameter(period.last, f"must be a {period.name} like {period.text(period.of_day(_EXAMPLE_DAY))}")
    if table.past_retention and found < period.first:
        raise bad_parameter(period.last, f"must not be before {period.text(period.first)}")
    return found


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


class PeriodsParser(Protocol):
    """Parses a query string (text) or a body. `Raises` ApiError."""

    def __call__(self, source: bytes, *, text: bool) -> PeriodsQuery:
        """Parse."""


def periods_parser(table: Table[Any], count_max: int) -> PeriodsParser:
    """The parser of a table's question, which may ask for up to `count_max` periods."""
    plural, default = table.period.plural, min(table.shown, count_max)
    has_currencies = isinstance(table, FigureTable)

    @lru_cache(1024)
    def parse(source: bytes, *, text: bool) -> PeriodsQuery:
        raw = _raw(source, text=text)
        return PeriodsQuery(
            operator_id=_id(raw, "operatorId"),
            group_id=_id(raw, "groupId") or ALL,
            length=_number(raw, plural, default, count_max, text=text),
            last=_period(raw, table),
            currency=_currency(raw, "currency") if has_currencies else None,
        )

    return parse


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

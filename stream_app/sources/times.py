"""Times in text: RFC 3339 to epoch milliseconds.

Every piece of a time is looked up whole in a table that holds nothing but valid pieces, which is strict and quicker than parsing digits.
Accepted besides the common form: `t`, a space and `z` (RFC 3339 5.6), a fraction of any length (rounded down to milliseconds), the offset
-00:00, and a leap second where one can be: at 23:59:60 UTC on the last day of a month. It belongs to that day, as its last millisecond.
"""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from stream_app.domain.local_time import EPOCH

_MINUTE_MS, _DAY_MS = 60_000, 86_400_000
_DAYS_KEPT = 50_000  # dates remembered: 130 years of them; others are parsed again
_TO = date(9999, 12, 31)
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


class _Days(dict[str, int]):
    """Date -> epoch milliseconds of its UTC midnight, made as they are asked for. `Raises` KeyError for what is no date."""

    def __missing__(self, text: str) -> int:
        if not _DATE.fullmatch(text):
            raise KeyError(text)
        try:
            # RFC 3339 has a year 0000, Python's dates begin at 1; all before 1970 is the same to us.
            midnight = (date.fromisoformat(text.replace("0000-", "0004-", 1)) - EPOCH).days * _DAY_MS
        except ValueError:
            raise KeyError(text) from None
        if len(self) >= _DAYS_KEPT:
            self.clear()
        self[text] = midnight
        return midnight


_DAYS = _Days()
_MINUTES = {
    f"{separator}{minute // 60:02d}:{minute % 60:02d}": minute * _MINUTE_MS
    for separator in "Tt "
    for minute in range(1440)
}
_SECONDS = {f":{second:02d}": second * 1000 for second in range(60)}
_OFFSETS = {"Z": 0, "z": 0} | {
    f"{sign}{minute // 60:02d}:{minute % 60:02d}": factor * minute * _MINUTE_MS
    for sign, factor in (("+", 1), ("-", -1))
    for minute in range(1440)
}
_OFFSETS_OR_NONE = _OFFSETS | {"": 0}
# The milliseconds of the pieces of a time in the common form: a date, `T` with hours and minutes, seconds, an offset.
PIECES: Final[tuple[Mapping[str, int], ...]] = (_DAYS, _MINUTES, _SECONDS, _OFFSETS)


def epoch_ms(text: str) -> int | None:
    """An RFC 3339 time in epoch milliseconds, 0 for all before 1970; None for anything else, and for times after 9999."""
    zone = text[19:]
    if zone not in _OFFSETS:
        return _uncommon(text, _OFFSETS)
    try:
        ms = _DAYS[text[:10]] + _MINUTES[text[10:16]] + _SECONDS[text[16:19]] - _OFFSETS[zone]
    except KeyError:
        return _uncommon(text, _OFFSETS)
    return max(ms, 0) if ms <= LAST_MS else None


def epoch_ms_or_utc(text: str) -> int | None:
    """The same of a time that may lack the zone: then it is UTC, as OCPI has it."""
    return _uncommon(text, _OFFSETS_OR_NONE)


def _uncommon(text: str, offsets: Mapping[str, int]) -> int | None:
    """The same of a time that may have a fraction or a leap second."""
    zone, second, fraction_ms = text[19:], text[16:19], 0
    if zone[:1] == ".":
        fraction, zone = zone[1:], zone[1:].lstrip("0123456789")
        if fraction == zone:
            return None
        fraction_ms = int((fraction[: len(fraction) - len(zone)] + "00")[:3])
    leap = second == ":60"
    if leap:
        second, fraction_ms = ":59", 999
    try:
        ms = _DAYS[text[:10]] + _MINUTES[text[10:16]] + _SECONDS[second] - offsets[zone] + fraction_ms
    except KeyError:
        return None
    return max(ms, 0) if ms <= LAST_MS and not (leap and not _ends_a_month(ms)) else None


def _ends_a_month(ms: int) -> bool:
    day, rest = divmod(ms, _DAY_MS)
    when = EPOCH + timedelta(days=day)
    return rest == _DAY_MS - 1 and (when == _TO or (when + timedelta(days=1)).day == 1)


LAST_MS: Final = _DAYS[_TO.isoformat()] + _DAY_MS - 1

"""Local time of an operator: month, day and slot of an instant, and where retention begins.

Instants are quarter hours since 1970 (UTC): every zone's offset since 1972 is a multiple of one, so a slot, a day and a
month begin on one. A local time is the same number shifted by the offset: `// 96` is the day number since 1970, `% 96
// 2` the slot. A month is a number like 202611.
"""

from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

import tzdata

QUARTER_MS = 900_000
_FIRST_ZONE: Final = 14 * 4  # quarter hours: no zone is further ahead of UTC
_LAST_ZONE: Final = -12 * 4  # nor further behind it
ZONE_RULES: Final = tzdata.IANA_VERSION  # of the pinned package: what was added by them must be taken back by them
EPOCH = date(1970, 1, 1)
_FIRST_DAY, _LAST_DAY = -1, (date(9999, 12, 31) - EPOCH).days


@cache
def zone_names() -> frozenset[str]:
    """The IANA names that are known: those of the pinned package, never the machine's."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


def date_of(day: int) -> date:
    """The date of a day number."""
    return EPOCH + timedelta(days=day)


def iso_quarter(quarter: int) -> str:
    """An instant, in quarter hours, as "2026-11-24T08:15Z"."""
    return f"{datetime.fromtimestamp(quarter * 900, UTC):%Y-%m-%dT%H:%MZ}"


def day_of(when: date) -> int:
    """The day number of a date."""
    return (when - EPOCH).days


@lru_cache(100_000)
def month_of_day(day: int) -> int:
    """The month of a day number: 202611."""
    when = date_of(day)
    return when.year * 100 + when.month


def month_add(month: int, by: int) -> int:
    """The month so many months later."""
    index = month // 100 * 12 + month % 100 - 1 + by
    return index // 12 * 100 + index % 12 + 1


def month_count(first: int, last: int) -> int:
    """How many months there are from one to another, both included."""
    return (last // 100 - first // 100) * 12 + last % 100 - first % 100 + 1


def first_day_of(month: int) -> int:
    """The number of a month's first day."""
    return day_of(date(month // 100, month % 100, 1))


def month_string(month: int) -> str:
    """202611 -> "2026-11"."""
    return f"{month // 100:04d}-{month % 100:02d}"


class Zone:
    """A time zone as a table of offsets by UTC day: one look-up for a day without a clock change."""

    def __init__(self, name: str) -> None:
        self.name = name
        # Of the pinned package: the same rules in every worker, else a month could move between adding and taking back.
        with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
            self._info = ZoneInfo.from_file(rules, key=name)
        self._days: dict[int, int | None] = {}

    def _offset(self, quarter: int) -> int:
        offset = datetime.fromtimestamp(quarter * 900, UTC).astimezone(self._info).utcoffset()
        assert offset is not None
        return int(offset.total_seconds()) // 900

    def _day_offset(self, day: int) -> int | None:
        if not _FIRST_DAY < day < _LAST_DAY:
            return 0
        first, last = self._offset(day * 96), self._offset(day * 96 + 95)
        offset = self._days[day] = first if first == last else None
        return offset

    def local(self, quarter: int) -> int:
        """The local time of an instant, in quarter hours."""
        day = quarter // 96
        try:
            offset = self._days[day]
        except KeyError:
            offset = self._day_offset(day)
        return quarter + (self._offset(quarter) if offset is None else offset)

    def day(self, quarter: int) -> int:
        """The local day number of an instant."""
        return self.local(quarter) // 96

    def month(self, quarter: int) -> int:
        """The local month of an instant."""
        return month_of_day(self.local(quarter) // 96)

    def start_of_day(self, day: int) -> int:
        """The first instant of a local day (a day may begin at 01:00, where midnight is skipped)."""
        instant = day * 96 - 96  # offsets lie between -12 and +14 hours, a clock change within a day of it
        while self.local(instant) // 96 < day:
            instant += 1
        return instant


@cache
def zone(name: str) -> Zone:
    """The zone of one of `zone_names`."""
    return Zone(name)


def retained_anywhere_from(now: int, retention_months: int) -> int:
    """The first instant of the months that some zone on earth retains at an instant.

    The last zone on earth keeps a month longest, and a month begins earliest in the first one (UTC+14): so whatever a
    zone retains lies behind it, summer time or not.
    """
    month = month_add(month_of_day((now + _LAST_ZONE) // 96), 1 - retention_months)
    return first_day_of(month) * 96 - _FIRST_ZONE


def retained_from(zone_: Zone, now: int, retention_months: int) -> tuple[int, int]:
    """(first month, first instant of that month) of the months that are retained at an instant."""
    month = month_add(zone_.month(now), 1 - retention_months)
    return month, zone_.start_of_day(first_day_of(month))

"""The page's pure modules, in the browser that runs them, against Python as the judge."""

import csv
import io
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from tests.dashboard.page.viewing import chromium_on
from tests.dashboard.places import SOURCES

YEAR = 2026
ZONES = [
    "Africa/Cairo",
    "America/Los_Angeles",
    "America/Santiago",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Asia/Shanghai",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "UTC",
]


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def run():
    """Evaluates an expression of a module that imports no other: `run("zones", "m => m.utc('2026-11-26')")`."""
    async with chromium_on("about:blank") as browser:

        async def evaluate(module, function, argument=None):
            source = (SOURCES / f"{module}.js").read_text()
            address = f"data:text/javascript;charset=utf-8,{quote(source)}"
            code = f"async ([address, argument]) => ({function})(await import(address), argument)"
            return await browser.page.evaluate(code, [address, argument])

        yield evaluate


def changes(zone):
    """Date concerned, minutes forward, the clock before and after, of each change of a year: minute by minute of the hours that differ."""
    found = []
    info = ZoneInfo(zone)
    at = datetime(YEAR, 1, 1, tzinfo=info).astimezone(UTC)
    end = datetime(YEAR + 1, 1, 1, tzinfo=info).astimezone(UTC)
    while at < end:
        before, after = at.astimezone(info), (at + timedelta(minutes=15)).astimezone(info)
        moved = after.utcoffset() - before.utcoffset()
        if moved:
            was = before.replace(tzinfo=None) + timedelta(minutes=15)
            minutes = round(moved.total_seconds() / 60)
            concerned = min(was, was + moved).date().isoformat()  # back from midnight: the hour of the day before
            found.append((concerned, minutes, f"{was:%H:%M}", f"{was + moved:%H:%M}"))
        at += timedelta(minutes=15)
    return found


@pytest.mark.parametrize("zone", ZONES)
async def test_changes_of_clocks_are_those_of_the_zone_in_a_year_and_day_by_day(run, zone):
    expected = changes(zone)
    call = "(m, [zone, first, last]) => m.clockChanges(zone, first, last).map(c => [c.date, c.minutes, c.from, c.to])"
    assert await run("zones", call, [zone, f"{YEAR}-01-01", f"{YEAR}-12-31"]) == [list(each) for each in expected]
    days = [(date(YEAR, 1, 1) + timedelta(days=number)).isoformat() for number in range(365)]
    daily = "(m, [zone, days]) => days.flatMap(day => m.clockChanges(zone, day, day).map(c => [day, c.date]))"
    assert await run("zones", daily, [zone, days]) == [[each[0], each[0]] for each in expected]


async def test_months_have_their_days(run):
    months = [f"{year}-{month:02d}" for year in (2024, 2026) for month in range(1, 13)]
    firsts = [date.fromisoformat(f"{month}-01") for month in months]
    expected = [((first + timedelta(days=31)).replace(day=1) - first).days for first in firsts]
    assert await run("zones", "(m, months) => months.map(m.daysInMonth)", months) == expected
    added = await run("zones", "(m, _) => [-13, -1, 0, 1, 14].map(n => m.addMonths('2026-01', n))")
    assert added == ["2024-12", "2025-12", "2026-01", "2026-02", "2027-03"]


@pytest.mark.parametrize("digits", [0, 2, 3])
async def test_sums_of_decimals_are_exact(run, digits):
    chance = random.Random(digits)
    numbers = [Decimal(chance.randrange(-(2**70), 2**70)).scaleb(-digits) for _ in range(200)] + [
        Decimal(each).scaleb(-digits) for each in (0, 1, -1, 9, 10, 99, 100)
    ]
    pairs = [(f"{one:f}", f"{chance.choice(numbers):f}") for one in numbers]
    for name, judge in (("plus", Decimal.__add__), ("minus", Decimal.__sub__)):
        got = await run("decimals", f"(m, pairs) => pairs.map(([a, b]) => m.{name}(a, b))", pairs)
        assert [Decimal(each) for each in got] == [judge(Decimal(one), Decimal(other)) for one, other in pairs]
        assert {len(each.partition(".")[2]) for each in got} == {digits}


async def test_csv_is_read_back_as_it_was(run):
    rows = [["a,b", 'say "x"', "two\nlines", "大客户 🚗"], [1, -2.5, True, "-12.50"], ["=1+1", "+x", "@y", "-z"]]
    text = await run("csv", "(m, rows) => m.csv(['a', 'b', 'c', 'd'], rows)", rows)
    assert text[0] == "\ufeff"
    read = list(csv.reader(io.StringIO(text[1:], newline="")))
    assert read == [
        ["a", "b", "c", "d"],
        ["a,b", 'say "x"', "two\nlines", "大客户 🚗"],
        ["1", "-2.5", "true", "-12.50"],
        ["'=1+1", "'+x", "'@y", "'-z"],
    ]

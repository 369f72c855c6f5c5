"""Times in text, against the standard library where it is strict enough, and by table where it is not."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream_app.sources.times import epoch_ms, epoch_ms_or_utc

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FROM, TO = datetime(1970, 1, 3), datetime(9999, 12, 29)  # noqa: DTZ001 - Hypothesis adds the zones


def ms(*when):
    return (datetime(*when, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:59:59+01:00", 0),  # all before 1970 is as old as 1970
        ("1969-07-20T20:17:40Z", 0),
        ("0000-01-01T00:00:00Z", 0),
        ("1969-12-31T23:00:00-01:00", 0),
        ("2026-11-03T08:29:59+01:00", ms(2026, 11, 3, 7, 29, 59)),
        ("2026-11-03t08:29:59z", ms(2026, 11, 3, 8, 29, 59)),
        ("2026-11-03 08:29:59Z", ms(2026, 11, 3, 8, 29, 59)),
        ("2026-11-03T08:29:59-00:00", ms(2026, 11, 3, 8, 29, 59)),
        ("2026-11-03T08:29:59+23:59", ms(2026, 11, 2, 8, 30, 59)),
        ("2026-11-03T08:29:59.1Z", ms(2026, 11, 3, 8, 29, 59, 100_000)),
        ("2026-11-03T08:29:59.9999999999999999+01:00", ms(2026, 11, 3, 7, 29, 59, 999_000)),
        ("2026-11-03T08:29:59.0009Z", ms(2026, 11, 3, 8, 29, 59)),
        (f"2026-11-03T08:29:59.{'1' * 10_000}Z", ms(2026, 11, 3, 8, 29, 59, 111_000)),
        ("2024-02-29T00:00:00Z", ms(2024, 2, 29)),
        ("2000-02-29T00:00:00Z", ms(2000, 2, 29)),
        ("9999-12-31T23:59:59.999Z", ms(9999, 12, 31, 23, 59, 59, 999_000)),
        ("9999-12-31T23:59:59-00:01", None),  # the year 10000
        # A leap second: only at the end of a UTC month; it belongs to it.
        ("2016-12-31T23:59:60Z", ms(2016, 12, 31, 23, 59, 59, 999_000)),
        ("1990-12-31T15:59:60-08:00", ms(1990, 12, 31, 23, 59, 59, 999_000)),
        ("2017-01-01T00:59:60.5+01:00", ms(2016, 12, 31, 23, 59, 59, 999_000)),
        ("9999-12-31T23:59:60Z", ms(9999, 12, 31, 23, 59, 59, 999_000)),
        ("2016-12-31T23:58:60Z", None),
        ("2016-12-31T22:59:60Z", None),
        ("2016-12-31T23:59:60+01:00", None),
        ("2016-12-30T23:59:60Z", None),
        ("2016-12-31T23:59:61Z", None),
    ],
)
def test_times(text, expected):
    assert epoch_ms(text) == expected
    assert epoch_ms_or_utc(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "Z", "2026-11-03", "2026-11-03T08:29Z", "2026-11-03T08:29:59.Z", "2026-11-03T08:29:59,5Z", "2026-11-03T08:29:59 Z",
        "2026-11-03T08:29:59+0100", "2026-11-03T08:29:59+01", "2026-11-03T08:29:59+1:00", "2026-11-03T08:29:59+24:00", "2026-11-03T08:29:59+01:60",
        "2026-11-03T08:29:59\u221201:00", "2026-11-03T08:29:59Z ", " 2026-11-03T08:29:59Z", "2026-11-03T08:29:59ZZ", "2026-11-03T08:29:59Z\n",
        "2026-11-03T24:00:00Z", "2026-11-03T08:60:00Z", "2026-11-03T08:29:99Z", "2026-11-31T08:29:59Z", "2026-13-01T08:29:59Z", "2026-00-01T08:29:59Z",
        "2026-01-00T08:29:59Z", "2025-02-29T08:29:59Z", "1900-02-29T00:00:00Z", "2026-W45-2T08:29:59Z", "20261103T082959Z", "0000-02-30T00:00:00Z",
        "+002026-11-03T08:29:59Z", "12026-11-03T08:29:59Z", "2026-11-03_08:29:59Z", "2026-11-03T08:29:59.\u096bZ", "\uff12\uff10\uff12\uff16-11-03T08:29:59Z",
        "2026-11-03T08:29:5\uff19Z", "2026-11-03T08:29:59.1.2Z", "2026-11-03T08:29:59.1", "2026-11-03T08:29:59", "2026-11-03T08:29:59+01:00:00", "1793693460000",
        "2026-11-03T08:29:59[Europe/Berlin]", "2026-11-03T08:29:59Z[UTC]", "2026-11-03T8:29:59Z", "-2026-11-03T08:29:59Z",
    ],
)  # fmt: skip
def test_no_times(text):
    assert epoch_ms(text) is None


def test_ocpi_times_may_lack_the_zone():
    assert epoch_ms_or_utc("2015-06-29T20:39:09") == ms(2015, 6, 29, 20, 39, 9)
    assert epoch_ms_or_utc("2016-12-29T17:45:09.2") == ms(2016, 12, 29, 17, 45, 9, 200_000)
    assert epoch_ms_or_utc("2015-06-29T20:39:09 ") is None
    assert epoch_ms_or_utc("2015-06-29") is None


OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@settings(deadline=None)
@given(
    st.datetimes(FROM, TO, timezones=OFFSETS),
    st.sampled_from(["seconds", "milliseconds", "microseconds"]),
)
def test_it_agrees_with_the_standard_library(when, timespec):
    text = when.isoformat(timespec=timespec)
    assert epoch_ms(text) == (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


@settings(deadline=None)
@given(st.text(st.sampled_from("0123456789-+:.TtZz 5९"), max_size=30) | st.text(max_size=40))
def test_no_text_raises(text):
    for read in (epoch_ms, epoch_ms_or_utc):
        found = read(text)
        assert found is None or 0 <= found < 253_402_300_800_000


@settings(deadline=None)
@given(
    st.datetimes(FROM, TO), st.integers(0, 24), st.text(st.sampled_from("0123456789"), max_size=2) | st.text(max_size=2)
)
@example(datetime(2000, 1, 1), 0, "1")  # noqa: DTZ001 - as above
@example(datetime(2000, 1, 1), 0, "0")  # noqa: DTZ001
@example(datetime(2001, 1, 1), 0, "0")  # noqa: DTZ001
def test_a_disturbed_time_is_read_as_the_standard_library_reads_it_or_not_at_all(when, place, junk):
    text = when.isoformat(timespec="seconds") + "+01:00"
    disturbed = text[:place] + junk + text[place + 1 :]
    found = epoch_ms(disturbed)
    if found is not None and ":60" not in disturbed:
        assert found == by_the_standard_library(disturbed.upper())


def by_the_standard_library(text):
    """All before 1970 is as old as 1970; the library's first year is 1, that of RFC 3339 is 0000."""
    if text.startswith("0000-"):
        return 0
    return max((datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1), 0)

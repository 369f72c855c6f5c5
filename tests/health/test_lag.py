"""Lag in records and in seconds, rates, time to catch up, and what is left of the retention."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.health.history import History
from stream_app.health.lag import (
    UNKNOWN_MS,
    Point,
    Rates,
    Retention,
    catch_up_s,
    is_unread,
    lag_ms,
    lag_records,
    loss_in_s,
    rates,
    readable_end,
    retention_used,
)

HOUR_MS = 3_600_000
NOW_MS = 1_800_000_000_000


def point(committed, end, start=0, unread_ms=NOW_MS - 1000, time_ms=NOW_MS):
    return Point(time_ms, committed, start, end, unread_ms)


@pytest.mark.parametrize(
    ("why", "looked_at", "records", "milliseconds"),
    [
        ("read to the end", point(50, 50), 0, 0),
        ("an empty partition", point(None, 0), 0, 0),
        ("all that was there is gone, and was read", point(50, 50, start=50), 0, 0),
        ("ten records, the first a second old", point(40, 50), 10, 1000),
        (
            "three hours behind on a topic that is idle since",
            point(40, 50, unread_ms=NOW_MS - 3 * HOUR_MS),
            10,
            3 * HOUR_MS,
        ),
        ("only control records or a gap behind it", point(40, 50, unread_ms=None), 0, 0),
        ("never committed: all that is kept", point(None, 50, start=20), 30, 1000),
        ("what was not read is deleted in part", point(10, 50, start=20), 30, 1000),
        ("committed beyond the end, for a moment: the end was asked for earlier", point(60, 50), 0, 0),
        ("a producer whose clock is ahead", point(40, 50, unread_ms=NOW_MS + 9000), 10, 0),
        ("the time of the record could not be had", point(40, 50, unread_ms=UNKNOWN_MS), 10, None),
    ],
)
def test_lag(why, looked_at, records, milliseconds):
    assert lag_records(looked_at) == records, why
    assert lag_ms(NOW_MS, looked_at) == milliseconds, why
    assert is_unread(looked_at) == (records > 0)


@pytest.mark.parametrize(
    ("why", "committed", "stable", "end", "readable"),
    [
        ("no transaction is open", 40, 50, 50, 50),
        ("what is in an open one can't be read", 40, 45, 50, 45),
        ("read to where it begins: no lag", 45, 45, 50, 45),
        ("committed inside it: reads uncommitted", 47, 45, 50, 50),
        ("never committed", None, 45, 50, 45),
    ],
)
def test_readable(why, committed, stable, end, readable):
    assert readable_end(committed, stable, end) == readable, why


def always(value):
    return lambda _: value


ZERO, NOW = always(0), always(NOW_MS)


def watched(seconds, committed, end, start=ZERO, unread=NOW):
    return [Point(NOW_MS + t * 1000, committed(t), start(t), end(t), unread(t)) for t in seconds]


@pytest.mark.parametrize(
    ("why", "points", "expected"),
    [
        ("one look tells nothing", watched([0], always(5), always(9)), Rates(0, 0)),
        ("steady", watched(range(0, 60, 2), lambda t: 80 * t, lambda t: 100 * t), Rates(100, 80)),
        (
            "in steps of 20 s, whenever they are looked at",
            watched(range(0, 50, 2), lambda t: 1000 * (t // 20), lambda t: 50 * t),
            Rates(50, 50),
        ),
        ("stands still", watched(range(0, 60, 2), always(7), lambda t: 100 * t), Rates(100, 0)),
        ("never committed", watched(range(0, 60, 2), always(None), lambda t: 100 * t), Rates(100, 0)),
        ("set back: that is no reading", watched(range(0, 60, 2), lambda t: 1000 - t, always(2000)), Rates(0, 0)),
    ],
)
def test_rates(why, points, expected):
    assert rates(points) == pytest.approx(expected), why


@pytest.mark.parametrize(
    ("records", "speed", "seconds"),
    [
        (0, Rates(10, 0), 0),
        (100, Rates(10, 20), 10),
        (100, Rates(0, 20), 5),
        (100, Rates(10, 10), None),
        (1, Rates(0, 0), None),
    ],
)
def test_time_to_catch_up(records, speed, seconds):
    assert catch_up_s(records, speed) == seconds


DAY = Retention(24 * HOUR_MS)


def behind(hours, growth=1.0, retention=DAY):
    """Looks of ten minutes; the age of the first unread record grows by so many seconds a second, up to so many hours."""
    unread = lambda t: int(NOW_MS + t * 1000 - hours * HOUR_MS + (600 - t) * growth * 1000)  # noqa: E731
    points = watched(range(0, 601, 20), lambda t: 10 * t, lambda t: 100_000 + 10 * t, unread=unread)
    now_ms = points[-1].time_ms
    return retention_used(now_ms, points[-1], retention), loss_in_s(now_ms, points, retention)


@pytest.mark.parametrize(
    ("why", "found", "used", "seconds"),
    [
        ("stands still, 20 h 50 min behind: data loss in 3 h 10 min", behind(20 + 5 / 6), (20 + 5 / 6) / 24, 11_400),
        ("reads at half the pace: in twice that", behind(20 + 5 / 6, growth=0.5), (20 + 5 / 6) / 24, 22_800),
        ("catches up: never", behind(20, growth=-0.5), 20 / 24, None),
        ("keeps its distance: never", behind(20, growth=0), 20 / 24, None),
        ("too late", behind(25), 25 / 24, 0),
        ("kept for ever", behind(2000, retention=Retention()), None, None),
    ],
)
def test_retention_by_time(why, found, used, seconds):
    assert found[0] == pytest.approx(used), why
    assert found[1] == pytest.approx(seconds), why


def test_retention_by_size_is_told_from_the_start_that_comes_nearer():
    size = Retention(None, 1 << 30)
    points = watched(range(0, 60, 2), lambda t: 5000 + 10 * t, lambda t: 9000 + 100 * t, lambda t: 1000 + 100 * t)
    assert loss_in_s(points[-1].time_ms, points, size) == pytest.approx((4000 - 90 * 58) / 90 if 90 * 58 < 4000 else 0)
    assert retention_used(points[-1].time_ms, points[-1], size) == pytest.approx(1 + (90 * 58 - 4000) / 8000, abs=0.2)
    unmoved = watched(range(0, 60, 2), lambda t: 10 * t, lambda t: 9000 + 100 * t)
    assert loss_in_s(unmoved[-1].time_ms, unmoved, size) is None, "nothing was ever deleted"
    assert retention_used(unmoved[-1].time_ms, unmoved[-1], size) is None


def test_nothing_unread_can_be_lost():
    points = watched(range(0, 60, 2), always(100), always(100), unread=always(None))
    assert loss_in_s(points[-1].time_ms, points, DAY) is None
    assert retention_used(points[-1].time_ms, points[-1], DAY) == 0


OFFSETS = st.integers(0, 1_000_000)


@given(st.none() | OFFSETS, OFFSETS, OFFSETS, st.none() | st.integers(0, 2 * NOW_MS))
def test_lag_is_never_negative_and_never_more_than_what_is_kept(committed, start, length, unread_ms):
    at = point(committed, start + length, start, unread_ms)
    assert 0 <= lag_records(at) <= length
    assert (lag_ms(NOW_MS, at) or 0) >= 0


@given(st.lists(st.tuples(st.integers(1, 7_000), st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=80))
def test_whatever_is_seen_the_history_keeps_its_extremes_and_its_rates_are_no_higher_than_any_step(looks):
    """Merging slots forgets when, but neither a floor nor a peak nor a move."""
    history, lags = History(), []
    time_ms = committed = end = 0
    moved = -1  # the first look is no move
    for after_ms, read, came in looks:
        time_ms, end = time_ms + after_ms, end + came
        moved += min(read, end - committed) > 0 or not lags
        committed = min(end, committed + read)
        history.add(Point(time_ms, committed, 0, end), owned=True)
        lags.append(end - committed)
    assert min(slot.floor for slot in history.whole.slots) == min(lags)
    assert max(slot.peak for slot in history.whole.slots) == max(lags)
    assert sum(slot.moves for slot in history.whole.slots) == moved
    assert history.highest() == committed
    found = rates(history.points())
    assert 0 <= found.outgoing <= 500_000
    assert found.incoming >= 0


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(1, 1000))
def test_a_backlog_is_gone_when_it_was_said_to_be(records, incoming, gain):
    seconds = catch_up_s(records, Rates(incoming, incoming + gain))
    assert records + incoming * seconds == pytest.approx((incoming + gain) * seconds)


def test_the_pace_is_that_of_now():
    """It read half of what came for ten minutes, and twice of it in the last two."""
    history = History()
    for t in range(0, 722, 2):
        history.add(point(50 * min(t, 600) + 200 * max(0, t - 600), 100 * t, time_ms=1000 * t), owned=True)
    assert rates(history.pace()).outgoing == pytest.approx(200, rel=0.02)
    assert rates(history.points()).outgoing < 100


def test_the_pace_of_one_that_commits_rarely_is_that_of_all_that_is_remembered():
    history = History()
    for t in range(0, 602, 2):
        history.add(point(100 * (t // 100 * 100), 100 * t, time_ms=1000 * t), owned=True)
    assert rates(history.pace()).outgoing == pytest.approx(100, rel=0.05)

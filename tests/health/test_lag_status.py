"""The proof of the statuses: what a partition looked like, second by second, what we say, and why that is right.

The last column is what Burrow's published rules say to the same commits, where they differ: its blind spots, closed.
"""

from collections.abc import Callable
from itertools import groupby, pairwise
from random import Random
from typing import NamedTuple

import pytest

from stream_app.health.advice import ADVICE
from stream_app.health.history import SLOTS_MAX, History
from stream_app.health.lag import Point, Retention, is_unread
from stream_app.health.status import Judgement, Limits, Reason, Situation, Status, judge, severity, worst

START_MS = 1_800_000_000_000
RATE = 100  # records a second go in, where a row says nothing else
HOUR, DAY = 3600, 86400


def always(value):
    """The same at any time."""
    return lambda _: value


class Row(NamedTuple):
    """`committed` and `end` are functions of the seconds since the first look; None: never committed. `owned`: from when to when a member has it."""

    why: str
    committed: Callable[[float], int | None]
    status: Status
    reason: Reason
    end: Callable[[float], int] = lambda t: int(1000 + RATE * t)
    start: Callable[[float], int] = always(0)
    seconds: int = 300
    every: float = 2.0
    members: Callable[[float], int] = always(1)
    owned: Callable[[float], bool] = always(True)
    has_members: bool = True
    recreated: bool = False
    retention: Retention = Retention(7 * DAY * 1000)
    readable: bool = True  # False: nothing but control records or gaps lies behind the committed offset
    timed: bool = True  # False: no timestamp could be had


def steps(every_s, lag=0, growth=0.0):
    """Commits everything but `lag` at once, each so many seconds; at each it leaves more behind, by `growth` records a second."""
    return lambda t: int(1000 + RATE * (t // every_s) * every_s - lag - growth * (t // every_s) * every_s)


def teeth(growth):
    """Commits each 5 s, at half the pace of what comes; once a minute all but what grows, by so many records a second."""

    def committed(t):
        minute = t // 60 * 60
        return int(1000 + (RATE - growth) * minute + RATE / 2 * ((t - minute) // 5 * 5))

    return committed


ROWS = [
    # -- healthy
    Row("reads all at once", lambda t: int(1000 + RATE * t), Status.OK, Reason.IDLE),
    Row("is half a second behind, always", lambda t: int(950 + RATE * t), Status.OK, Reason.READING),
    Row("an idle topic, read to its end long ago", always(1000), Status.OK, Reason.IDLE, end=always(1000)),
    Row("an empty topic, nothing to commit", always(None), Status.OK, Reason.IDLE, end=always(0)),
    Row(
        "a topic that kept nothing, never read",
        always(None),
        Status.OK,
        Reason.IDLE,
        end=always(900),
        start=always(900),
    ),
    Row(
        "works a backlog off",
        lambda t: int(50 * RATE + 2 * RATE * t),
        Status.OK,
        Reason.CATCHING_UP,
        end=lambda t: int(100_000 + RATE * t),
    ),
    Row(
        "fifty seconds behind, and was never looked at before",
        always(0),
        Status.OK,
        Reason.CATCHING_UP,
        end=lambda t: int(5000 + RATE * t),
        seconds=0,
    ),
    Row(
        "works it off, slowly",
        lambda t: int(1.02 * RATE * t),
        Status.OK,
        Reason.CATCHING_UP,
        end=lambda t: int(20_000 + RATE * t),
    ),
    Row("commits once a minute, all of it", steps(60), Status.OK, Reason.CATCHING_UP, seconds=350),
    Row("commits each five minutes: given twice that", steps(300), Status.OK, Reason.CATCHING_UP, seconds=1450),
    Row(
        "an idle hour, then one record a second ago",
        always(1000),
        Status.OK,
        Reason.READING,
        end=lambda t: 1000 + (t >= 3599),
        seconds=HOUR,
    ),
    Row(
        "only a control record behind the commit",
        always(1000),
        Status.OK,
        Reason.IDLE,
        end=always(1001),
        readable=False,
    ),
    Row("only a gap of compaction behind it", always(1000), Status.OK, Reason.IDLE, end=always(9000), readable=False),
    Row(
        "reads without membership, and keeps up",
        lambda t: int(990 + RATE * t),
        Status.OK,
        Reason.READING,
        members=always(0),
        owned=always(False),
        has_members=False,
    ),
    Row(
        "reads without membership, an idle topic",
        always(1000),
        Status.OK,
        Reason.IDLE,
        end=always(1000),
        members=always(0),
        owned=always(False),
        has_members=False,
    ),
    Row(
        "a rebalance of 8 s is no trouble",
        lambda t: int(950 + RATE * t),
        Status.OK,
        Reason.READING,
        owned=lambda t: t < 292,
    ),
    # -- falls behind
    Row("reads at 80 % of what comes", lambda t: int(1000 + 0.8 * RATE * t), Status.WARN, Reason.FALLING_BEHIND),
    Row(
        "reads at 95 %, seen in five minutes",
        lambda t: int(900 + 0.95 * RATE * t),
        Status.WARN,
        Reason.FALLING_BEHIND,
        seconds=600,
    ),
    Row(
        "kept up for an hour, and reads half of what comes for a minute now",
        lambda t: int(995 + RATE * t - max(0, t - HOUR) * RATE / 2),
        Status.WARN,
        Reason.FALLING_BEHIND,
        seconds=HOUR + 60,
    ),
    Row(
        "was never caught up and stays so",
        lambda t: int(1000 + RATE * t),
        Status.WARN,
        Reason.FALLING_BEHIND,
        end=lambda t: int(100_000 + RATE * t),
    ),
    Row(
        "a growing sawtooth: each dip is higher. Burrow: OK, for lag fell once",
        teeth(growth=8),
        Status.WARN,
        Reason.FALLING_BEHIND,
        seconds=600,
    ),
    Row(
        "commits rarely, and leaves more each time",
        steps(40, growth=25),
        Status.WARN,
        Reason.FALLING_BEHIND,
        seconds=590,
    ),
    Row("a sawtooth that does not grow", steps(20), Status.OK, Reason.READING, seconds=608),
    Row(
        "a high sawtooth that comes down",
        steps(20, lag=80_000, growth=-100),
        Status.OK,
        Reason.CATCHING_UP,
        end=lambda t: int(1000 + RATE * t),
        seconds=600,
    ),
    Row(
        "no timestamps to be had: records must do",
        lambda t: int(1000 + 0.8 * RATE * t),
        Status.WARN,
        Reason.FALLING_BEHIND,
        timed=False,
    ),
    # -- is there and does not read
    Row("stalled: holds its partition, commits nothing", always(1000), Status.STALL, Reason.STALLED),
    Row(
        "stalled for hours on a topic gone quiet",
        always(1000),
        Status.STALL,
        Reason.STALLED,
        end=always(1500),
        seconds=4 * HOUR,
        every=10.0,
    ),
    Row("not yet stalled: 50 s", always(1000), Status.OK, Reason.STANDING, seconds=50),
    Row(
        "kept up for ten minutes, and stands for 30 s now: it is not slow",
        lambda t: int(995 + RATE * min(t, 600)),
        Status.OK,
        Reason.STANDING,
        seconds=630,
    ),
    Row("one poisonous record at the end", always(1000), Status.STALL, Reason.STALLED, end=always(1001)),
    Row(
        "committed each 5 min, now silent for 11",
        lambda t: steps(300)(min(t, 1200)),
        Status.STALL,
        Reason.STALLED,
        seconds=1200 + 660,
    ),
    # -- is not there
    Row(
        "died after it had read all; nothing comes. Burrow: OK, for lag is zero",
        always(1000),
        Status.STOP,
        Reason.NO_MEMBERS,
        end=always(1000),
        members=lambda t: t < 298,
        owned=lambda t: t < 298,
    ),
    Row(
        "died behind",
        always(1000),
        Status.STOP,
        Reason.NO_MEMBERS,
        members=lambda t: t < 298,
        owned=lambda t: t < 298,
    ),
    Row(
        "should have members and never had any",
        always(None),
        Status.STOP,
        Reason.NO_MEMBERS,
        members=always(0),
        owned=always(False),
        seconds=2,
    ),
    Row(
        "one partition has no owner for 12 s",
        lambda t: int(1000 + RATE * t),
        Status.STOP,
        Reason.UNASSIGNED,
        owned=lambda t: t < 288,
    ),
    Row(
        "a partition was added, and nobody has it",
        always(None),
        Status.STOP,
        Reason.UNASSIGNED,
        end=always(0),
        owned=always(False),
        seconds=12,
    ),
    Row(
        "read without membership, and stopped",
        always(1000),
        Status.STOP,
        Reason.NO_MEMBERS,
        members=always(0),
        owned=always(False),
        has_members=False,
    ),
    Row(
        "without membership, stopped 50 s ago: it may be slow",
        always(1000),
        Status.OK,
        Reason.STANDING,
        members=always(0),
        owned=always(False),
        has_members=False,
        seconds=50,
    ),
    # -- never committed
    Row("a member that never commits. Burrow: does not know it", always(None), Status.STOP, Reason.NEVER_COMMITTED),
    Row("it began 50 s ago", always(None), Status.WARN, Reason.STARTING, seconds=50),
    Row(
        "it began an hour ago, and the first record came now",
        always(None),
        Status.WARN,
        Reason.STARTING,
        end=lambda t: int(t >= HOUR),
        seconds=HOUR,
    ),
    # -- went back
    Row(
        "set back, and reads again from there",
        lambda t: int(1000 + RATE * t - (20_000 if t > 250 else 0)),
        Status.REWIND,
        Reason.REWOUND,
    ),
    Row(
        "set back and by now further than before",
        lambda t: int(RATE * t * 3 - (5_000 if t > 100 else 0)),
        Status.OK,
        Reason.CATCHING_UP,
        end=lambda t: int(100_000 + RATE * t),
    ),
    Row(
        "set back an hour ago: the window has forgotten",
        lambda t: int(50_000 + RATE * t - (40_000 if t > 100 else 0)),
        Status.WARN,
        Reason.FALLING_BEHIND,
        end=lambda t: int(51_000 + RATE * t),
        seconds=HOUR,
    ),
    # -- records are lost
    Row("what it would read next was deleted", always(1000), Status.ERR, Reason.LOST, start=always(2000)),
    Row(
        "stalled, and retention is nearly over: STALL says more",
        always(1000),
        Status.STALL,
        Reason.STALLED,
        retention=Retention(301_000),
    ),
    Row(
        "reads, but at 98 % of retention",
        lambda t: int(RATE * t),
        Status.ERR,
        Reason.LOSS_NEAR,
        end=lambda t: int(98 * RATE + RATE * t),
        retention=Retention(100_000),
    ),
    Row(
        "reads a quarter of an hour behind; all is kept for ever",
        lambda t: int(2 * RATE * t),
        Status.OK,
        Reason.CATCHING_UP,
        end=lambda t: int(900 * RATE + RATE * t),
        retention=Retention(),
    ),
    Row(
        "size decides: the start comes nearer each second",
        lambda t: int(50_000 + 0.9 * RATE * t),
        Status.ERR,
        Reason.LOSS_NEAR,
        end=lambda t: int(100_000 + RATE * t),
        start=lambda t: int(45_000 + RATE * t),
        retention=Retention(None, 1 << 20),
    ),
    # -- the topic was made anew
    Row("committed in the topic that was there before", always(None), Status.ERR, Reason.RECREATED, recreated=True),
    Row("made anew, and nothing is in it yet", always(None), Status.OK, Reason.IDLE, end=always(0), recreated=True),
]


def unread_ms(row, t):
    """When the first unread record went in, by the row's own rate; found by looking for it."""
    committed = max(row.committed(t) or 0, row.start(t))
    if not row.readable or row.end(t) <= committed:
        return None
    if not row.timed:
        return -1
    low, high = -30 * DAY, t  # the second at which the end passed the committed offset
    if row.end(low) > committed:
        return int(START_MS + low * 1000)
    while high - low > 0.001:
        middle = (low + high) / 2
        low, high = (low, middle) if row.end(middle) > committed else (middle, high)
    return int(START_MS + high * 1000)


LIMITS = Limits()


def said(row, limits=LIMITS, gaps_s=None):
    """The seconds of each look until the row's last, and what we say there. `gaps_s`: between looks, where they come unevenly."""
    history, t, before, found = History(), 0.0, None, []
    while t <= row.seconds:
        point = Point(int(START_MS + t * 1000), row.committed(t), row.start(t), row.end(t), unread_ms(row, t))
        history.add(point, owned=row.owned(t))
        at = Situation(
            point.time_ms, history, row.retention, row.members(t), row.has_members, row.recreated, before=before
        )
        found.append((t, judge(at, limits)))
        before = found[-1][1].reason
        t += next(gaps_s) if gaps_s is not None else row.every
    return found


def last_said(row, limits=LIMITS):
    """What we say at the row's last second."""
    return said(row, limits)[-1][1]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.why)
def test_status(row):
    assert last_said(row) == Judgement(row.status, row.reason)


@pytest.mark.parametrize("commits_s", [1.1, 4.0, 5.0, 30.0])
@pytest.mark.parametrize("every", [0.5, 1.3, 2.0])
@pytest.mark.parametrize("well_s", [10, 60, 600])
def test_one_that_stops_is_never_called_slow_on_the_way(commits_s, every, well_s):
    """Whatever its commits and our looks: from well to standing to stalled."""
    commits = steps(commits_s)
    stops = Row("", lambda t: commits(min(t, well_s)), Status.STALL, Reason.STALLED, seconds=well_s + 150, every=every)
    assert words(said(stops), well_s) == [Status.OK, Status.STALL]


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("commits_s", [1.1, 5.0])
@pytest.mark.parametrize("seed", range(10))
def test_one_that_turns_slow_is_called_so_once_and_for_all(share, commits_s, seed):
    """Whenever looks and commits meet: what is left behind is old at one look and, by the luck of the next, not quite."""
    looks = Random(seed)
    gaps_s = iter(lambda: looks.uniform(1.5, 3.0), None)
    phase_s, well_s = looks.random() * commits_s, 120

    def committed(t):
        step = (t + phase_s) // commits_s * commits_s - phase_s
        return int(1000 + RATE * step - max(0, step - well_s) * RATE * (1 - share))

    slow = Row("", committed, Status.WARN, Reason.FALLING_BEHIND, seconds=well_s + 400)
    assert words(said(slow, gaps_s=gaps_s), 20) == [Status.OK, Status.WARN]


def test_one_that_was_slow_is_no_longer_called_so_while_it_catches_up():
    """Slow for five minutes, then twice as fast as what comes."""
    helped = Row(
        "helped",
        lambda t: int(995 + RATE * t - min(150, max(0, t - 120) / 2, max(0, 570 - t)) * RATE),
        Status.OK,
        Reason.READING,
        seconds=600,
    )
    of = said(helped)
    assert words(of, 0) == [Status.OK, Status.WARN, Status.OK]
    assert next(t for t, one in of if t > 420 and one.status == Status.OK) < 540, "not only when all is read"


def words(of, from_s):
    """Each status since then, as they change."""
    return [status for status, _ in groupby(one.status for t, one in of if t >= from_s)]


def test_every_status_and_reason_that_a_partition_can_have_is_in_the_table():
    of_groups = {Status.NOTFOUND, Status.UNSUPPORTED}, {Reason.NOT_THERE, Reason.SHARE_GROUP}
    assert {row.status for row in ROWS} == set(Status) - of_groups[0]
    assert {row.reason for row in ROWS} == set(Reason) - of_groups[1]


def burrow(row, commits_kept=10, commit_s=5):
    """Burrow's published rules about the last ten commits."""
    last = row.seconds
    times = [t for t in (last - commit_s * n for n in reversed(range(commits_kept))) if t >= 0]
    points = [Point(0, row.committed(t), 0, row.end(t), None) for t in times if row.committed(t) is not None]
    if not points:
        return Status.NOTFOUND
    lags = [max(0, point.end - point.committed) for point in points]
    if 0 in lags:
        return Status.OK
    if any(now.committed < before.committed for before, now in pairwise(points)):
        return Status.REWIND
    if all(point.committed == points[0].committed for point in points):
        return Status.STALL
    return Status.WARN if lags == sorted(lags) else Status.OK


@pytest.mark.parametrize("row", [row for row in ROWS if "Burrow" in row.why], ids=lambda row: row.why)
def test_what_burrow_can_t_see(row):
    """The rows that say so are blind spots in truth."""
    assert burrow(row) in {Status.OK, Status.NOTFOUND}
    assert last_said(row).status not in {Status.OK, burrow(row)}


def test_a_group_is_as_its_worst_partition():
    judged = [last_said(row) for row in ROWS]
    assert worst(judged) == Judgement(Status.ERR, Reason.RECREATED)
    fine = [found for found in judged if found.status in {Status.OK, Status.WARN}]
    assert worst(fine).status == Status.WARN
    assert worst([found for found in judged if found.status == Status.OK]).status == Status.OK
    assert worst([]) == Judgement(Status.OK, Reason.IDLE)
    assert severity(worst(judged)) == min(map(severity, judged))


def test_limits_are_limits_and_can_be_set():
    """A look before, and at them; the first record comes with the second look."""
    stalled = next(row for row in ROWS if row.reason == Reason.STALLED)
    for seconds, status in ((60, Status.OK), (62, Status.STALL)):
        assert last_said(stalled._replace(seconds=seconds)).status == status
    assert last_said(stalled._replace(seconds=22), Limits(stall_ms=20_000)).status == Status.STALL


def test_memory_is_bounded_however_long_and_often_it_is_looked():
    history = History()
    for n in range(50_000):
        history.add(Point(n * 100, n, 0, n + 5, n * 100), owned=True)
        assert len(history.whole.slots) <= SLOTS_MAX
    covered = history.last.time_ms - history.whole.slots[0].point.time_ms
    assert 500_000 <= covered <= 600_000
    assert is_unread(history.last)


def test_every_reason_has_words_and_what_is_wrong_has_advice():
    assert set(ADVICE) == set(Reason)
    for row in ROWS:
        assert bool(ADVICE[row.reason].todo) == (row.reason not in FINE), row.reason


FINE = {Reason.IDLE, Reason.READING, Reason.CATCHING_UP, Reason.STANDING, Reason.STARTING}

"""What `make compare` stands on: the truth, the rules of others, what tools print, the page."""

import struct

import pytest

from bench.compare.console import GONE, parsed
from bench.compare.page import BEGIN, END, put
from bench.compare.reading import Reading, error, words, wrong
from bench.compare.rules import INTERVALS, BurrowRule, EndTable
from bench.compare.stored import Stored, decoded
from bench.compare.truth import Commit, Truth, is_within


@pytest.fixture
def truth():
    """Records at 0, 10 … 90 s; 3 was committed at 35 s, 8 some time from 80 to 82 s."""
    made = Truth()
    for n in range(10):
        made.appended(n, n * 10_000)
    made.committed(Commit(35_000, 35_000, 3))
    made.committed(Commit(80_000, 82_000, 8))
    return made


@pytest.mark.parametrize(
    ("why", "from_ms", "to_ms", "ages_s"),
    [
        ("nothing is committed", 34_000, 34_500, {34}),
        ("the commit falls into the look", 34_000, 36_000, {34, 4}),
        ("the fourth record is unread", 70_000, 71_000, {40}),
        ("it may have been taken by now", 81_000, 81_000, {51, 1}),
        ("read to the end but for one that came later", 82_500, 82_600, {2.5}),
    ],
)
def test_the_truth_is_all_that_may_have_been_so(truth, why, from_ms, to_ms, ages_s):
    assert set(truth.ages_s(from_ms, to_ms)) == ages_s


def test_a_record_of_after_the_look_is_no_lag(truth):
    truth.committed(Commit(91_000, 91_000, 10))
    truth.appended(10, 95_000)
    assert truth.ages_s(92_000, 92_100) == [0, 0]
    assert (truth.records(92_000), truth.records(96_000)) == (0, 1)
    assert truth.error_s(1.5, 92_000, 92_100) == (1.5, 0)


def test_the_promise_is_a_second_or_2_percent():
    assert [is_within(*one) for one in ((1, 0), (1.1, 0), (1.1, 60), (200, 10_000), (201, 10_000))] == [
        True,
        False,
        True,
        True,
        False,
    ]


def test_the_error_is_the_worst_of_all_looks_since_and_names_how_many_missed(truth):
    readings = [Reading(at, at, "OK", 0, s) for at, s in ((10_000, 99), (50_000, 20.5), (60_000, 35), (70_000, None))]
    off = error(readings, truth, 40_000)
    assert (off.seconds, off.age_s, off.looks, off.missed) == (5, 30, 2, 1)
    assert error(readings, truth, 65_000) is None


SAID = [("OK", 1.0), ("WARN", 5.0), ("STOP", 9.0)]


@pytest.mark.parametrize(
    ("right", "said", "expected"),
    [
        (("OK",), SAID[:1], [False]),
        (("OK",), SAID[:2], [False, True]),
        (("OK", "WARN"), SAID[:2], [False, False]),
        (("OK", "WARN"), SAID[:1], [True]),
        (("OK", "WARN"), [*SAID[:2], ("OK", 8.0)], [False, False, True]),
        (("OK", "STOP"), SAID, [False, True, False]),
        (("WARN", "STOP"), SAID[1:], [False, False]),
    ],
)
def test_a_word_is_wrong_when_it_is_not_of_the_case_or_not_in_its_turn(right, said, expected):
    assert wrong(said, right) == expected


def test_words_are_told_when_they_change():
    readings = [
        Reading(at, at + 100, word, None) for at, word in ((0, "WARN"), (900, "OK"), (2000, "OK"), (4000, "STALL"))
    ]
    assert words(readings, 1000, 1000) == [("OK", 1.1), ("STALL", 3.1)]


def status(offsets, end, after_ms=0, lag=None):
    """Of Burrow's rule, to commits each second; the last `after_ms` ago. `lag` at each commit: what is missing to the end, or this."""
    rule = BurrowRule()
    for n, offset in enumerate(offsets):
        rule.take(offset, n * 1000, offset + lag if lag is not None else end)
    return rule.status((len(offsets) - 1) * 1000 + after_ms, end)


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("no commit", (status([], 5), "")),
        ("read to the end, long ago", (status([5, 5], 5, after_ms=10**6), "OK")),
        ("lag was zero once", (status([0, 5, 5], 9, lag=0), "OK")),
        ("stands", (status([5] * 10, 9), "STALL")),
        ("lag grows or stays at each step", (status(range(10), 99, lag=7), "WARN")),
        ("lag fell once", (status(range(10), 99), "OK")),
        ("went back", (status([5, 6, 2, 3], 9), "REWIND")),
        ("and is where it was again", (status([5, 6, 2, 7], 9), "OK")),
        ("silent for longer than the window", (status(range(10), 99, after_ms=9001, lag=7), "STOP")),
        ("and not yet", (status(range(10), 99, after_ms=9000, lag=7), "WARN")),
        ("forgot that it went back", (status([90, *range(INTERVALS)], 99, lag=7), "WARN")),
    ],
)
def test_burrow_s_rule(why, said):
    assert said[0] == said[1]


def test_commits_within_a_second_count_as_one_of_the_first_s_time():
    rule = BurrowRule()
    for time_ms, offset in ((0, 1), (500, 2), (1200, 3)):
        rule.take(offset, time_ms, 9)
    assert rule.status(1200 + 1200, 9) == "OK"
    assert rule.status(1200 + 1201, 9) == "STOP"


def test_seconds_between_ends_that_were_seen():
    table = EndTable()
    assert table.lag_s(3, 0) is None
    for end, time_ms in ((100, 0), (200, 10_000), (200, 20_000), (200, 30_000), (400, 40_000)):
        table.take(end, time_ms)
    assert table.lag_s(150, 40_000) == 35
    assert table.lag_s(300, 40_000) == 5
    assert table.lag_s(400, 50_000) == 0
    assert table.lag_s(40, 40_000) == pytest.approx(48), (
        "before all that was seen: the line through the first and the last"
    )


def test_commits_are_read_as_brokers_of_any_age_store_them():
    key = struct.pack(">hh1sh1si", 1, 1, b"g", 1, b"t", 7)
    assert decoded(struct.pack(">hh1s", 2, 1, b"g"), b"") is None, "of the group, not of an offset"
    assert decoded(key, None) == Stored("g", "t", 7, None, 0)
    old = struct.pack(">hqh2sqq", 1, 42, 2, b"me", 123, 456)
    flexible = struct.pack(">hqi", 4, 42, -1) + b"\x03me" + struct.pack(">q", 123) + b"\x00"
    assert decoded(key, old) == decoded(key, flexible) == Stored("g", "t", 7, 42, 123)


CONSOLE = """
GROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID     HOST            CLIENT-ID
a               t               0          4               9               5               rdkafka-1       /127.0.0.1      rdkafka

Consumer group 'b' has no active members.

GROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID     HOST            CLIENT-ID
b               t               0          9               9               0               -               -               -
c               t               0          -               9               -               rdkafka-2       /127.0.0.1      rdkafka
"""


def test_what_kafka_s_tool_prints():
    assert parsed(CONSOLE, 1, 2) == {
        "a": Reading(1, 2, "", 5),
        "b": Reading(1, 2, GONE, 0),
        "c": Reading(1, 2, "", None),
    }


def test_the_page_is_written_between_the_marks_only(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):
        put(page, "new")
        assert page.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"

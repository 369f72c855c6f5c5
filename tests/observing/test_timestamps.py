"""Bisection of times by ListOffsets, over logs in memory; both kinds of lookup on a real broker: tests/monitor/test_groups.py."""

import pytest

from stream_app.observing.answers import OffsetAndTime
from stream_app.observing.timestamps import BisectingLookup, LookupRequest

NOW_MS = 1_795_500_000_000
SECOND, HOUR, DAY = 1000, 3_600_000, 86_400_000
TP = ("t", 0)


class Logs:
    """Partitions as lists of timestamps: offset n was appended at the n-th. Counts the requests, and leaves out `silent` partitions."""

    def __init__(self, logs, silent=()):
        self._logs, self._silent, self.asked = logs, silent, 0

    async def at(self, times_ms, *, stable=True):
        self.asked += bool(times_ms)
        found = {}
        for tp, time_ms in times_ms.items():
            if tp not in self._silent:
                hit = next(((n, at) for n, at in enumerate(self._logs[tp]) if at >= time_ms), None)
                found[tp] = None if hit is None else OffsetAndTime(*hit)
        return found


EVEN = [NOW_MS - HOUR + n * 10 * SECOND for n in range(360)]  # one each ten seconds of the last hour


@pytest.mark.parametrize(
    ("log", "request_", "true_ms", "why"),
    [
        (EVEN, LookupRequest(359), EVEN[359], "the youngest"),
        (EVEN, LookupRequest(180), EVEN[180], "half an hour old"),
        (EVEN, LookupRequest(0), EVEN[0], "the oldest that there is"),
        (EVEN, LookupRequest(180, after_ms=EVEN[170]), EVEN[180], "with an earlier record's time to begin from"),
        (
            [NOW_MS - 5 * DAY] * 3 + [NOW_MS - 2 * SECOND],
            LookupRequest(0),
            NOW_MS - 5 * DAY,
            "days old, then nothing for days",
        ),
        (
            [NOW_MS - HOUR] * 50 + [NOW_MS - 60 * SECOND] * 50,
            LookupRequest(70),
            NOW_MS - 60 * SECOND,
            "the middle of a batch",
        ),
        (
            [NOW_MS - HOUR] * 50 + [NOW_MS - 60 * SECOND] * 50,
            LookupRequest(20),
            NOW_MS - HOUR,
            "the middle of the first batch",
        ),
        (
            [NOW_MS - HOUR, NOW_MS - 10 * SECOND],
            LookupRequest(1, is_compacted=True),
            NOW_MS - 10 * SECOND,
            "a compacted topic",
        ),
        ([NOW_MS + HOUR], LookupRequest(0), NOW_MS + HOUR, "a timestamp of the future is told as it is"),
    ],
)
async def test_the_time_of_a_record_is_found_to_half_a_percent_of_its_age(log, request_, true_ms, why):
    logs = Logs({TP: log})
    found = await BisectingLookup(logs).timestamps({TP: request_}, NOW_MS)
    assert abs(found[TP] - true_ms) <= max(200, 0.005 * (NOW_MS - true_ms)), why
    assert logs.asked <= 40, why


async def test_many_partitions_share_the_rounds():
    """A round is one request for all partitions that are not done yet."""
    logs = Logs({("t", n): EVEN for n in range(100)})
    wanted = {("t", n): LookupRequest(n) for n in range(100)}
    found = await BisectingLookup(logs).timestamps(wanted, NOW_MS)
    assert found.keys() == wanted.keys()
    assert logs.asked <= 40


async def test_a_partition_without_an_answer_is_left_out():
    """Its topic may have gone meanwhile; the others are not held up."""
    logs = Logs({("t", 0): EVEN, ("t", 1): EVEN}, silent={("t", 1)})
    found = await BisectingLookup(logs).timestamps({("t", 0): LookupRequest(7), ("t", 1): LookupRequest(7)}, NOW_MS)
    assert found.keys() == {("t", 0)}

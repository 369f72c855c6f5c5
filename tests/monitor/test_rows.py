"""Rows of groups and results, without a cluster: sums, and who is to blame."""

import msgspec
import pytest

from stream_app.health.freshness import SINKS, Stage, Upstream
from stream_app.health.status import Reason, Status
from stream_app.monitor.document import GroupRow, PartitionRow
from stream_app.monitor.results import Results, upstream
from stream_app.monitor.rows import group_row, missing_row, share_row

NOW_MS = 1_795_500_000_000
WELL = PartitionRow(
    topic="t",
    partition=0,
    status=Status.OK,
    reason=Reason.IDLE,
    lag_records=0,
    lag_seconds=0.0,
    committed=5,
    start=0,
    end=5,
    open_records=0,
    owned=True,
    incoming=0.0,
    outgoing=0.0,
    catch_up_seconds=0.0,
    retention_used=0.0,
    loss_seconds=None,
)


def partition(number=0, **fields):
    return msgspec.structs.replace(WELL, partition=number, **fields)


def group(*partitions, before=None):
    return group_row("g", is_new=False, members=1, rebalances=0, partitions=partitions, before=before, now_ms=NOW_MS)


@pytest.mark.parametrize(
    ("partitions", "expected", "why"),
    [
        ((), {"status": "OK", "lag_records": 0, "lag_seconds": 0.0, "catch_up_seconds": 0.0}, "it reads nothing"),
        (
            (partition(0, lag_records=3, lag_seconds=2.0), partition(1, lag_records=4, lag_seconds=9.0)),
            {"lag_records": 7, "lag_seconds": 9.0},
            "records add up, of seconds the worst counts",
        ),
        (
            (partition(0, lag_seconds=None), partition(1, lag_seconds=2.0)),
            {"lag_seconds": 2.0},
            "an age that is not known hides no other",
        ),
        (
            (partition(0, catch_up_seconds=None), partition(1, catch_up_seconds=2.0)),
            {"catch_up_seconds": None},
            "one partition that never catches up is enough",
        ),
        (
            (partition(0, loss_seconds=90.0), partition(1, loss_seconds=30.0), partition(2)),
            {"loss_seconds": 30.0},
            "the first loss counts",
        ),
        (
            (partition(0, owned=False), partition(1, owned=None), partition(2)),
            {"unassigned": 1},
            "what can't be told is not counted",
        ),
        (
            (partition(0), partition(1, status=Status.STALL, reason=Reason.STALLED)),
            {"status": "ERR", "reason": "stalled"},
            "a partition that is not read makes the group ERR, for the reason of that one",
        ),
    ],
)
def test_a_group_is_the_sum_of_its_partitions(partitions, expected, why):
    row = group(*partitions)
    assert {name: getattr(row, name) for name in expected} == expected, why


def test_since_when_a_status_holds():
    """As long as it is the same; another one begins now."""
    before = msgspec.structs.replace(group(), since_ms=1)
    assert group(before=before).since_ms == 1
    stalled = partition(status=Status.STALL, reason=Reason.STALLED)
    assert group(stalled, before=before).since_ms == NOW_MS
    missing = missing_row("g", NOW_MS, before)
    assert (missing.status, missing.since_ms, missing.lag_records) == (Status.NOTFOUND, NOW_MS, None)
    assert missing_row("g", NOW_MS + 1, missing).since_ms == NOW_MS


def test_the_lag_of_a_share_group_is_not_known():
    """Which is not 0."""
    row = share_row("g", "share")
    assert (row.status, row.lag_records, row.lag_seconds) == (Status.UNSUPPORTED, None, None)


@pytest.mark.parametrize(
    ("row", "number", "expected"),
    [
        (None, None, Upstream(Status.NOTFOUND, None)),
        (missing_row("g", NOW_MS, None), None, Upstream(Status.NOTFOUND, None)),
        (group(partition(0, lag_seconds=1.0), partition(1, lag_seconds=4.0)), None, Upstream(Status.OK, 4.0)),
        (group(partition(0, lag_seconds=1.0), partition(1, lag_seconds=4.0)), 0, Upstream(Status.OK, 1.0)),
        (group(partition(0), partition(1, lag_seconds=None)), None, Upstream(Status.OK, None)),
        (group(partition(0, status=Status.WARN, reason=Reason.FALLING_BEHIND)), 0, Upstream(Status.WARN, 0.0)),
        (group(partition(0)), 7, Upstream(Status.OK, None)),
    ],
)
def test_a_stage_before_the_sinks_as_a_whole_and_at_a_partition(row: GroupRow | None, number, expected):
    assert upstream(row, number) == expected


async def test_a_sink_that_fails_keeps_what_it_said_last():
    """Its results get older by themselves, and it says why it fails; the others go on."""
    answers = {sink: {0: NOW_MS} for sink in SINKS}

    def reader(sink):
        async def read():
            if isinstance(answers[sink], Exception):
                raise answers[sink]
            return answers[sink]

        return read

    results = Results(1, {sink: reader(sink) for sink in SINKS})
    well = group(partition(0))
    await results.look()
    (row,) = results.rows(NOW_MS + 1000, well, well, {0: 3})
    assert (row.oldest_seconds, row.stage, row.operators) == (1.0, None, 3)

    answers |= {Stage.REDIS: ConnectionError("refused"), Stage.TOPICS: {0: NOW_MS + 60_000}}
    answers[Stage.CLICKHOUSE] = {0: NOW_MS + 60_000}
    await results.look()
    (row,) = results.rows(NOW_MS + 60_000, well, well, {})
    assert row.age_seconds == {Stage.TOPICS: 0.0, Stage.REDIS: 60.0, Stage.CLICKHOUSE: 0.0}
    assert row.stage == Stage.REDIS
    assert results.sinks[Stage.REDIS].failure == "ConnectionError: refused"
    assert results.sinks[Stage.TOPICS].failure is None

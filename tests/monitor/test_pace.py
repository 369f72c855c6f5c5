"""How fast a rebuild goes, from look to look."""

import msgspec

from stream_app.monitor.document import RebuildRow
from stream_app.monitor.generations import Pace

ROW = RebuildRow(generation=2, group="ledger-2", events_partitions=8, members=1, lag_records=0, records=0)


def looks(*points, group="ledger-2", members=1, pace=None):
    """Rate and time left after looks: (seconds, records left, records in all)."""
    pace = pace or Pace()
    for seconds, left, records in points:
        row = msgspec.structs.replace(ROW, lag_records=left, records=records, group=group, members=members)
        row = pace.of(row, seconds * 1000)
    return row.rate, row.catch_up_seconds


def test_a_first_look_knows_no_pace():
    assert looks((5, 900, 1000)) == (None, None)
    assert looks((5, 900, 1000), (5, 900, 1000)) == (None, None)


def test_the_rate_counts_what_is_read_and_the_time_left_what_comes_meanwhile():
    assert looks((0, 900, 1000), (10, 400, 1000)) == (50, 8)
    assert looks((0, 900, 1000), (10, 650, 1250)) == (50, 26)
    assert looks((0, 900, 1000), (10, 1000, 1200)) == (10, None)
    assert looks((0, 900, 1000), (10, 900, 1000)) == (0, None)
    assert looks((0, 900, 1000), (10, 0, 1000)) == (90, 0)


def test_the_last_minute_counts():
    points = [
        (second, 100_000 - (second * 100 if second < 600 else 60_000 + (second - 600) * 10), 100_000)
        for second in range(0, 720, 2)
    ]
    assert looks(*points) == (10, (100_000 - 60_000 - 1180) / 10)


def test_another_rebuild_and_one_that_nobody_runs_begin_anew():
    pace = Pace()
    looks((0, 900, 1000), (10, 400, 1000), pace=pace)
    assert looks((20, 300, 1000), group="ledger-3", pace=pace) == (None, None)
    assert looks((30, 200, 1000), group="ledger-3", members=0, pace=pace) == (None, None)
    assert looks((40, 100, 1000), group="ledger-3", pace=pace) == (None, None)

"""A short storm, as `make storm` lets one go over a site for ten minutes: everything is right while it blows, and after it."""

import pytest

from tests.storm.faults import FAULTS
from tests.storm.storm import Plan, storm, summaries

# One of a kind: each minute of a test costs. The long run has them all.
KINDS = (
    "worker killed",
    "broker restarted",
    "connections to a broker broken",
    "Redis killed and emptied",
    "connections to ClickHouse swallow",
)


@pytest.mark.timeout(1200)  # it waits by conditions, up to RECOVERY_S_MAX after each fault
def test_a_short_storm_leaves_everything_right(tmp_path):
    """Every value of all outputs, every version that was read; and results are fresh again after each fault."""
    assert set(KINDS) < {fault.kind for fault in FAULTS}
    found = storm(Plan(4, 12, 30, KINDS), tmp_path, print)
    assert found.all_wrong == []
    assert found.sent > 200
    assert found.compared > 10_000
    assert found.versions_compared > 30
    assert min(found.reads.values()) > 0
    assert all(recovery.seconds is not None for recovery in found.recoveries)
    assert summaries(found.recoveries)

"""The data that we and the peers are measured with, what must come out of them, and ours without servers on the smallest."""

import json
import subprocess
import sys

import pytest

from bench.traffic import NARROW, SMALL, WIDE, Truth, Visit, contract, for_peers, visits
from config.settings import ROOT

UNTIL_MS = 1_793_664_000_000  # 2026-11-03T00:00:00Z


@pytest.mark.parametrize(("data", "width"), [(NARROW, (20, 200_000, 120)), (WIDE, (5_000, 500_000, 30_000))])
def test_the_data_sets_are_as_wide_as_they_say(data, width):
    assert (data.operators, data.customers, data.groups) == width
    names = {(data.operator(customer), data.group(customer)) for customer in range(data.customers)}
    assert len(names) + data.operators == data.groups


def test_ours_and_the_peers_read_the_same_visits():
    assert [*visits(SMALL, 100, UNTIL_MS)] == [*visits(SMALL, 100, UNTIL_MS)]
    for visit in visits(SMALL, 100, UNTIL_MS):
        pairs = zip(contract(SMALL, visit), for_peers(SMALL, visit), strict=True)
        session, payment = [(json.loads(own.value), json.loads(other.value)) for own, other in pairs]
        for own, other in (session, payment):
            assert all(own[name] == other[name] for name in ("session_id", "operator_id", "customer_id", "version"))
        assert session[0]["started_at"] == session[1]["started_at"] == visit.started_ms
        names = [("amount_received", "amount_received"), ("amount_discount", "discount_amount"), ("paid_at", "paid_at")]
        assert [payment[0][ours] for ours, _ in names] == [payment[1][theirs] for _, theirs in names]


def test_what_must_come_out_is_counted_by_hand():
    truth = Truth(SMALL)
    half_past_eleven_ms = UNTIL_MS - 1_800_000
    for number, (customer, started_ms) in enumerate([(1, half_past_eleven_ms), (1, UNTIL_MS), (4, UNTIL_MS)]):
        truth.count(Visit(number, customer, started_ms, 1_000, 500, 50))
    november = ("M0001", "ALL", "2026-11")
    assert truth.payments == {
        november: (1500, 150, 3, 2),
        ("M0001", "G0", "2026-11"): (1000, 100, 2, 1),
        ("M0001", "G1", "2026-11"): (500, 50, 1, 1),
    }
    assert (truth.sessions[november], truth.energy_wh[november]) == ((3, 2), 3000)
    assert {key[2:]: count for key, count in truth.slots.items() if key[1] == "ALL"} == {
        ("2026-11-02", 47): 1,
        ("2026-11-03", 0): 2,
    }


def test_ours_without_servers_is_right_and_says_what_each_stage_took():
    command = [sys.executable, "-m", "bench.inside", "small", "--events", "4000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    head, *stages = done.stdout.splitlines()
    assert "each as it must be" in head
    assert [line.split()[0] for line in stages] == ["ingest", "apply", "freeze", "store", "documents", "columns"]

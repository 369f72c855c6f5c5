"""Costs are measured by the service's own code, and what is counted wrongly is no cost. The smallest data, in one process without servers."""

import msgspec
import pytest

from bench.costs import alone, curves, file, state
from bench.costs.alone import Case
from bench.costs.curves import Varied
from bench.traffic import DataSet, Truth, visits
from stream_app.local.errors import LocalError
from stream_app.sizing import costs

SMALL = Case(operators=3, customers=60, events=400)


def test_a_customer_may_be_in_many_groups_and_an_operator_may_have_most_of_the_traffic():
    data = DataSet("many", 10, 1_000, memberships=20)
    assert data.groups == 10 * 21
    assert {len(set(data.group_ids(customer))) for customer in range(1_000)} == {20}
    assert all(data.group_ids(customer)[0] == data.group(customer) for customer in range(1_000))
    skewed = DataSet("skewed", 10, 1_000, is_skewed=True)
    assert sum(skewed.operator(customer) == "M0000" for customer in range(1_000)) == 910
    truth = Truth(data)
    list(truth.counted(visits(data, 100, 1_793_664_000_000)))
    assert sum(number for key, (number, _) in truth.sessions.items() if key[1] != "ALL") == 20 * 50


def test_rows_and_their_bytes_are_those_of_the_stores():
    found = alone.run(SMALL)
    assert found.events == 400
    assert {kind: found.rows[kind].count for kind in ("session", "payment", "customer", "operator", "group")} == {
        "session": 200, "payment": 200, "customer": 60, "operator": 3, "group": 18,
    }  # fmt: skip
    assert found.rows["session"].size > 200 * 20
    assert min(found.cpu_s, found.directory_cpu_s, found.disk_bytes, found.rss_bytes, found.changelog_ratio) > 0


def test_what_is_counted_wrongly_is_no_cost():
    with pytest.raises(LocalError, match="sessions and payments counted are"):
        alone.run(SMALL._replace(days=2_000))  # most of it is too late


def test_measured_parts_are_those_that_the_plan_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(file, "PATH", tmp_path / "costs.json")
    monkeypatch.setattr(file, "_write_page", lambda: None)
    measured = state.measure((60,), (1, 4), 20)
    assert measured.customer.ys[1] > measured.customer.ys[0]
    assert [one.customers for one in measured.growth] == [60]
    kept = costs.load()
    file.put(state=measured, served=kept.served, paced=kept.paced, million=kept.million)
    curve = curves.measure(
        "partitions", Varied("partitions", {1: SMALL._replace(partitions=1), 2: SMALL._replace(partitions=2)})
    )
    file.put_curve(curve)
    found = costs.read((tmp_path / "costs.json").read_bytes())
    assert found == msgspec.structs.replace(kept, state=measured, curves={"partitions": curve})
    assert [row.group for row in (*state.shown(measured), *curves.shown(curve))].count("curves") == 2
    assert found.state.measured.commit

"""Plans from the costs that were measured: more is never less, each line has a unit and a reason, and what was measured is planned again."""

import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.sizing.costs import Points
from stream_app.sizing.demand import BOUNDS, MONTH_S, with_visits
from stream_app.sizing.lines import UNITS
from stream_app.sizing.plan import document, plan
from stream_app.sizing.state import state_size
from stream_app.sizing.text import amount, shown
from stream_app.sizing.workers import PARTITIONS_MIN, WORKERS_MIN, fleet
from tests.sizing.networks import BASE, COSTS

# What falls where there are more workers: these share it.
SHARED = {"worker_memory", "worker_disk", "restart", "restart_empty", "backlog"}
GROWING = {  # what of a demand may grow, and the lines that may fall then
    "operators": SHARED | {"largest", "visits"},
    "customers": {"visits"},
    "events_per_second": SHARED,
    "groups": SHARED,
    "memberships": SHARED,
    "headroom": SHARED,
    "source_days": set(),
    "years": set(),
    "requests_per_second": set(),
    "subscribers": set(),
    "replication_factor": set(),
    "retention_months": set(),
    "distribution_days": set(),
}


@st.composite
def demands(draw):
    """Networks of every size that can be planned."""
    operators = round(10 ** draw(st.floats(0, 5)))
    groups = draw(st.integers(0, 200))
    return msgspec.structs.replace(
        BASE,
        operators=operators,
        customers=round(10 ** draw(st.floats(0, 9))),
        events_per_second=10 ** draw(st.floats(-2, 4)),
        peak=draw(st.floats(1, 50)),
        groups=groups,
        memberships=draw(st.integers(0, min(groups, 60))),
        largest=1 / operators + draw(st.floats(0, 1)) * (1 - 1 / operators),
        headroom=draw(st.floats(1, 5)),
        source_days=draw(st.floats(0.1, 100)),
        years=draw(st.floats(0.1, 20)),
        requests_per_second=draw(st.floats(0, 1e5)),
        subscribers=draw(st.integers(0, 20)),
        replication_factor=draw(st.integers(1, 5)),
        retention_months=draw(st.integers(1, 60)),
        distribution_days=draw(st.integers(1, 400)),
    )


def lines(demand):
    """Key -> line."""
    return {line.key: line for section in plan(demand, COSTS).sections for line in section.lines}


@pytest.mark.parametrize("field", GROWING)
@given(data=st.data())
def test_more_never_needs_less(field, data):
    demand = data.draw(demands())
    value = getattr(demand, field)
    more = value * data.draw(st.floats(1, 20)) + (0 if isinstance(value, float) else data.draw(st.integers(0, 3)))
    if isinstance(value, int):
        more = math.ceil(more)
    if field == "memberships":
        more = min(more, demand.groups)
    highest = {name: high for name, _, high in BOUNDS.values()}
    more = min(more, highest.get(field, more))
    larger = msgspec.structs.replace(demand, **{field: more})
    before, after = lines(demand), lines(larger)
    for key in before.keys() - GROWING[field]:
        assert after[key].value >= before[key].value * (1 - 1e-9), key


@given(demand=demands(), visits=st.floats(0.1, 20), times=st.floats(1, 10))
def test_more_customers_who_come_as_often_never_need_less(demand, visits, times):
    customers = round(demand.customers * times)
    mean = 2 * customers * visits / MONTH_S
    demand = msgspec.structs.replace(demand, events_per_second=max(mean * 1.01, 0.001))
    before = lines(with_visits(demand, visits))
    after = lines(with_visits(msgspec.structs.replace(demand, customers=customers), visits))
    assert after["visits"].value == pytest.approx(visits)
    for key in before.keys() - {"visits"}:
        assert after[key].value >= before[key].value * (1 - 1e-9), key


@given(demand=demands())
def test_each_line_has_a_unit_and_says_where_it_comes_from(demand):
    made = plan(demand, COSTS)
    found = [line for section in made.sections for line in section.lines]
    assert len({line.key for line in found}) == len(found)
    for line in found:
        assert line.unit in UNITS
        assert line.why
        assert math.isfinite(line.value)
        assert line.value >= 0
        assert line.best is None or 0 <= line.best <= line.value * (1 + 1e-9), line
    assert [limit.times for limit in made.limits] == sorted(limit.times for limit in made.limits)
    assert all(limit.times > 0 for limit in made.limits)
    json.dumps(document(made), allow_nan=False)
    assert len(list(shown(made))) > len(found) + len(made.limits) + len(made.unknown)


@given(demand=demands())
def test_partitions_bear_the_workers_and_workers_the_load(demand):
    found = fleet(demand, COSTS)
    assert found.workers >= max(WORKERS_MIN, found.cores)
    assert found.partitions >= max(PARTITIONS_MIN, 2 * found.workers)
    assert 1 / found.partitions <= found.busiest <= found.share <= 1
    assert fleet(msgspec.structs.replace(demand, partitions=found.partitions), COSTS) == found


def test_the_rows_of_a_network_are_counted_by_hand():
    demand = with_visits(msgspec.structs.replace(BASE, operators=10, customers=1_000, memberships=2, largest=0.1), 4)
    size = state_size(demand, COSTS)
    assert size.entities == pytest.approx(2 * 4 * 1_000 * 13)
    assert size.month_cells == 10 * 6 * 13
    assert size.half_hour_cells == 10 * 6 * 92  # fewer than the sessions of 92 days in three groups each
    rows = 2 * 4 * 13 * 1_000 + 1_000 + 780 + 5_520 + 10 + 60
    assert size.rows == pytest.approx(rows)
    state = COSTS.state
    customer = state.customer.at(4 * 13)
    wanted = 52_000 * (state.session + state.payment) + 1_000 * customer + 780 * state.month_cell
    wanted += 5_520 * state.half_hour_cell + 10 * state.operator + 60 * state.group
    assert size.size == pytest.approx(wanted)


@pytest.mark.parametrize("grown", COSTS.state.growth, ids=lambda grown: f"{grown.customers} customers")
def test_the_state_that_is_planned_is_the_one_that_was_measured(grown):
    visits = grown.events / 2 / grown.customers / BASE.retention_months
    demand = msgspec.structs.replace(BASE, operators=20, customers=grown.customers, largest=0.05)
    size = state_size(with_visits(demand, visits), COSTS)
    assert size.size == pytest.approx(grown.size, rel=0.15)
    assert size.disk >= grown.disk * 0.85


@pytest.mark.parametrize("paced", COSTS.paced.paces, ids=lambda paced: f"{paced.data} {paced.events_per_second:.0f}")
def test_the_cores_that_are_planned_are_those_that_were_measured_or_more(paced):
    demand = msgspec.structs.replace(
        BASE, operators=paced.groups // 6, largest=1.0, events_per_second=paced.events_per_second, partitions=COSTS.paced.partitions
    )  # fmt: skip
    assert paced.worker * 0.95 <= fleet(demand, COSTS).cores <= 2.5 * paced.worker


def test_an_operator_is_one_partitions_and_the_busiest_worker_has_it():
    alike = lines(msgspec.structs.replace(BASE, operators=500, largest=1 / 500))
    skewed = lines(msgspec.structs.replace(BASE, operators=500, largest=0.9))
    assert skewed["worker_disk"].value > 0.9 * skewed["state_disk"].value
    assert alike["worker_disk"].value == pytest.approx(alike["state_disk"].value / 2)
    limits = plan(msgspec.structs.replace(BASE, largest=0.9), COSTS).limits
    assert any("never split" in limit.what for limit in limits)


def test_between_measured_points_lie_straight_lines_and_beyond_them_nothing_is_gained():
    points = Points([1.0, 3.0, 5.0], [10.0, 30.0, 40.0])
    assert [points.at(x) for x in (0, 1, 2, 3, 4, 5, 9)] == [10, 10, 20, 30, 35, 40, 40]
    assert [points.beyond(x) for x in (0, 2, 7)] == [0, 20, 50]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1536, "bytes", "1.5 KiB"),
        (1 << 40, "bytes/s", "1 TiB/s"),
        (0.0123, "cores", "0.0123 cores"),
        (90, "s", "90 s"),
        (7_200, "s", "2 h"),
        (1_234_567, "rows", "1,234,567 rows"),
        (12, "/s", "12/s"),
        (8, "", "8"),
    ],
)
def test_amounts_have_units_that_people_read(value, unit, text):
    assert amount(value, unit) == text


def test_the_costs_say_where_they_were_measured_and_rise_where_they_must():
    parts = [
        COSTS.state.measured,
        COSTS.served.measured,
        COSTS.paced.measured,
        COSTS.million.measured,
        *(curve.measured for curve in COSTS.curves.values()),
    ]
    for part in parts:
        assert all((part.date, part.commit, part.machine, part.data))
    assert "memberships" in COSTS.curves
    assert COSTS.state.customer.ys == sorted(COSTS.state.customer.ys)
    assert {one.data for one in COSTS.served.caught_up} == {one.data for one in COSTS.paced.paces} == {"narrow", "wide"}

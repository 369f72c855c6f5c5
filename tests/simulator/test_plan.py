"""A history is one thing of its seed, is what the contract allows, and has what real sources have."""

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from stream_app.simulator.network import build
from stream_app.simulator.plan import History
from stream_app.sources import decode, registry

NOW_MS = int(datetime(2026, 11, 24, 13, 37, tzinfo=UTC).timestamp() * 1000)
HOUR_MS = 3_600_000
CUSTOMERS = 60


def history(seed=1, months=13, now_ms=NOW_MS, operators=6, customers=CUSTOMERS):
    return [record for day in History(build(seed, operators, customers), months, now_ms) for record in day]


@pytest.fixture(scope="module")
def year():
    return history()


@pytest.fixture(scope="module")
def values(year):
    """Topic -> JSON objects."""
    found = defaultdict(list)
    for record in year:
        found[record.topic].append(json.loads(record.value))
    return found


def instant(time):
    return time / 1000 if isinstance(time, int) else datetime.fromisoformat(time).timestamp()


def latest(objects, name):
    """(operator, id) -> the object of the highest version."""
    best = {}
    for one in objects:
        key = one["operator_id"], one[name]
        if key not in best or one["version"] > best[key]["version"]:
            best[key] = one
    return best


def test_the_same_seed_says_the_same_and_another_does_not(year):
    assert history() == year
    assert history(seed=2) != year


def test_more_operators_leave_the_first_ones_as_they_are(year):
    def of_m1(records):
        return [r for r in records if r.topic is registry.PAYMENTS and b'"operator_id":"M1"' in r.value]

    few = of_m1(history(operators=1))
    assert few
    assert few == of_m1(year)


def test_later_in_the_month_the_same_entities_and_versions_say_the_same(year):
    """So a history that is sent again changes nothing that was final."""
    later = {
        record for record in history(now_ms=NOW_MS + 30 * HOUR_MS) if record.topic in (registry.PAYMENTS, registry.CDRS)
    }
    assert {record for record in year if record.topic in (registry.PAYMENTS, registry.CDRS)} - later == set()


def test_every_record_can_be_used(year):
    by_topic = defaultdict(list)
    for record in year:
        by_topic[record.topic].append(record.value)
    assert set(by_topic) == set(registry.TEAMS)
    for topic, some in by_topic.items():
        stamps = list(range(len(some)))
        decoded = decode(topic, some, stamps, stamps, 0, now_ms=NOW_MS, ocpi_operators={})
        assert decoded.rejections == []
        assert sum(len(part.rows) for part in decoded.parts.values()) == len(some)


@pytest.mark.parametrize("months", [1, 2, 13])
def test_it_begins_with_a_month_of_each_operator_and_ends_now(months):
    zones = {o.id: o.zone for o in build(1, 6, CUSTOMERS).operators}
    first = {}
    for record in history(months=months):
        if record.topic is registry.SESSIONS:
            session = json.loads(record.value)
            started = instant(session["started_at"])
            assert started * 1000 <= NOW_MS
            operator = session["operator_id"]
            first[operator] = min(first.get(operator, started), started)
        elif record.topic is registry.PAYMENTS:
            assert json.loads(record.value)["paid_at"] <= NOW_MS
    for operator, started in first.items():
        local = datetime.fromtimestamp(started, zones[operator])
        year, month = divmod(2026 * 12 + 10 - (months - 1), 12)
        assert (local.year, local.month) == (year, month + 1)
        assert local.day <= 3
    assert len(first) == 6


def test_the_progress_is_known_beforehand():
    plan = History(build(1, 6, 10), 2, NOW_MS)
    assert len(list(plan)) == plan.days


def test_amounts_are_those_of_charges(values):
    digits = {"EUR": 2, "CHF": 2, "CNY": 2, "JPY": 0, "KWD": 3, "USD": 2, "INR": 2}
    bounds = {
        "EUR": (0.5, 60),
        "CHF": (0.5, 60),
        "CNY": (2, 160),
        "JPY": (90, 6000),
        "KWD": (0.05, 4),
        "USD": (0.5, 60),
        "INR": (30, 2000),
    }
    seen = Counter()
    for payment in values[registry.PAYMENTS]:
        currency, total = payment["currency"], payment["amount_received"] + payment["amount_discount"]
        low, high = (bound * 10 ** digits[currency] for bound in bounds[currency])
        assert low <= total <= high
        assert 0 <= payment["amount_refunded"] <= payment["amount_received"]
        seen[currency] += 1
    assert set(seen) == set(digits)
    assert seen["EUR"] > 10 * seen["CHF"]


def hours(start, end):
    return (instant(end) - instant(start)) / 3600


def test_energies_are_those_of_charges(values):
    """In line with how long a charge lasted and what it cost."""
    sessions = {s["session_id"]: s for s in values[registry.SESSIONS] if s["status"] == "COMPLETED"}
    cdrs = [c for c in values[registry.CDRS] if "session_id" in c]
    charges = [(float(s["energy_kwh"]), hours(s["started_at"], s["ended_at"])) for s in sessions.values()]
    charges += [(c["total_energy"], hours(c["start_date_time"], c["end_date_time"])) for c in cdrs]
    assert len(charges) > 1000
    for kwh, lasted in charges:
        assert 2 <= kwh <= 95
        assert 1 < kwh / lasted < 400  # kilowatts
    paid = [p for p in values[registry.PAYMENTS] if p["currency"] == "EUR" and p["session_id"] in sessions]
    assert paid
    prices = [round(float(sessions[p["session_id"]]["energy_kwh"]) * 52) for p in paid]
    totals = [p["amount_received"] + p["amount_discount"] for p in paid]
    assert all(total <= price for total, price in zip(totals, prices, strict=True))
    same = sum(total == price for total, price in zip(totals, prices, strict=True))
    assert same > 0.9 * len(paid)  # the others are corrected later


def test_the_troubles_of_sources_are_there(year, values):
    sessions, payments = values[registry.SESSIONS], values[registry.PAYMENTS]
    states = Counter(s["status"] for s in sessions)
    assert {"ACTIVE", "COMPLETED", "INVALID"} <= set(states)
    assert {"FAILED", "PENDING", "SUCCEEDED", "REFUNDED", "CANCELED"} == {p["status"] for p in payments}
    assert any(0 < p["amount_refunded"] < p["amount_received"] for p in payments)
    assert any(0 < p["amount_refunded"] == p["amount_received"] and p["status"] == "SUCCEEDED" for p in payments)
    assert any(p["amount_received"] == 0 for p in payments)
    anonymous = sum(s["customer_id"] is None for s in sessions) / len(sessions)
    assert 0.05 < anonymous < 0.2
    doubled = sum(count - 1 for count in Counter(year).values())
    assert 0.005 < doubled / len(year) < 0.03
    highest, disordered, corrected = {}, 0, 0
    for s in sessions:
        key = s["operator_id"], s["session_id"]
        disordered += s["version"] < highest.get(key, 0)
        corrected += s["version"] == 3 and s["status"] == "COMPLETED"
        highest[key] = max(highest.get(key, 0), s["version"])
    assert disordered > 10
    assert corrected > 10
    cdrs = values[registry.CDRS]
    ids = {c["id"] for c in cdrs}
    credit_cdrs = [c for c in cdrs if c.get("credit")]
    assert credit_cdrs
    assert all(c["credit_reference_id"] in ids for c in credit_cdrs)
    assert any("session_id" not in c and c["total_energy"] == 0 for c in cdrs)
    assert any(c["cdr_token"]["type"] == "AD_HOC_USER" for c in cdrs)


def test_customers_change_groups_and_every_group_has_its_name(values):
    named = {(g["operator_id"], g["group_id"]) for g in values[registry.GROUPS]}
    memberships = values[registry.CUSTOMER_GROUPS]
    assert {(m["operator_id"], g) for m in memberships for g in m["group_ids"]} <= named
    assert any(len(m["group_ids"]) == 2 for m in memberships)
    assert max(Counter((m["operator_id"], m["customer_id"]) for m in memberships).values()) > 1
    assert ("M1", "vip") in named
    assert "大客户" in {g["name"] for g in values[registry.GROUPS] if g["operator_id"] == "M1"}


def test_it_grows_and_follows_the_day_and_the_week(values):
    """Of M1: more customers, commuters' mornings, quiet nights, fewer charges at weekends."""
    berlin = ZoneInfo("Europe/Berlin")
    customers, slots, weekdays = defaultdict(set), Counter(), Counter()
    for s in latest(values[registry.SESSIONS], "session_id").values():
        if s["operator_id"] == "M1" and s["status"] == "COMPLETED":
            local = datetime.fromisoformat(s["started_at"]).astimezone(berlin)
            customers[f"{local:%Y-%m}"].add(s["customer_id"])
            slots[local.hour] += 1
            weekdays[local.weekday()] += 1
    assert len(customers["2026-10"]) > 1.2 * len(customers["2025-11"])
    assert slots[8] > 2 * slots[3]
    assert slots[18] > 2 * slots[3]
    assert weekdays[1] > 1.2 * weekdays[6]


def test_an_operator_has_its_name_when_all_is_said(year):
    names = [i for i, r in enumerate(year) if r.topic is registry.OPERATORS and "name" in json.loads(r.value)]
    assert names == list(range(len(year) - 7, len(year)))
    assert all("name" not in json.loads(r.value) for r in year[:7])

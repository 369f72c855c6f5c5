"""The ledger by hand: a row is a situation, the events that make it, and what the results are then.

Each row is applied in one batch, and again with each event in a batch of its own and the ledger begun anew from its rows in between: no
difference may come of that.
"""

from typing import Any, NamedTuple

import pytest

from stream_app.domain.events import ALL
from stream_app.domain.tables import HALF_HOUR, MONTHLY
from tests.support.by_hand import (
    Clock,
    Event,
    World,
    again,
    announced,
    member,
    named,
    of,
    payment,
    payments,
    session,
    sessions,
)

MORNING, NOON = "2026-11-03 08:29", "2026-11-03 12:00"


class Case(NamedTuple):
    """`figures` and `slots`: all that is not zero."""

    situation: str
    events: list[Event | Clock]
    figures: dict[str, dict[str, int]]
    slots: dict[str, int]


CASES = [
    Case(
        "one without a customer counts in ALL, and in its anonymous parts",
        [session("s1", MORNING, energy=12_400)],
        {"ALL 2026-11": sessions(1, 0, 12_400, anonymous=1, anonymous_energy=12_400)},
        {"ALL 2026-11-03 08:00": 1},
    ),
    Case(
        "two sessions of a customer are one charging customer",
        [session("s1", MORNING, "ann", energy=1000), session("s2", NOON, "ann", energy=500)],
        {"ALL 2026-11": sessions(2, 1, 1500)},
        {"ALL 2026-11-03 08:00": 1, "ALL 2026-11-03 12:00": 1},
    ),
    Case(
        "the same record once more changes nothing",
        [session("s1", MORNING, "ann", energy=1000)] * 3,
        {"ALL 2026-11": sessions(1, 1, 1000)},
        {"ALL 2026-11-03 08:00": 1},
    ),
    Case(
        "an older version that comes later changes nothing",
        [session("s1", NOON, "ann", version=2), session("s1", MORNING, "bob", version=1)],
        {"ALL 2026-11": sessions(1, 1)},
        {"ALL 2026-11-03 12:00": 1},
    ),
    Case(
        "a session found invalid is taken back, and so is its customer",
        [session("s1", MORNING, "ann", energy=1000), session("s1", MORNING, "ann", version=1, counted=False)],
        {},
        {},
    ),
    Case(
        "a corrected time moves a session to another month",
        [session("s1", MORNING, "ann"), session("s1", "2026-10-31 23:59", "ann", version=1)],
        {"ALL 2026-10": sessions(1, 1)},
        {"ALL 2026-10-31 23:30": 1},
    ),
    Case(
        "a corrected customer moves a payment from one customer's groups to the other's",
        [
            member("ann", "vip"),
            member("bob", "fleet"),
            payment("p1", NOON, "ann", 700),
            payment("p1", NOON, "bob", 700),
        ],
        {"ALL 2026-11 EUR": payments(1, 1, 700), "fleet 2026-11 EUR": payments(1, 1, 700)},
        {},
    ),
    Case(
        "a payment of zero is one, and makes nobody a paying customer",
        [payment("p1", NOON, "ann", 0), payment("p2", NOON, "bob", 0, discount=300)],
        {"ALL 2026-11 EUR": payments(2, 0, 0, discount=300)},
        {},
    ),
    Case(
        "a refund in part restates the month of its payment",
        [
            payment("p1", "2026-10-03 12:00", "ann", 1000),
            payment("p1", "2026-10-03 12:00", "ann", 1000, refunded=400, version=1),
        ],
        {"ALL 2026-10 EUR": payments(1, 1, 600, refunded=400)},
        {},
    ),
    Case(
        "currencies stand apart, a customer counts in each",
        [
            payment("p1", NOON, "ann", 1000),
            payment("p2", NOON, "ann", 300, currency="CHF"),
            payment("p3", NOON, None, 50),
        ],
        {"ALL 2026-11 CHF": payments(1, 1, 300), "ALL 2026-11 EUR": payments(2, 1, 1050, anonymous=50)},
        {},
    ),
    Case(
        "a membership takes the customer's whole history along",
        [session("s1", "2025-12-01 10:00", "ann", energy=2000), payment("p1", NOON, "ann", 500), member("ann", "vip")],
        {
            "ALL 2025-12": sessions(1, 1, 2000),
            "vip 2025-12": sessions(1, 1, 2000),
            "ALL 2026-11 EUR": payments(1, 1, 500),
            "vip 2026-11 EUR": payments(1, 1, 500),
        },
        {},  # half-hours of that day are kept no more
    ),
    Case(
        "who leaves a group takes all along, and the others stay",
        [
            *[member("ann", "vip"), member("bob", "vip")],
            *[session("s1", MORNING, "ann", energy=1000), session("s2", MORNING, "bob", energy=30)],
            member("ann", "fleet", version=1),
        ],
        {
            "ALL 2026-11": sessions(2, 2, 1030),
            "fleet 2026-11": sessions(1, 1, 1000),
            "vip 2026-11": sessions(1, 1, 30),
        },
        {"ALL 2026-11-03 08:00": 2, "fleet 2026-11-03 08:00": 1, "vip 2026-11-03 08:00": 1},
    ),
    Case(
        "an older membership that comes later changes nothing",
        [member("ann", "vip", version=2), member("ann", "fleet", version=1), session("s1", NOON, "ann")],
        {"ALL 2026-11": sessions(1, 1), "vip 2026-11": sessions(1, 1)},
        {"ALL 2026-11-03 12:00": 1, "vip 2026-11-03 12:00": 1},
    ),
    Case(
        "unknown energy adds nothing until a correction brings it",
        [
            session("s1", NOON, "ann"),
            session("s2", NOON, "ann"),
            session("s2", NOON, "ann", energy=999_999_999, version=1),
        ],
        {"ALL 2026-11": sessions(2, 1, 999_999_999)},
        {"ALL 2026-11-03 12:00": 2},
    ),
    Case(
        "a corrected energy takes the place of the first, a session that turns anonymous moves it into the part",
        [
            *[session("s1", NOON, "ann", energy=5000), session("s1", NOON, "ann", energy=400, version=1)],
            *[session("s2", NOON, "bob", energy=70), session("s2", NOON, None, energy=70, version=1)],
        ],
        {"ALL 2026-11": sessions(2, 1, 470, anonymous=1, anonymous_energy=70)},
        {"ALL 2026-11-03 12:00": 2},
    ),
    Case(
        "another operator's events leave this one alone",
        [session("s1", NOON, "ann"), of("M2", session("s1", MORNING, "ann", version=1))],
        {"ALL 2026-11": sessions(1, 1)},
        {"ALL 2026-11-03 12:00": 1},
    ),
]


@pytest.mark.parametrize("apart", [False, True], ids=["in one batch", "each apart"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.situation)
def test_results_are_these(case, apart):
    """Computed by hand."""
    world = World()
    if apart:
        for event in case.events:
            world.apply([event])
            world.restart()
    else:
        world.apply(case.events)
    assert world.figures() == case.figures
    assert world.slots() == case.slots
    assert world.rejected == []


TOO_LATE = "s1 of M1 is of 2025-10-31T09:45Z, and new; no time zone keeps anything before 2025-10-31T10:00Z"
LATE: list[tuple[str, list[Event | Clock], list[str]]] = [
    ("a new session before the first month that is kept anywhere", [session("s1", "2025-10-31 09:59")], [TOO_LATE]),
    ("its first instant on earth is kept", [session("s1", "2025-10-31 10:00")], []),
    (
        "a known one corrected to before it leaves",
        [session("s1", NOON), session("s1", "2025-10-31 09:59", version=1)],
        [],
    ),
    ("an event read again has its dead letter already", [again(session("s1", "2025-10-31 09:59"))], []),
    (
        "the operator's zone does not decide",
        [announced("Pacific/Honolulu"), session("s1", "2025-10-31 09:59"), session("s2", "2025-10-31 10:00")],
        [TOO_LATE],
    ),
]


@pytest.mark.parametrize(("situation", "events", "rejected"), LATE)
def test_what_comes_too_late_is_rejected(situation, events, rejected):
    """With its time, and the first that is kept."""
    world = World()
    world.apply(events)
    assert world.rejected == rejected


def test_an_operator_is_not_made_known_by_what_is_too_late():
    """Its first usable record makes it known."""
    world = World()
    world.apply([session("s1", "2025-10-31 09:59")])
    assert world.rows.stored_operators == {}
    world.apply([session("s2", NOON)])
    assert list(world.rows.stored_operators) == ["M1"]


CURRENCIES: list[tuple[str, list[Event | Clock], str]] = [
    ("nothing is known", [session("s1", NOON)], "EUR"),
    (
        "most payments",
        [payment("p1", NOON, currency="CHF"), payment("p2", NOON, currency="CHF"), payment("p3", NOON)],
        "CHF",
    ),
    ("a tie: first in the alphabet", [payment("p1", NOON, currency="EUR"), payment("p2", NOON, currency="CHF")], "CHF"),
    ("payments that do not count", [payment("p1", NOON, currency="CHF", counted=False)], "EUR"),
    ("announced, whatever is paid", [payment("p1", NOON, currency="CHF"), announced("UTC", "JPY")], "JPY"),
    ("announced twice: the later version", [announced("UTC", "JPY", version=1), announced("UTC", "USD")], "JPY"),
    (
        "taken back",
        [payment("p1", NOON, currency="CHF"), payment("p1", NOON, currency="CHF", counted=False, version=1)],
        "EUR",
    ),
]


@pytest.mark.parametrize(("situation", "events", "currency"), CURRENCIES)
def test_an_operator_has_this_currency(situation, events, currency):
    """And each of its months shows a row of it."""
    world = World()
    world.apply(events)
    assert world.operator().currency == currency
    assert all(currency in cell.payments for cell in world.rows.stored_cells["monthly"].values())


def test_a_group_that_lost_its_last_customer_shows_zeros():
    """Its cells stay, with nothing in them, and its months say so."""
    world = World()
    world.apply([member("ann", "vip"), session("s1", NOON, "ann"), member("ann", version=1)])
    assert "vip 2026-11" in world.cells()
    assert not [name for name in world.figures() if name.startswith("vip")]
    group = world.group("vip")
    assert group is not None
    assert group.months == {202611: False}


FIRST_EVENTS: list[tuple[str, list[Event | Clock]]] = [
    ("a payment of this month", [payment("p1", NOON, "ann", 5)]),
    ("a session of this month", [session("s1", NOON, "ann")]),
    ("a session of an earlier month", [session("s1", "2026-09-03 12:00", "ann")]),
]


@pytest.mark.parametrize(("first", "events"), FIRST_EVENTS)
def test_a_group_has_a_cell_of_each_tables_current_period_from_its_first_event_on(first, events):
    """So that each of its documents is there, whichever table the event concerns."""
    world = World()
    world.apply([member("ann", "vip"), *events])
    assert "vip 2026-11" in world.cells(MONTHLY)
    assert "vip 2026-11-24" in world.cells(HALF_HOUR)
    group = world.group("vip")
    assert group is not None
    assert {name: shown.version for name, shown in group.shown.items()} == {"monthly": 2, "half_hour": 2}


def test_a_named_group_is_known_before_anybody_is_in_it():
    """A later name wins; the name alone makes no cells."""
    world = World()
    world.apply([session("s1", NOON), named("vip", "Very", version=1), named("vip", "Other")])
    group = world.group("vip")
    assert group is not None
    assert group.name == "Very"
    assert {name.split()[0] for name in world.cells()} == {ALL}


def test_frozen_cells_have_the_version_and_the_time_of_their_freeze():
    """Only those that changed; an event that changes nothing freezes none."""
    world = World()
    world.apply([session("s1", NOON), session("s2", "2026-10-03 12:00")])
    world.apply([session("s3", NOON, version=1)])
    cells: dict[int, Any] = {key.period: cell for key, cell in world.rows.stored_cells["monthly"].items()}
    assert [(cells[month].version, cells[month].as_of) for month in (202610, 202611)] == [(2, 2000), (3, 3000)]
    group = world.group()
    assert group is not None
    assert (group.version, group.of("half_hour").as_of) == (3, 3000)
    world.apply([session("s3", MORNING)])
    assert world.frozen.cells == {"monthly": {}, "half_hour": {}}


def test_a_customer_about_whom_nothing_is_known_has_no_row():
    """Taken back, and in no group by a record of its own."""
    world = World()
    world.apply([session("s1", NOON, "ann"), session("s2", NOON, "bob"), member("bob")])
    world.apply(
        [session("s1", NOON, "ann", version=1, counted=False), session("s2", NOON, "bob", version=1, counted=False)]
    )
    assert list(world.rows.stored_customers) == [("M1", "bob")]

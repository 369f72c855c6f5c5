"""The clock by hand: a row is a situation, clock records among events, and what the results are then."""

from typing import NamedTuple

import pytest

from stream_app.domain.events import ALL
from stream_app.domain.tables import HALF_HOUR, MONTHLY
from tests.support.by_hand import (
    Clock,
    Event,
    World,
    announced,
    at,
    clock,
    member,
    named,
    payment,
    payments,
    session,
    sessions,
)

NOON = "2026-11-03 12:00"


class Case(NamedTuple):
    """`steps` are applied one by one, after a start at noon of 2026-11-24; `months`: all cells that are there, zeros included."""

    situation: str
    steps: list[Event | Clock]
    months: list[str]
    figures: dict[str, dict[str, int]]
    slots: dict[str, int]


CASES = [
    Case(
        "an operator that is known shows the current month, and the month of its session",
        [session("s1", "2026-09-03 12:00")],
        ["ALL 2026-09", "ALL 2026-11"],
        {"ALL 2026-09": sessions(1, 0, anonymous=1)},
        {"ALL 2026-09-03 12:00": 1},
    ),
    Case(
        "a month begins without any event",
        [session("s1", NOON), clock("2026-12-01 00:00")],
        ["ALL 2026-11", "ALL 2026-12"],
        {"ALL 2026-11": sessions(1, 0, anonymous=1)},
        {"ALL 2026-11-03 12:00": 1},
    ),
    Case(
        "a quarter of an hour before midnight it has not begun",
        [session("s1", NOON), clock("2026-11-30 23:45")],
        ["ALL 2026-11"],
        {"ALL 2026-11": sessions(1, 0, anonymous=1)},
        {"ALL 2026-11-03 12:00": 1},
    ),
    Case(
        "it begins at the operator's own midnight",
        [announced("Asia/Kathmandu"), clock("2026-11-30 18:15")],
        ["ALL 2026-11", "ALL 2026-12"],
        {},
        {},
    ),
    Case(
        "a clock record that is lower than the last changes nothing",
        [announced("UTC"), clock("2026-12-01 00:00"), clock("2026-11-30 00:00"), session("s1", "2026-12-01 01:00")],
        ["ALL 2026-11", "ALL 2026-12"],
        {"ALL 2026-12": sessions(1, 0, anonymous=1)},
        {"ALL 2026-12-01 01:00": 1},
    ),
    Case(
        "half-hours leave after 92 days, the month stays",
        [session("s1", "2026-08-25 12:00"), session("s2", "2026-08-26 12:00"), clock("2026-11-25 00:00")],
        ["ALL 2026-08", "ALL 2026-11"],
        {"ALL 2026-08": sessions(2, 0, anonymous=2)},
        {"ALL 2026-08-26 12:00": 1},
    ),
    Case(
        "a month leaves after thirteen, with its energy",
        [
            session("s1", "2025-11-30 12:00", "ann", energy=5),
            payment("p1", "2025-12-01 00:00", "ann", 9),
            clock("2026-12-01 00:00"),
        ],
        ["ALL 2025-12", "ALL 2026-11", "ALL 2026-12"],
        {"ALL 2025-12 EUR": payments(1, 1, 9)},
        {},
    ),
    Case(
        "a month that left is not taken back when its session is corrected into one that is kept",
        [
            session("s1", "2025-11-30 12:00", "ann", energy=5),
            clock("2026-12-01 00:00"),
            session("s1", "2026-11-30 12:00", "ann", energy=7, version=1),
        ],
        ["ALL 2026-11", "ALL 2026-12"],
        {"ALL 2026-11": sessions(1, 1, 7)},
        {"ALL 2026-11-30 12:00": 1},
    ),
    Case(
        "a membership moves what is kept, and nothing of what left",
        [
            *[session("s1", "2025-11-30 12:00", "ann", energy=5), session("s2", "2025-12-31 12:00", "ann", energy=7)],
            *[clock("2026-12-01 00:00"), member("ann", "vip")],
        ],
        ["ALL 2025-12", "ALL 2026-11", "ALL 2026-12", "vip 2025-12", "vip 2026-12"],
        {"ALL 2025-12": sessions(1, 1, 7), "vip 2025-12": sessions(1, 1, 7)},
        {},
    ),
    Case(
        "a clock that jumps over years leaves the current month of ALL",
        [session("s1", NOON, "ann"), member("ann", "vip"), clock("2048-02-29 00:00")],
        ["ALL 2048-02"],
        {},
        {},
    ),
    Case(
        "a new zone counts all anew: the last night of a month belongs to the next one",
        [
            *[
                member("ann", "vip"),
                session("s1", "2026-10-31 23:15", "ann", energy=1),
                session("s2", "2026-10-31 12:00", energy=2),
            ],
            *[payment("p1", "2026-10-31 23:45", "ann", 5), announced("Europe/Berlin", version=1)],
        ],
        ["ALL 2026-10", "ALL 2026-11", "vip 2026-10", "vip 2026-11"],
        {
            "ALL 2026-10": sessions(1, 0, 2, anonymous=1, anonymous_energy=2),
            "ALL 2026-11": sessions(1, 1, 1),
            "ALL 2026-11 EUR": payments(1, 1, 5),
            "vip 2026-11": sessions(1, 1, 1),
            "vip 2026-11 EUR": payments(1, 1, 5),
        },
        {"ALL 2026-10-31 13:00": 1, "ALL 2026-11-01 00:00": 1, "vip 2026-11-01 00:00": 1},
    ),
    Case(
        "an hour that comes twice counts both, in one slot",
        [announced("Europe/Berlin"), session("s1", "2026-10-25 00:30"), session("s2", "2026-10-25 01:30")],
        ["ALL 2026-10", "ALL 2026-11"],
        {"ALL 2026-10": sessions(2, 0, anonymous=2)},
        {"ALL 2026-10-25 02:30": 2},
    ),
]


@pytest.mark.parametrize("restarted", [False, True], ids=["in one ledger", "begun anew at each step"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.situation)
def test_results_follow_the_clock(case, restarted):
    """Computed by hand; frozen after each step."""
    world = World()
    for step in case.steps:
        world.apply([step])
        if restarted:
            world.restart()
    assert sorted(world.cells(MONTHLY)) == case.months
    assert world.figures() == case.figures
    assert world.slots() == case.slots
    assert world.rejected == []


def test_cells_that_left_are_told_as_they_were():
    """Results topics get tombstones for them."""
    world = World()
    world.apply([payment("p1", "2025-11-30 12:00", received=9, currency="CHF"), session("s1", "2026-08-25 12:00")])
    world.apply([clock("2026-12-01 00:00")])
    (month,), (day,) = (world.frozen.dropped[table.name].items() for table in (MONTHLY, HALF_HOUR))
    assert (month[0].period, sorted(month[1].payments)) == (202511, ["CHF"])
    assert HALF_HOUR.period.text(day[0].period) == "2026-08-25"
    assert world.frozen.cells[MONTHLY.name][month[0]] is None


def test_a_group_loses_its_documents_with_its_last_month():
    """One that counts nowhere at a month's end has no cell of the new month; one that is named stays known."""
    world = World()
    world.apply([member("ann", "vip"), member("bob", "old"), named("old", "Old"), session("s1", NOON, "ann")])
    world.apply([session("s2", NOON, "bob"), session("s2", NOON, "bob", version=1, counted=False)])
    world.apply([clock("2026-12-01 00:00")])
    assert world.frozen.hidden == {("M1", "old")}
    assert [name for name in world.cells() if name.endswith("2026-12")] == ["ALL 2026-12", "vip 2026-12"]
    world.apply([clock("2027-12-01 00:00")])
    assert world.frozen.hidden == {("M1", "vip")}
    assert "vip 2026-12" in world.cells()  # zeros, until the month leaves
    world.apply([clock("2028-01-01 00:00")])
    assert {group for _, group in world.rows.stored_groups} == {ALL, "old"}


def test_nothing_is_too_late_while_now_is_unknown():
    """The first clock record says what is past."""
    world = World(now=None)
    world.apply([session("s1", "1999-11-03 12:00"), session("s2", NOON)])
    assert world.figures() == {
        "ALL 1999-11": sessions(1, 0, anonymous=1),
        "ALL 2026-11": sessions(1, 0, anonymous=1),
    }
    world.apply([clock("2026-11-24 12:00")])
    assert world.figures() == {"ALL 2026-11": sessions(1, 0, anonymous=1)}


def test_what_left_retention_does_not_come_back_with_a_zone():
    """The horizon never falls: another zone's earlier midnight brings nothing back."""
    world = World()
    world.apply([announced("America/St_Johns"), session("s1", "2025-11-01 03:30")])
    world.apply([announced("Europe/Berlin", version=1)])
    assert world.operator().horizon == at("2025-11-01 02:30")
    world.apply([session("s2", "2025-10-31 23:00")])
    assert world.rejected == ["s2 of M1 is of 2025-11-01, and new; kept is what is of 2025-11-01 or later"]


def test_a_sweep_deletes_rows_past_retention_in_steps():
    """It says where it stopped, None at the end; results stay as they are."""
    world = World()
    world.apply(
        [
            *[session(f"s{i}", "2025-11-30 12:00", f"c{i}", energy=5) for i in range(3)],
            *[session("kept", NOON, "c0"), member("c1", "vip")],
        ]
    )
    world.apply([clock("2026-12-01 00:00")])
    before = world.figures()
    assert world.ledger.unswept() == ["M1"]
    after, steps = None, 0
    while True:
        after = world.ledger.sweep("M1", after, 2)
        world.freeze()
        steps += 1
        if after is None:
            break
    assert steps == 4  # four entities and three customers, two at a time
    assert world.ledger.unswept() == []
    assert [key[-4:] for key in world.rows.stored_entities] == [b"kept"]
    assert sorted(name for _, name in world.rows.stored_customers) == ["c0", "c1"]
    assert world.figures() == before

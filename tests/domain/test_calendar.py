"""The clock by hand: a row is a situation, clock records among events, and what the results are then."""

from typing import NamedTuple

import pytest

from stream_app.domain.cells import CellKey
from stream_app.domain.events import ALL
from stream_app.domain.tables import HALF_HOUR, MONTHLY
from tests.support.by_hand import (
    Clock,
    Event,
    World,
    announced,
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


FIRST_NIGHT = [
    session("s1", "2025-10-31 10:00", "ann"),
    payment("p1", "2025-10-31 20:00", "ann", 7),
    session("s2", "2025-11-01 03:30"),
]


@pytest.mark.parametrize(
    ("zone", "is_kept"),
    [
        ("Pacific/Kiritimati", (1, 1, 1)),
        ("Asia/Tokyo", (0, 1, 1)),
        ("UTC", (0, 0, 1)),
        ("America/St_Johns", (0, 0, 1)),
        ("Pacific/Honolulu", (0, 0, 0)),
    ],
)
@pytest.mark.parametrize("place", range(4))
def test_when_a_zone_becomes_known_changes_nothing(zone, is_kept, place):
    """The first hours of the first retained month: kept where some zone keeps them, shown where the operator's own does."""
    world = World()
    world.apply([session("s0", NOON)])  # known already, in UTC
    world.apply([*FIRST_NIGHT[:place], announced(zone, version=1), *FIRST_NIGHT[place:]])
    assert world.rejected == []
    first, paid, second = is_kept
    shown = {"ALL 2025-11": sessions(first + second, first, anonymous=second)} if first + second else {}
    shown |= {"ALL 2025-11 EUR": payments(1, 1, 7)} if paid else {}
    assert world.figures() == {"ALL 2026-11": sessions(1, 0, anonymous=1)} | shown


def test_what_no_zone_keeps_is_too_late():
    """A new one; the place of a known one among the results follows its latest record."""
    world = World()
    world.apply([session("new", "2025-10-31 09:45"), session("known", "2025-10-31 10:00")])
    assert world.rejected == [
        "new of M1 is of 2025-10-31T09:45Z, and new; no time zone keeps anything before 2025-10-31T10:00Z"
    ]
    world.apply([session("known", "2025-01-01 00:00", version=1), session("known", NOON, version=2)])
    assert world.figures() == {"ALL 2026-11": sessions(1, 0, anonymous=1)}
    assert len(world.rejected) == 1


@pytest.mark.parametrize("swept", [False, True])
@pytest.mark.parametrize("together", [False, True], ids=["in two ticks", "in one tick"])
def test_a_zone_that_moves_west_at_a_months_end_brings_the_month_back_whole(swept, together):
    """What a month held that the operator's own midnight had dropped is still known, since another zone keeps it."""
    history = [
        *[
            member("ann", "vip"),
            session("s1", "2025-11-20 12:00", "ann", energy=5),
            payment("p1", "2025-11-30 23:00", "ann", 9),
        ],
        *[session("s2", "2025-11-01 12:00"), payment("p2", "2025-11-20 12:00", received=3, currency="CHF")],
    ]
    west = [
        announced("Pacific/Honolulu", version=1),
        session("s3", "2025-11-20 12:00", "ann", energy=6),
        session("s4", NOON),
    ]
    expected = World()
    expected.apply([announced("Pacific/Honolulu", version=1), *history, clock("2026-12-01 02:00"), *west[1:]])
    world = World()
    world.apply([*history, clock("2026-12-01 00:00")])
    assert not any("2025-11" in name for name in world.cells(MONTHLY))
    if swept:
        while world.ledger.unswept():
            world.ledger.sweep("M1", None, 1000)
    if together:
        world.apply([clock("2026-12-01 02:00"), *west])
    else:
        world.apply([clock("2026-12-01 02:00")])
        world.apply(west)
    assert world.figures() == expected.figures()
    assert world.figures()["vip 2025-11"] == sessions(2, 1, 11)
    assert set(world.cells(MONTHLY)) >= set(expected.cells(MONTHLY))
    world.restart()
    world.apply([member("ann", version=1), session("s1", NOON, "ann", version=1), clock("2026-12-01 12:00")])
    assert world.figures().keys() == {"ALL 2026-11"}


def test_a_group_that_lost_its_customer_meanwhile_shows_zeros_in_a_month_that_is_back():
    """A sink still shows the group with the customer: what left retention stays as it was."""
    world = World()
    world.apply([member("ann", "vip"), session("s1", "2025-11-20 12:00", "ann"), session("s2", NOON, "ann")])
    world.apply([clock("2026-12-01 02:00"), member("ann", version=1)])
    world.apply([announced("Pacific/Honolulu", version=1)])
    assert world.figures()["ALL 2025-11"] == sessions(1, 1)
    assert not world.frozen.cells[MONTHLY.name][CellKey("M1", "vip", 202511)].counts()


@pytest.mark.parametrize("restarted", [False, True], ids=["in one ledger", "begun anew at each step"])
def test_a_month_that_is_back_in_a_later_tick_is_shown_in_the_currencies_that_a_sink_has_it_in(restarted):
    """ClickHouse has the month as it last was: in those that the operator had, in one that nothing is paid in any more, and in today's."""
    world = World()
    for step in [
        [payment("p1", "2026-10-20 12:00", currency="JPY"), payment("p2", "2026-10-20 12:00", currency="JPY")],
        [payment("p3", "2025-11-20 12:00", currency="CHF"), session("s1", "2025-11-20 12:00")],
        [announced("UTC", "GBP")],
        [announced("UTC", "USD", version=1)],
        [clock("2026-12-01 02:00")],
        [payment("p3", "2025-11-20 12:00", currency="CHF", version=1, counted=False)],
        [payment(name, "2026-10-20 12:00", currency="EUR", version=1) for name in ("p1", "p2")],
        [session("s2", "2025-11-20 12:00")],
        [announced("Pacific/Honolulu", "EUR", version=2)],
    ]:
        world.apply(step)
        if restarted:
            world.restart()
    back = world.rows.stored_cells[MONTHLY.name][CellKey("M1", ALL, 202511)]
    assert sorted(back.payments) == ["CHF", "EUR", "GBP", "JPY", "USD"]
    assert world.figures()["ALL 2025-11"] == sessions(2, 0, anonymous=2)


@pytest.mark.parametrize("together", [False, True], ids=["in two batches", "in one batch"])
def test_a_currency_that_came_and_went_is_shown_in_a_month_that_is_back_whatever_the_batches(together):
    """What is shown depends on the events, and not on where a batch of them ends."""
    world = World()
    world.apply([announced("UTC"), session("s1", "2025-11-20 12:00")])
    came, went = (payment("p1", NOON, currency="CHF", version=version, counted=not version) for version in (0, 1))
    for step in [[came, went]] if together else [[came], [went]]:
        world.apply(step)
    world.apply([clock("2026-12-01 02:00")])
    world.apply([announced("Pacific/Honolulu", version=1)])
    assert sorted(world.frozen.cells[MONTHLY.name][CellKey("M1", ALL, 202511)].payments) == ["CHF", "EUR"]


def test_a_month_that_is_back_in_the_same_tick_keeps_the_currencies_it_was_shown_in():
    """It was never gone for readers."""
    world = World()
    world.apply([payment("p1", "2025-11-20 12:00", received=3, currency="CHF"), session("s1", "2025-11-20 12:00")])
    world.apply([payment("p1", "2025-11-20 12:00", received=3, currency="CHF", version=1, counted=False)])
    world.apply([clock("2026-12-01 02:00"), announced("Pacific/Honolulu", version=1)])
    back = CellKey("M1", ALL, 202511)
    assert world.frozen.dropped[MONTHLY.name] == {}
    assert sorted(world.frozen.cells[MONTHLY.name][back].payments) == ["CHF", "EUR"]


def test_a_sweep_deletes_rows_past_retention_in_steps():
    """It says where it stopped, None at the end; results stay as they are."""
    world = World()
    world.apply(
        [
            *[session(f"s{i}", "2025-11-30 09:45", f"c{i}", energy=5) for i in range(3)],
            *[session("kept", NOON, "c0"), member("c1", "vip")],
        ]
    )
    world.apply([clock("2026-12-01 11:45")])
    assert world.ledger.unswept() == []  # in UTC-12 it is November still
    world.apply([clock("2026-12-01 12:00")])
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

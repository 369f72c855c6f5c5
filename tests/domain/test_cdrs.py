"""CDRs and credits by hand: a row is a situation, the CDRs that make it, and what the results are then.

Each row is applied in every order of its events, in one batch and each apart: a credit takes its CDR back whichever of the two comes first.
"""

from itertools import permutations
from typing import NamedTuple

import pytest

from stream_app.domain.events import CDR, CREDITED, ENERGY, VERSION
from tests.support.by_hand import Event, World, announced, at, cdr, clock, member, payments, sessions

START, END = "2026-11-03 08:20", "2026-11-03 09:40"


class Case(NamedTuple):
    """`figures` and `slots`: all that is not zero. Versions say which record of an id is the later one."""

    situation: str
    events: list[Event]
    figures: dict[str, dict[str, int]]
    slots: dict[str, int]


CASES = [
    Case(
        "a CDR is a session at its start and a payment at its end",
        [cdr("k1", "2026-10-31 23:30", "2026-11-01 00:30", "ann", 1250, energy=12_400)],
        {"ALL 2026-10": sessions(1, 1, 12_400), "ALL 2026-11 EUR": payments(1, 1, 1250)},
        {"ALL 2026-10-31 23:30": 1},
    ),
    Case(
        "one without a customer counts in the anonymous parts",
        [cdr("k1", START, END, None, 1250, energy=12_400)],
        {
            "ALL 2026-11": sessions(1, 0, 12_400, anonymous=1, anonymous_energy=12_400),
            "ALL 2026-11 EUR": payments(1, 0, 1250, anonymous=1250),
        },
        {"ALL 2026-11-03 08:00": 1},
    ),
    Case(
        "a reservation never used is a payment only",
        [cdr("k1", START, END, "ann", 200, energy=0, as_session=False)],
        {"ALL 2026-11 EUR": payments(1, 1, 200)},
        {},
    ),
    Case(
        "a credit takes back the CDR that it names, energy and customer too",
        [cdr("k1", START, END, "ann", 1250, energy=12_400), cdr("c1", START, END, "ann", 1250, credits_="k1")],
        {},
        {},
    ),
    Case(
        "a credit of an unknown CDR counts nothing",
        [cdr("c1", START, END, "ann", 1250, energy=5, credits_="k9")],
        {},
        {},
    ),
    Case(
        "a credited CDR stays taken back when it is corrected",
        [
            *[cdr("k1", START, END, "ann", 1250, energy=5), cdr("k1", START, END, "bob", 900, energy=7, version=1)],
            cdr("c1", START, END, "ann", 1250, credits_="k1"),
        ],
        {},
        {},
    ),
    Case(
        "a credit corrected to another reference gives the first back",
        [
            *[cdr("k1", START, END, "ann", 100, energy=10), cdr("k2", START, END, "ann", 7, energy=3)],
            *[cdr("c1", START, END, credits_="k1"), cdr("c1", START, END, credits_="k2", version=1)],
        ],
        {"ALL 2026-11": sessions(1, 1, 10), "ALL 2026-11 EUR": payments(1, 1, 100)},
        {"ALL 2026-11-03 08:00": 1},
    ),
    Case(
        "a credit corrected into a CDR counts itself, and gives back what it took",
        [
            *[cdr("k1", START, END, "ann", 100, energy=10), cdr("c1", START, END, credits_="k1")],
            cdr("c1", START, END, "bob", 30, energy=4, version=1),
        ],
        {"ALL 2026-11": sessions(2, 2, 14), "ALL 2026-11 EUR": payments(2, 2, 130)},
        {"ALL 2026-11-03 08:00": 2},
    ),
    Case(
        "of two credits of a CDR one is enough",
        [
            *[cdr("k1", START, END, "ann", 100), cdr("c1", START, END, credits_="k1")],
            *[cdr("c2", START, END, credits_="k1"), cdr("c2", START, END, credits_="k2", version=1)],
        ],
        {},
        {},
    ),
    Case(
        "a credit of a credit is no CDR's",
        [cdr("k1", START, END, "ann", 100), cdr("c1", START, END, credits_="k1"), cdr("c2", START, END, credits_="c1")],
        {},
        {},
    ),
    Case(
        "a CDR of a member counts in the groups, credited in none",
        [
            *[member("ann", "vip"), cdr("k1", START, END, "ann", 100, energy=10)],
            *[cdr("k2", START, END, "ann", 5, energy=1), cdr("c1", START, END, credits_="k2")],
        ],
        {
            "ALL 2026-11": sessions(1, 1, 10),
            "ALL 2026-11 EUR": payments(1, 1, 100),
            "vip 2026-11": sessions(1, 1, 10),
            "vip 2026-11 EUR": payments(1, 1, 100),
        },
        {"ALL 2026-11-03 08:00": 1, "vip 2026-11-03 08:00": 1},
    ),
]


@pytest.mark.parametrize("apart", [False, True], ids=["in one batch", "each apart"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.situation)
def test_results_are_these_in_every_order(case, apart):
    """Computed by hand."""
    for order in permutations(case.events):
        world = World()
        world.apply(order, apart=apart)
        assert world.figures() == case.figures, order
        assert world.slots() == case.slots, order


def test_a_credit_leaves_a_placeholder_for_a_cdr_that_never_came():
    """It is of no version and knows the time of its credit, by which it is swept."""
    world = World()
    world.apply([cdr("c1", START, END, credits_="k1")])
    row = world.rows.stored_entities[world.rows.entity_key("M1", CDR, "k1")]
    assert (row[VERSION], row[CREDITED], row[ENERGY]) == (-1, {"c1": at(END)}, None)
    world.apply([clock("2027-12-01 12:00")])
    assert world.ledger.sweep("M1", None, 100) is None
    world.freeze()
    assert world.rows.stored_entities == {}


def test_a_credit_past_retention_takes_nothing_back_from_a_cdr_that_comes_again():
    """What has left retention is not known, the credit as little as the CDR."""
    world = World()
    world.apply([cdr("k1", START, END, "ann", 100), cdr("c1", START, END, credits_="k1")])
    world.apply([clock("2027-12-01 12:00"), cdr("k1", "2027-12-01 00:00", "2027-12-01 00:00", "ann", 7)])
    assert world.figures() == {"ALL 2027-12": sessions(1, 1), "ALL 2027-12 EUR": payments(1, 1, 7)}


def test_a_session_that_began_before_what_is_kept_leaves_its_payment():
    """The start decides for the session, the end for the payment."""
    world = World()
    world.apply([cdr("k1", "2025-10-31 23:45", "2025-11-01 00:15", "ann", 100, energy=10)])
    assert world.figures() == {"ALL 2025-11 EUR": payments(1, 1, 100)}
    world.apply([cdr("k2", "2025-10-31 09:00", "2025-10-31 09:45", "ann", 100)])
    assert world.rejected == [
        "k2 of M1 is of 2025-10-31T09:45Z, and new; no time zone keeps anything before 2025-10-31T10:00Z"
    ]


def test_a_changed_zone_leaves_out_what_is_credited():
    """All is counted anew from the rows; the credit is among them."""
    world = World()
    world.apply([cdr("k1", START, END, "ann", 100, energy=10), cdr("k2", START, END, "ann", 5, energy=1)])
    world.apply([cdr("c1", START, END, credits_="k2"), announced("Asia/Kathmandu")])
    assert world.figures() == {"ALL 2026-11": sessions(1, 1, 10), "ALL 2026-11 EUR": payments(1, 1, 100)}
    assert world.slots() == {"ALL 2026-11-03 14:00": 1}

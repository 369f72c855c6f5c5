"""From counted events to the differences of a table's cells: by groups, period and slot, with the customer's own sums beside them."""

from typing import Any, NamedTuple

import msgspec
import pytest

from stream_app.domain.cells import CountCell, Customer, FigureCell
from stream_app.domain.events import ALL
from stream_app.domain.figures import PAYMENTS, SESSIONS
from stream_app.domain.local_time import month_of_day
from stream_app.domain.rules import CountRule, FigureRule, is_something, part, prune_counts, prune_figures
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS
from tests.support.by_hand import at, payment, session

FIRST_MONTH, DAY = 202511, at("2026-11-03 00:00") // 96
NOON = "2026-11-03 12:00"
ALONE, MEMBERS = (ALL,), (ALL, "fleet", "vip")

PAID = payment("p1", NOON, "ann", 700).row
CHARGED = session("s1", NOON, "ann", energy=1000).row
PAYMENT, SESSION = "payment", "session"


class Step(NamedTuple):
    """An event that counts, or no longer; the groups are the customer's at that moment, None: anonymous."""

    basis: str
    row: list[Any]
    groups: tuple[str, ...] | None
    sign: int = 1
    when: str = NOON


def told(rule: Any, customer: Customer, steps: list[Step]) -> None:
    for basis, row, groups, sign, when in steps:
        if groups is not None:
            customer.groups = groups
        getattr(rule, basis)(None if groups is None else customer, row, at(when), sign)


def figure_rule(first: int = FIRST_MONTH) -> FigureRule:
    return FigureRule("m", month_of_day, first)


def count_rule(first: int = DAY) -> CountRule:
    return CountRule("h", lambda day: day, lambda local: local % 96 // 2, 48, first)


FIGURE_CASES = [
    (
        "an anonymous payment is ALL's",
        [Step(PAYMENT, PAID, None)],
        {(ALONE, 202611, "EUR"): [700, 0, 0, 1, 0, 700]},
        {},
    ),
    (
        "a member's goes to all groups at once",
        [Step(PAYMENT, PAID, MEMBERS)],
        {(MEMBERS, 202611, "EUR"): [700, 0, 0, 1, 1, 0]},
        {},
    ),
    (
        "two of a customer are one customer",
        [Step(PAYMENT, PAID, ALONE), Step(PAYMENT, PAID, ALONE)],
        {(ALONE, 202611, "EUR"): [1400, 0, 0, 2, 1, 0]},
        {},
    ),
    (
        "taken back in the same batch it is a difference of zero",
        [Step(PAYMENT, PAID, ALONE), Step(PAYMENT, PAID, ALONE, -1)],
        {(ALONE, 202611, "EUR"): [0, 0, 0, 0, 0, 0]},
        {},
    ),
    ("a session, with its energy", [Step(SESSION, CHARGED, ALONE)], {}, {(ALONE, 202611): [1, 1, 0, 1000, 0]}),
    ("an anonymous one, with its part", [Step(SESSION, CHARGED, None)], {}, {(ALONE, 202611): [1, 0, 1, 1000, 1000]}),
    (
        "months stand apart, a customer counts in each",
        [Step(SESSION, CHARGED, ALONE), Step(SESSION, CHARGED, ALONE, when="2026-10-31 23:45")],
        {},
        {(ALONE, 202611): [1, 1, 0, 1000, 0], (ALONE, 202610): [1, 1, 0, 1000, 0]},
    ),
]


@pytest.mark.parametrize(("situation", "steps", "payments", "sessions"), FIGURE_CASES)
def test_figures_differ_by_this(situation, steps, payments, sessions):
    """Lists in the order of sums.Layout, see test_sums."""
    rule = figure_rule()
    told(rule, Customer(), steps)
    assert (dict(rule.payments), dict(rule.sessions)) == (payments, sessions)
    assert set(rule.touched()) == {key[:2] for key in payments} | set(sessions)


COUNT_CASES = [
    ("an anonymous session is ALL's", [Step(SESSION, CHARGED, None)], {(ALONE, DAY): {24: 1}}, {}),
    ("a member's goes to all groups", [Step(SESSION, CHARGED, MEMBERS)], {(MEMBERS, DAY): {24: 1}}, {DAY * 48 + 24: 1}),
    (
        "the last half-hour of a day",
        [Step(SESSION, CHARGED, ALONE, when="2026-11-03 23:59")],
        {(ALONE, DAY): {47: 1}},
        {DAY * 48 + 47: 1},
    ),
    ("of a day that is no longer kept nothing", [Step(SESSION, CHARGED, ALONE, when="2026-11-02 23:59")], {}, {}),
    (
        "taken back, nothing is left of the customer",
        [Step(SESSION, CHARGED, ALONE), Step(SESSION, CHARGED, ALONE, -1)],
        {(ALONE, DAY): {24: 0}},
        {},
    ),
    ("a payment has no slot", [Step(PAYMENT, PAID, ALONE)], {}, {}),
]


@pytest.mark.parametrize(("situation", "steps", "counts", "own"), COUNT_CASES)
def test_slots_differ_by_this(situation, steps, counts, own):
    """And the customer's part holds the customer's own."""
    rule, customer = count_rule(), Customer()
    told(rule, customer, steps)
    assert rule.counts == counts
    assert set(rule.touched()) == set(counts)
    assert part(customer, "h") == own


def test_a_customer_comes_to_groups_with_all_that_is_kept():
    """Months and days before the first that is kept stay behind: their cells are gone."""
    customer = Customer()
    told(figure_rule(0), customer, [Step(PAYMENT, PAID, ALONE), Step(SESSION, CHARGED, ALONE, when="2025-10-31 12:00")])
    told(
        count_rule(0), customer, [Step(SESSION, CHARGED, ALONE), Step(SESSION, CHARGED, ALONE, when="2026-11-02 12:00")]
    )
    figures, counts = figure_rule(), count_rule()
    for rule in (figures, counts):
        rule.customer(customer, ("vip",), 1)
        rule.customer(customer, ("fleet",), -1)
    assert figures.payments == {
        (("vip",), 202611, "EUR"): [700, 0, 0, 1, 1, 0],
        (("fleet",), 202611, "EUR"): [-700, 0, 0, -1, -1, 0],
    }
    assert figures.sessions == {}
    assert counts.counts == {(("vip",), DAY): {24: 1}, (("fleet",), DAY): {24: -1}}


def test_a_customers_sums_of_before_energy_are_filled_up():
    """One who was stored with counts only moves with an energy of zero, and adds what comes."""
    customer = Customer(parts={"ms": msgspec.Raw(msgspec.msgpack.encode({202611: [2]}))})
    rule = figure_rule()
    rule.customer(customer, ("vip",), 1)
    assert rule.sessions == {(("vip",), 202611): [2, 1, 0, 0, 0]}
    rule.session(customer, CHARGED, at(NOON), 1)
    assert part(customer, "ms") == {202611: [3, 1000]}


def test_differences_are_folded_into_the_cells_of_their_groups():
    """A currency that a cell never showed gets a list of its own; cells share no list."""
    rule, cells = figure_rule(), {group: FigureCell(payments={}) for group in MEMBERS}
    cells[ALL].payments["EUR"] = [1, 2, 3, 4, 5, 6]
    told(rule, Customer(), [Step(PAYMENT, PAID, MEMBERS), Step(SESSION, CHARGED, MEMBERS)])
    rule.fold({(MEMBERS, 202611): [cells[group] for group in MEMBERS]})
    assert cells[ALL].payments == {"EUR": [701, 2, 3, 5, 6, 6]}
    assert cells["vip"].payments == cells["fleet"].payments == {"EUR": [700, 0, 0, 1, 1, 0]}
    assert cells["vip"].payments["EUR"] is not cells["fleet"].payments["EUR"]
    assert [cells[group].sessions for group in MEMBERS] == [[1, 1, 0, 1000, 0]] * 3
    counts, days = count_rule(), [CountCell(slots=[0] * 48), CountCell(slots=[1] * 48)]
    told(counts, Customer(), [Step(SESSION, CHARGED, (ALL, "vip"))])
    counts.fold({((ALL, "vip"), DAY): days})
    assert [cell.slots[23:26] for cell in days] == [[0, 1, 0], [1, 2, 1]]


def test_a_rule_is_told_what_it_is_made_of():
    """Sessions alone count by slot."""
    assert set(FigureRule.bases) == {PAYMENTS, SESSIONS}
    assert set(CountRule.bases) == {SESSIONS}


def test_what_is_past_is_pruned_from_a_customer():
    """Says whether there was any; a currency without a month goes, too."""
    customer = Customer()
    told(figure_rule(0), customer, [Step(PAYMENT, PAID, ALONE), Step(SESSION, CHARGED, ALONE)])
    told(count_rule(0), customer, [Step(SESSION, CHARGED, ALONE)])
    assert not prune_figures(customer, "m", 202611)
    assert not prune_counts(customer, "h", DAY * 48)
    assert prune_figures(customer, "m", 202612)
    assert prune_counts(customer, "h", (DAY + 1) * 48)
    assert customer.parts == {"mp": {}, "ms": {}, "h": {}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [({}, False), ({1: 2}, True), (msgspec.Raw(b"\x80"), False), (msgspec.Raw(b"\x81\x01\x02"), True)],
)
def test_a_part_is_something_decoded_or_not(value, expected):
    """An empty map is one byte."""
    assert is_something(value) is expected


def test_layouts_here_are_those_of_today():
    """The lists above have a place for each stored figure."""
    assert (PAYMENT_SUMS.size, SESSION_SUMS.size) == (6, 5)

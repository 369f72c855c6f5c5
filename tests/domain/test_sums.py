"""Layouts of sums: where a figure lies follows from the table of figures, and what is added can be taken back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain.events import DISCOUNT, ENERGY, RECEIVED, REFUNDED, Row
from stream_app.domain.figures import (
    FIGURES,
    KWH,
    PAYMENTS,
    SESSIONS,
    Average,
    Basis,
    Count,
    Customers,
    Figure,
    Part,
    Sum,
)
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS, Layout, Sums, filled
from tests.support.by_hand import payment, session

WHEN = "2026-11-03 12:00"


def named(layout: Layout, sums: Sums) -> dict[str, int]:
    return {figure.name: sums[layout.at(figure)] for figure in layout.figures}


LAYOUTS = [
    (
        PAYMENT_SUMS,
        ["receivedAmount", "discountAmount", "refundedAmount", "paymentCount", "payingCustomers", "anonymousAmount"],
    ),
    (
        SESSION_SUMS,
        ["sessionCount", "chargingCustomers", "anonymousSessionCount", "energyKwh", "anonymousEnergyKwh"],
    ),
]


@pytest.mark.parametrize(("layout", "names"), LAYOUTS)
def test_stored_lists_are_in_this_order(layout, names):
    """Rows of before are read by it, so it never changes: what came later lies behind, wherever documents show it."""
    assert [figure.name for figure in layout.figures] == names
    assert [figure.since for figure in layout.figures] == sorted(figure.since for figure in layout.figures)
    assert layout.zeros() == [0] * len(names)


def test_an_average_is_not_stored():
    """Nor has a layout figures of another basis."""
    for figure in FIGURES:
        layout, other = (PAYMENT_SUMS, SESSION_SUMS) if figure.basis is PAYMENTS else (SESSION_SUMS, PAYMENT_SUMS)
        assert (figure in layout.figures) == (not isinstance(figure, Average))
        with pytest.raises(KeyError):
            other.at(figure)


def _with_a_figure_in_front(basis: Basis) -> list[Figure]:
    """The table with a sum of its basis, its customers and its anonymous part, which people see first and which came last."""
    added = Sum("added", KWH, basis, "Added.", lambda _: 7, since=99)
    customers = Customers("addedCustomers", added, "Added.", since=99)
    return [Part("addedPart", added, "Added.", since=99), added, customers, *FIGURES]


@pytest.mark.parametrize(("before", "basis"), [(PAYMENT_SUMS, PAYMENTS), (SESSION_SUMS, SESSIONS)])
def test_a_figure_that_comes_later_is_stored_behind(before, basis):
    """Lists of before are a beginning of those of today."""
    after = Layout(basis, _with_a_figure_in_front(basis))
    assert after.figures[: before.size] == before.figures
    assert [figure.name for figure in after.figures[before.size :]] == ["addedPart", "added", "addedCustomers"]
    assert (after.customer_size, after.count_at) == (before.customer_size + 2, before.count_at)


@pytest.mark.parametrize(("before", "basis"), [(PAYMENT_SUMS, PAYMENTS), (SESSION_SUMS, SESSIONS)])
def test_lists_of_before_go_on_when_they_are_filled_up(before, basis):
    """What was added by fewer figures counts as nothing of the added one."""
    after = Layout(basis, _with_a_figure_in_front(basis))
    row = payment("p1", WHEN, "ann", 10).row if basis is PAYMENTS else session("s1", WHEN, "ann", energy=10).row
    cell, own = before.zeros(), before.customer_zeros()
    before.add(cell, own, row, 1)
    cell, own = filled(cell, after.size), filled(own, after.customer_size)
    assert after.add(cell, own, row, 1)
    found = named(after, cell)
    assert (found["added"], found["addedCustomers"], found["addedPart"]) == (7, 1, 0)
    assert own.count(7) == 1


@pytest.mark.parametrize(
    ("sums", "size", "expected"),
    [([], 0, []), ([], 2, [0, 0]), ([5], 3, [5, 0, 0]), ([1, 2], 2, [1, 2])],
)
def test_a_shorter_list_is_filled_with_zeros(sums, size, expected):
    """One that is whole is given back as it is."""
    assert filled(sums, size) == expected


rows_of_payments = st.builds(
    lambda received, refunded, discount: (
        payment("p", WHEN, None, received, refunded=min(refunded, received), discount=discount).row
    ),
    st.sampled_from([0, 1, 700, 2**53 - 1]),
    st.sampled_from([0, 1, 700]),
    st.sampled_from([0, 3]),
)
rows_of_sessions = st.builds(
    lambda energy: session("s", WHEN, None, energy=energy).row, st.sampled_from([None, 0, 1, 999_999_999])
)
customers = st.sampled_from([None, "ann", "bob", "cy"])
histories = st.one_of(
    st.tuples(st.just(PAYMENT_SUMS), st.lists(st.tuples(customers, rows_of_payments), max_size=8)),
    st.tuples(st.just(SESSION_SUMS), st.lists(st.tuples(customers, rows_of_sessions), max_size=8)),
)


class Cell:
    """A cell's list, and those of its customers."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.sums = layout, layout.zeros()
        self.own: dict[str, Sums] = {}

    def add(self, customer: str | None, row: Row, sign: int) -> None:
        if customer is None:
            self.layout.add_anonymous(self.sums, row, sign)
            return
        own = self.own.setdefault(customer, self.layout.customer_zeros())
        if not self.layout.add(self.sums, own, row, sign):
            del self.own[customer]


@given(histories, st.randoms(use_true_random=False))
def test_what_is_added_and_taken_back_leaves_zeros(history, random):
    """In whatever order it is taken back; nothing is left of a customer."""
    layout, events = history
    cell = Cell(layout)
    for customer, row in events:
        cell.add(customer, row, 1)
    random.shuffle(events)
    for customer, row in events:
        cell.add(customer, row, -1)
    assert (cell.sums, cell.own) == (layout.zeros(), {})


@given(histories, st.data())
def test_figures_equal_their_definition(history, data):
    """Sums over the events that are left, and distinct numbers the size of the set of their customers."""
    layout, events = history
    cell, left = Cell(layout), list(events)
    for customer, row in events:
        cell.add(customer, row, 1)
    for customer, row in data.draw(st.permutations(events))[: len(events) // 2]:
        cell.add(customer, row, -1)
        left.remove((customer, row))
    for figure in layout.figures:
        if isinstance(figure, Sum):
            expected = sum(_amount(figure, row) for _, row in left)
        elif isinstance(figure, Part):
            expected = sum(_amount(figure.of, row) for customer, row in left if customer is None)
        else:
            assert isinstance(figure, Customers)
            expected = len({c for c, row in left if c is not None and _amount(figure.of, row) > 0})
        assert cell.sums[layout.at(figure)] == expected, figure


def _amount(figure: Sum, row: Row) -> int:
    """Written down once more, apart from the table of figures."""
    if isinstance(figure, Count):
        return 1
    return {
        "receivedAmount": lambda: row[RECEIVED] - row[REFUNDED],
        "discountAmount": lambda: row[DISCOUNT],
        "refundedAmount": lambda: row[REFUNDED],
        "energyKwh": lambda: row[ENERGY] or 0,
    }[figure.name]()


@given(histories)
def test_a_customer_moves_as_a_whole(history):
    """All that a customer's list holds, added to another cell, is what its events would have added one by one."""
    layout, events = history
    cell = Cell(layout)
    for customer, row in events:
        cell.add(customer, row, 1)
    for name, own in cell.own.items():
        moved, direct = layout.zeros(), Cell(layout)
        layout.add_customer(moved, own, 1)
        for customer, row in events:
            if customer == name:
                direct.add(customer, row, 1)
        assert moved == direct.sums
        layout.add_customer(moved, own, -1)
        assert moved == layout.zeros()

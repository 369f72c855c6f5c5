"""How sums of figures lie in a cell and in a customer's row: lists in the order of `Figure.since`.

The layouts follow from the table of figures alone, so that a figure is added there and nowhere else. A cell holds sums,
numbers of customers and anonymous parts; a customer's row the sums, and a tally of the events that make the customer
one of a figure's customers: distinct numbers follow from tallies that go from 0 to 1 and back.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from stream_app.domain.events import Row
from stream_app.domain.figures import (
    FIGURES,
    PAYMENTS,
    SESSIONS,
    Amount,
    Average,
    Basis,
    Count,
    Customers,
    Figure,
    Linear,
    Part,
    Sum,
)

Sums = list[int]


class _Tally(NamedTuple):
    """A number of customers: customers with an event whose `amount` is more than zero.

    `at`: index of the number in a cell's list; `own_at`: index of the tally of such events in a customer's list.
    """

    at: int
    own_at: int
    amount: Amount


class Adder(NamedTuple):
    """What one event adds, and where: indexes in a cell's list and a customer's (-1: in none); None: only `Figure.amount` can tell."""

    amount: Linear | None
    at: int
    own_at: int


class Adders(NamedTuple):
    """How a Layout adds an event, as a value, for who does it without asking its methods."""

    sums: list[Adder]
    tallies: list[Adder]
    parts: list[Adder]
    customers_at: list[int]


class Layout:
    """The figures of one basis, `figures`, in the order of a cell's list, which has `size` of them.

    A customer's list has `customer_size` sums and tallies. `count_at`, `own_count_at`: where the number of events lies in either.
    """

    def __init__(self, basis: Basis, figures: Sequence[Figure] = FIGURES) -> None:
        own = sorted((figure for figure in figures if figure.basis is basis), key=lambda figure: figure.since)
        sums = [figure for figure in own if isinstance(figure, Sum)]
        customers = [figure for figure in own if isinstance(figure, Customers)]
        (count,) = [figure for figure in sums if isinstance(figure, Count)]
        self.figures = [figure for figure in own if not isinstance(figure, Average)]
        self.size = len(self.figures)
        self._at = at = {figure: index for index, figure in enumerate(self.figures)}
        tallies = [figure for figure in customers if figure.of is not count]
        own_at = {figure: index for index, figure in enumerate(f for f in own if f in sums or f in tallies)}
        self.customer_size = len(own_at)
        self.count_at, self.own_count_at = at[count], own_at[count]
        # (amount, index in a cell's list, index in a customer's list), without the count, to which each event adds one
        self._sums = [(figure.amount, at[figure], own_at[figure]) for figure in sums if figure is not count]
        self._customers_at = [at[figure] for figure in customers if figure.of is count]
        self._tallies = [_Tally(at[figure], own_at[figure], figure.of.amount) for figure in tallies]
        parts = [figure for figure in self.figures if isinstance(figure, Part)]
        self._parts = [(figure.of.amount, at[figure]) for figure in parts]
        self.adders = Adders(
            [Adder(figure.linear, at[figure], own_at[figure]) for figure in sums if figure is not count],
            [Adder(figure.of.linear, at[figure], own_at[figure]) for figure in tallies],
            [Adder(figure.of.linear, at[figure], -1) for figure in parts],
            self._customers_at,
        )

    def at(self, figure: Figure) -> int:
        """Where a figure lies in a cell's list. `Raises` KeyError for one of another basis, or an average."""
        return self._at[figure]

    def zeros(self) -> Sums:
        """A cell's list in which nothing counts."""
        return [0] * self.size

    def customer_zeros(self) -> Sums:
        """A customer's list in which nothing counts."""
        return [0] * self.customer_size

    # -- the rule: from an event to what it adds

    def add_anonymous(self, cell: Sums, row: Row, sign: int) -> None:
        """Add an event without a customer to a cell's list (sign 1), or take it back (-1)."""
        cell[self.count_at] += sign
        for amount, at, _ in self._sums:
            cell[at] += sign * amount(row)
        for amount, at in self._parts:
            cell[at] += sign * amount(row)

    def add(self, cell: Sums, own: Sums, row: Row, sign: int) -> bool:
        """Add an event to its customer's list and to a cell's (sign 1), or take it back (-1).

        Does anything of the customer's count after it?
        """
        cell[self.count_at] += sign
        own_count = own[self.own_count_at] = own[self.own_count_at] + sign
        for amount, at, own_at in self._sums:
            if by := sign * amount(row):  # most refunds and discounts are zero
                cell[at] += by
                own[own_at] += by
        if own_count == (sign > 0):  # 0 to 1, or 1 to 0
            for at in self._customers_at:
                cell[at] += sign
        for at, own_at, amount in self._tallies:
            if amount(row) > 0:
                tally = own[own_at] = own[own_at] + sign
                if tally == (sign > 0):
                    cell[at] += sign
        return own_count != 0

    def add_customer(self, cell: Sums, own: Sums, sign: int) -> None:
        """Add all that a customer's list holds to a cell's (sign 1), or take it away (-1)."""
        cell[self.count_at] += sign * own[self.own_count_at]
        for _, at, own_at in self._sums:
            cell[at] += sign * own[own_at]
        for at in self._customers_at:
            cell[at] += sign
        for at, own_at, _ in self._tallies:
            if own[own_at] > 0:
                cell[at] += sign


def filled(sums: Sums, size: int) -> Sums:
    """A list that was written when there were fewer figures, with zeros for those that came since."""
    return sums + [0] * (size - len(sums)) if len(sums) < size else sums


PAYMENT_SUMS: Final = Layout(PAYMENTS)
SESSION_SUMS: Final = Layout(SESSIONS)

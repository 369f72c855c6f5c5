"""How the sums of figures lie in a cell and in a customer's row: lists, in the order in which the figures came (`Figure.since`).

The layouts follow from the table of figures alone, so that a figure is added there and nowhere else. A cell holds sums, numbers of
customers and anonymous parts; a customer's row the sums, and a tally of the events that make the customer one of a figure's customers:
distinct numbers follow from tallies that go from 0 to 1 and back.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from stream_app.domain.events import Row
from stream_app.domain.figures import FIGURES, PAYMENTS, SESSIONS, Average, Basis, Count, Customers, Figure, Part, Sum

Sums = list[int]


class _Customers(NamedTuple):
    """Where a number of customers lies in a cell, and a customer's tally for it; an event counts for it if the sum of that index grows by it."""

    at: int
    tally_at: int
    sum_index: int
    is_sum: bool  # the tally is the count of events itself


class Layout:
    """The figures of one basis: `figures` in the order of a cell's list, `size` of them; a customer's list has `customer_size`."""

    def __init__(self, basis: Basis, figures: Sequence[Figure] = FIGURES) -> None:
        own = sorted((figure for figure in figures if figure.basis is basis), key=lambda figure: figure.since)
        sums = [figure for figure in own if isinstance(figure, Sum)]
        customers = [figure for figure in own if isinstance(figure, Customers)]
        (count,) = [figure for figure in sums if isinstance(figure, Count)]
        self.figures = [figure for figure in own if not isinstance(figure, Average)]
        self.size = len(self.figures)
        self._at = at = {figure: index for index, figure in enumerate(self.figures)}
        index_of = {figure: index for index, figure in enumerate(sums)}
        tallies = [figure for figure in customers if figure.of is not count]
        own_at = {figure: index for index, figure in enumerate(f for f in own if f in sums or f in tallies)}
        self.customer_size = len(own_at)
        self.count_at = at[count]
        self._own_count_at = own_at[count]
        self._amounts = [figure.amount for figure in sums]
        self._sums = [(at[figure], own_at[figure]) for figure in sums]
        self._parts = [(at[figure], index_of[figure.of]) for figure in self.figures if isinstance(figure, Part)]
        self._customers = [
            _Customers(at[figure], own_at.get(figure, self._own_count_at), index_of[figure.of], figure.of is count)
            for figure in customers
        ]

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
        amounts = [sign * amount(row) for amount in self._amounts]
        for (at, _), amount in zip(self._sums, amounts, strict=True):
            cell[at] += amount
        for at, index in self._parts:
            cell[at] += amounts[index]

    def add(self, cell: Sums, own: Sums, row: Row, sign: int) -> bool:
        """Add an event to its customer's list and to a cell's (sign 1), or take it back (-1). Does anything of the customer's count after it?"""
        amounts = [sign * amount(row) for amount in self._amounts]
        for (at, own_at), amount in zip(self._sums, amounts, strict=True):
            cell[at] += amount
            own[own_at] += amount
        for at, tally_at, index, is_sum in self._customers:
            if amounts[index]:
                if not is_sum:
                    own[tally_at] += sign
                if own[tally_at] == (sign > 0):  # 0 to 1, or 1 to 0
                    cell[at] += sign
        return own[self._own_count_at] != 0

    def add_customer(self, cell: Sums, own: Sums, sign: int) -> None:
        """Add all that a customer's list holds to a cell's (sign 1), or take it away (-1)."""
        for at, own_at in self._sums:
            cell[at] += sign * own[own_at]
        for at, tally_at, _, _ in self._customers:
            if own[tally_at] > 0:
                cell[at] += sign


def filled(sums: Sums, size: int) -> Sums:
    """A list that was written when there were fewer figures, with zeros for those that came since."""
    return sums + [0] * (size - len(sums)) if len(sums) < size else sums


PAYMENT_SUMS: Final = Layout(PAYMENTS)
SESSION_SUMS: Final = Layout(SESSIONS)

"""The key figures: one table, and everything that stores, publishes, serves or shows figures walks over it.

A `Sum` adds an amount of each counted event, a `Count` one; `Customers` are a distinct number; a `Part` is what
anonymous events add to a sum; an `Average` is a sum without its anonymous part, divided by customers. The basis of a
figure says which counted events it is made of: payments, which have a currency, or sessions, which have none.

A figure is added by a line of FIGURES, at the place where people shall see it, with `since` = VERSION + 1 of
domain.tables. Cells and customers' rows hold their sums in the order of `since`, so that rows of before are shorter,
and are filled up with zeros when they are read.
"""

import re
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from stream_app.domain.events import DISCOUNT, ENERGY, LASTED, RECEIVED, REFUNDED, Row
from stream_app.domain.money import DIGITS

Amount = Callable[[Row], int]
_MAY_BE_UNKNOWN: Final = (ENERGY, LASTED)


class Linear(NamedTuple):
    """An amount that is so many `times` some fields of a row, those that are unknown as 0, and a constant: one that needs no code of its own.

    `terms`: (field, times).
    """

    terms: tuple[tuple[int, int], ...]
    constant: int = 0

    def amount(self) -> Amount:
        """The same as a function, the fastest for what there is."""
        if not self.terms:
            return lambda _: self.constant
        if len(self.terms) == 1 and self.terms[0][1] == 1 and not self.constant:
            ((field, _),) = self.terms
            return (lambda row: row[field] or 0) if field in _MAY_BE_UNKNOWN else itemgetter(field)
        if [times for _, times in self.terms] == [1, -1] and not self.constant:
            (added, _), (taken, _) = self.terms
            if not {added, taken} & {*_MAY_BE_UNKNOWN}:
                return lambda row: row[added] - row[taken]
        return lambda row: sum([times * (row[field] or 0) for field, times in self.terms], self.constant)


class Basis(NamedTuple):
    """The counted events that a figure is made of."""

    name: str
    per_currency: bool


PAYMENTS: Final = Basis("payments", per_currency=True)
SESSIONS: Final = Basis("sessions", per_currency=False)


class Unit(NamedTuple):
    """The unit of a figure.

    `digits` after the point: None are those of the currency. A whole number is a number in JSON, all else a decimal
    string.
    """

    name: str
    digits: int | None


MONEY: Final = Unit("money", None)
COUNT: Final = Unit("count", 0)
RATIO: Final = Unit("ratio", 2)
KWH: Final = Unit("kWh", 3)


class Figure:
    """A key figure: name, unit, basis, meaning.

    `name` is the one in documents; `since` the version of the table of figures that brought it.
    """

    def __init__(self, name: str, unit: Unit, basis: Basis, meaning: str, since: int = 1) -> None:
        self.name, self.unit, self.basis, self.meaning, self.since = name, unit, basis, meaning, since
        self.column = re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", name)  # the one in ClickHouse

    def __repr__(self) -> str:
        return self.name

    def digits(self, currency: str) -> int:
        """Digits after the point, of an amount in a currency."""
        return DIGITS[currency] if self.unit.digits is None else self.unit.digits


class Sum(Figure):
    """A sum: each counted event adds `amount(row)`. `linear`: what that is, where no function must be asked."""

    def __init__(
        self, name: str, unit: Unit, basis: Basis, meaning: str, amount: Amount | Linear, since: int = 1
    ) -> None:
        super().__init__(name, unit, basis, meaning, since)
        self.linear = amount if isinstance(amount, Linear) else None
        self.amount = amount.amount() if isinstance(amount, Linear) else amount


class Count(Sum):
    """The number of counted events."""

    def __init__(self, name: str, basis: Basis, meaning: str, since: int = 1) -> None:
        super().__init__(name, COUNT, basis, meaning, Linear((), 1), since)


class Customers(Figure):
    """The number of customers with a counted event that adds more than zero to a sum."""

    def __init__(self, name: str, of: Sum, meaning: str, since: int = 1) -> None:
        super().__init__(name, COUNT, of.basis, meaning, since)
        self.of = of


class Part(Figure):
    """The anonymous part of a sum: what events without a customer add to it."""

    def __init__(self, name: str, of: Sum, meaning: str, since: int = 1) -> None:
        super().__init__(name, of.unit, of.basis, meaning, since)
        self.of = of


class Average(Figure):
    """A sum without its anonymous part, for each of the customers; rounded half-up, zero where there are none."""

    def __init__(self, name: str, unit: Unit, of: Sum, by: Customers, meaning: str, since: int = 1) -> None:
        super().__init__(name, unit, of.basis, meaning, since)
        self.of, self.by = of, by


_received = Sum(
    "receivedAmount", MONEY, PAYMENTS, "What the merchant received, refunds taken off.",
    Linear(((RECEIVED, 1), (REFUNDED, -1))),
)  # fmt: skip
_payments = Count("paymentCount", PAYMENTS, "Counted payments.")
_payers = Customers("payingCustomers", _received, "Customers with a counted payment of more than zero.")
_sessions = Count("sessionCount", SESSIONS, "Counted charging sessions.")
_chargers = Customers("chargingCustomers", _sessions, "Customers with a counted charging session.")
_energy = Sum("energyKwh", KWH, SESSIONS, "Energy of the counted sessions.", Linear(((ENERGY, 1),)), since=2)

FIGURES: Final[Sequence[Figure]] = (  # in the order of documents
    _received,
    Sum("discountAmount", MONEY, PAYMENTS, "What the merchant gave away.", Linear(((DISCOUNT, 1),))),
    Sum("refundedAmount", MONEY, PAYMENTS, "What was given back of payments that count.", Linear(((REFUNDED, 1),))),
    _payments,
    _payers,
    Average("perCapitaPayment", MONEY, _received, _payers, "Received amount of each paying customer, without anonymous payments."),
    _sessions,
    _chargers,
    Average("perCapitaFrequency", RATIO, _sessions, _chargers, "Sessions of each charging customer, without anonymous ones."),
    _energy,
    Average("perCapitaEnergy", KWH, _energy, _chargers, "Energy of each charging customer, without anonymous sessions.", since=2),
    Part("anonymousAmount", _received, "Received amount of payments without a customer."),
    Part("anonymousSessionCount", _sessions, "Counted sessions without a customer."),
    Part("anonymousEnergyKwh", _energy, "Energy of sessions without a customer.", since=2),
)  # fmt: skip

VERSION: Final = max(figure.since for figure in FIGURES)

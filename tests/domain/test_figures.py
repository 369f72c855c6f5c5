"""The table of figures holds together: names, columns, bases, and what each figure is made of."""

import re

import pytest

from stream_app.domain.events import CDR, DISCOUNT, ENERGY, LASTED, PAYMENT, RECEIVED, REFUNDED, SESSION, Row
from stream_app.domain.figures import (
    COUNT,
    FIGURES,
    KWH,
    MONEY,
    PAYMENTS,
    RATIO,
    SESSIONS,
    VERSION,
    Average,
    Count,
    Customers,
    Figure,
    Linear,
    Part,
    Sum,
)
from tests.support.by_hand import cdr, payment, session

WHEN = "2026-11-03 12:00"
ROWS: dict[int, Row] = {
    SESSION: session("s1", WHEN, energy=12_400).row,
    PAYMENT: payment("p1", WHEN, None, 1250, discount=150, refunded=200).row,
    CDR: cdr("k1", WHEN, WHEN, None, 990, energy=None).row,
}

FIGURES_BY_HAND = [
    # name, column, kind, unit, basis, what it adds of the session, of the payment, of the CDR of unknown energy
    ("receivedAmount", "received_amount", Sum, MONEY, PAYMENTS, None, 1050, 990),
    ("discountAmount", "discount_amount", Sum, MONEY, PAYMENTS, None, 150, 0),
    ("refundedAmount", "refunded_amount", Sum, MONEY, PAYMENTS, None, 200, 0),
    ("paymentCount", "payment_count", Count, COUNT, PAYMENTS, None, 1, 1),
    ("payingCustomers", "paying_customers", Customers, COUNT, PAYMENTS, None, None, None),
    ("perCapitaPayment", "per_capita_payment", Average, MONEY, PAYMENTS, None, None, None),
    ("sessionCount", "session_count", Count, COUNT, SESSIONS, 1, None, 1),
    ("chargingCustomers", "charging_customers", Customers, COUNT, SESSIONS, None, None, None),
    ("perCapitaFrequency", "per_capita_frequency", Average, RATIO, SESSIONS, None, None, None),
    ("energyKwh", "energy_kwh", Sum, KWH, SESSIONS, 12_400, None, 0),
    ("perCapitaEnergy", "per_capita_energy", Average, KWH, SESSIONS, None, None, None),
    ("anonymousAmount", "anonymous_amount", Part, MONEY, PAYMENTS, None, None, None),
    ("anonymousSessionCount", "anonymous_session_count", Part, COUNT, SESSIONS, None, None, None),
    ("anonymousEnergyKwh", "anonymous_energy_kwh", Part, KWH, SESSIONS, None, None, None),
]
BY_NAME = {figure.name: figure for figure in FIGURES}


@pytest.mark.parametrize(
    ("name", "column", "kind", "unit", "basis", "of_session", "of_payment", "of_cdr"), FIGURES_BY_HAND
)
def test_a_figure_is_this(name, column, kind, unit, basis, of_session, of_payment, of_cdr):
    """Other systems rely on names, columns and units; a sum adds this of each event of its basis."""
    figure = BY_NAME[name]
    assert (figure.column, type(figure), figure.unit, figure.basis) == (column, kind, unit, basis)
    assert figure.meaning.endswith(".")
    for row_kind, expected in ((SESSION, of_session), (PAYMENT, of_payment), (CDR, of_cdr)):
        if expected is not None:
            assert isinstance(figure, Sum)
            assert figure.amount(ROWS[row_kind]) == expected


def test_documents_have_the_figures_in_this_order():
    """The contract's, which all of them are held against here."""
    assert [figure.name for figure in FIGURES] == [name for name, *_ in FIGURES_BY_HAND]


@pytest.mark.parametrize("figure", FIGURES, ids=repr)
def test_a_figure_fits_the_others(figure: Figure):
    """What it is made of is in the table, of the same basis, and came no later."""
    made_of = [getattr(figure, name) for name in ("of", "by") if hasattr(figure, name)]
    assert bool(made_of) == (not isinstance(figure, Sum))
    for other in made_of:
        assert other in FIGURES
        assert (other.basis, other.since <= figure.since) == (figure.basis, True)
    assert 1 <= figure.since <= VERSION
    assert re.fullmatch("[a-z]+([A-Z][a-z]+)*", figure.name)
    assert figure.unit.digits is not None or figure.basis.per_currency


def test_digits_are_the_units_or_the_currencys():
    """Money has those of its currency."""
    received, energy = BY_NAME["receivedAmount"], BY_NAME["energyKwh"]
    assert [received.digits(currency) for currency in ("EUR", "JPY", "KWD")] == [2, 0, 3]
    assert [energy.digits(currency) for currency in ("EUR", "JPY", "KWD")] == [3, 3, 3]


LINEAR = [
    # fields and how many times each, a constant, what that is of the payment, and of the session of unknown duration
    (((RECEIVED, 1),), 0, 1250, None),
    (((RECEIVED, 1), (REFUNDED, -1)), 0, 1050, None),
    (((RECEIVED, 2), (DISCOUNT, 1), (REFUNDED, -3)), 10, 2060, None),
    (((ENERGY, 1),), 0, 0, 12_400),
    (((LASTED, 1),), 0, 0, 0),
    (((ENERGY, 1), (LASTED, -1)), 0, 0, 12_400),
    (((ENERGY, -1),), 0, 0, -12_400),
    ((), 1, 1, 1),
]


@pytest.mark.parametrize(("terms", "constant", "of_payment", "of_session"), LINEAR)
def test_a_linear_amount_adds_fields_and_a_constant(terms, constant, of_payment, of_session):
    """Fields that are unknown are 0; a session has none of a payment's."""
    amount = Linear(terms, constant).amount()
    assert amount(ROWS[PAYMENT]) == of_payment
    if of_session is not None:
        assert amount(ROWS[SESSION]) == of_session

"""Numbers and amounts as people write them: exact, or refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.sources.maps.cells import RefusedError
from stream_app.sources.maps.map_file import Money
from stream_app.sources.maps.numbers import minor_units, number


@pytest.mark.parametrize(
    ("text", "decimal", "thousands", "value"),
    [
        ("1.234,50", ",", ".", "1234.50"),
        ("1.234.567", ",", ".", "1234567"),
        ("1234,5", ",", ".", "1234.5"),
        ("1 234,5", ",", " ", "1234.5"),
        ("1\u00a0234,5", ",", " ", "1234.5"),
        ("\u00a01\u202f234\u202f567,5\u202f", ",", " ", "1234567.5"),
        ("-12,345.6", ".", ",", "-12345.6"),
        ("0.125", ".", ",", "0.125"),
    ],
)
def test_groups_of_three_left_of_the_decimal_sign_are_read(text, decimal, thousands, value):
    assert str(number(text, decimal, thousands)) == value


@pytest.mark.parametrize(
    ("text", "decimal", "thousands"),
    [
        ("12.50", ",", "."),
        ("1.2345", ",", "."),
        ("1234.567", ",", "."),
        ("0.125", ",", "."),
        ("1,2.345", ",", "."),
        (".123", ",", "."),
        ("1..234", ",", "."),
        ("1,234.567,8", ".", ","),
        ("1,00,000", ".", ","),
        ("1 23", ",", " "),
        ("1 234", ".", ""),
        ("12.4 kW", ".", ""),
    ],
)
def test_a_grouping_sign_anywhere_else_is_no_number(text, decimal, thousands):
    with pytest.raises(RefusedError) as refused:
        number(text, decimal, thousands)
    assert refused.value.reason == "not a number"


@given(st.integers(-(10**12), 10**12), st.sampled_from([(".", ","), (",", "."), (".", " "), (",", "’")]))  # noqa: RUF001
def test_a_number_written_in_groups_is_that_number(value, signs):
    decimal, thousands = signs
    grouped = f"{value:,}".replace(",", thousands)
    assert number(f"{grouped}{decimal}25", decimal, thousands) == Decimal(f"{value}.25")


def test_an_energy_may_have_its_unit_behind_it():
    assert number("12,4 kWh", ",", "", "kWh") == number("12,4kwh", ",", "", "kWh") == Decimal("12.4")


POUNDS, EUROS = Money(thousands=","), Money(decimal=",", thousands=" ")


@pytest.mark.parametrize(
    ("text", "currency", "money", "minor"),
    [
        ("£1,250.00", "GBP", POUNDS, 125000),
        ("£ 1,250.00", "GBP", POUNDS, 125000),
        ("GBP 1,250.00", "GBP", POUNDS, 125000),
        ("12,50 €", "EUR", EUROS, 1250),
        ("12,50\u00a0€", "EUR", EUROS, 1250),
        ("€\u202f1\u202f234,50", "EUR", EUROS, 123450),
        ("12,50 EUR", "EUR", EUROS, 1250),
        ("US$12.50", "USD", POUNDS, 1250),
        ("$12.50", "CAD", POUNDS, 1250),
        ("kr. 12,50", "DKK", EUROS, 1250),
        ("12,50 zł", "PLN", EUROS, 1250),
        ("¥1,200", "JPY", POUNDS, 1200),
    ],
)
def test_the_sign_of_the_currency_is_dropped(text, currency, money, minor):
    assert minor_units(text, currency, money) == minor


@pytest.mark.parametrize(
    ("text", "currency", "reason"),
    [
        ("£12.50", "EUR", "sign of another currency"),
        ("12.50 USD", "GBP", "sign of another currency"),
        ("kr 12.50", "GBP", "sign of another currency"),
        ("US$12.50", "CAD", "sign of another currency"),
        ("-£5.00", "GBP", "out of range"),
        ("£-5.00", "GBP", "out of range"),
        ("--5.00", "GBP", "not a number"),
        ("£", "GBP", "not a number"),
        ("12.50 each", "GBP", "not a number"),
        ("£12.50-£13", "GBP", "not a number"),
        ("0." + "0" * 40 + "1", "GBP", "more digits than the currency has"),
    ],
)
def test_what_else_stands_beside_an_amount_refuses_it(text, currency, reason):
    with pytest.raises(RefusedError) as refused:
        minor_units(text, currency, POUNDS)
    assert refused.value.reason == reason

"""Money: integers of the minor unit inside, decimal strings with the currency's digits outside.

The digits are ISO 4217's (CLDR and payment providers differ in a dozen currencies). Averages are rounded half-up, in
integers, so that every sink shows the same.
"""

from functools import cache
from typing import Final

from iso4217 import Currency

# Withdrawn from the list while records in them can still be within retention, or are replayed from history.
WITHDRAWN = {"ANG": 2, "BGN": 2, "CUC": 2, "HRK": 2, "SLL": 2, "ZWL": 2}
DIGITS: dict[str, int] = WITHDRAWN | {c.code: c.exponent for c in Currency if c.exponent is not None}


@cache
def unit(currency: str) -> int:
    """Minor units of a major one: 100 for EUR, 1 for JPY, 1000 for KWD. `Raises` KeyError for an unknown currency."""
    return int(10 ** DIGITS[currency])


_DIGITS_MAX: Final = 18
_UNITS: Final[list[int]] = [10**digits for digits in range(_DIGITS_MAX + 1)]
_FORMS: Final[list[str]] = [f"%d.%0{digits}d" for digits in range(_DIGITS_MAX + 1)]
_ZEROS: Final[list[str]] = ["0", *(f"0.{0:0{digits}d}" for digits in range(1, _DIGITS_MAX + 1))]


def decimal_string(amount: int, digits: int) -> str:
    """An integer of units of 10^-digits (18 at most) as a decimal string: (123450, 2) -> "1234.50"."""
    if not amount:  # most figures of most cells
        return _ZEROS[digits]
    if not digits:
        return str(amount)
    if amount < 0:
        return "-" + _FORMS[digits] % divmod(-amount, _UNITS[digits])
    return _FORMS[digits] % divmod(amount, _UNITS[digits])


def major(amount: int, currency: str) -> str:
    """Minor units as a decimal string of major ones with the currency's digits."""
    return decimal_string(amount, DIGITS[currency])


def half_up(numerator: int, denominator: int) -> int:
    """The quotient rounded half-up; zero when there is nobody to divide by."""
    return (2 * numerator + denominator) // (2 * denominator) if denominator else 0


def per_capita_payment(amount: int, customers: int, currency: str) -> str:
    """Minor units a paying customer, as a decimal string with the currency's digits."""
    return major(half_up(amount, customers), currency)


def per_capita_frequency(sessions: int, customers: int) -> str:
    """Sessions a charging customer, as a decimal string with two digits."""
    return decimal_string(half_up(sessions * 100, customers), 2)

"""A cell's text -> a number, an amount.

Beside cells.py, called by sections.py. Invariant: a value is exact or refused, never guessed: a grouping sign stands between groups of three
digits, and a currency sign is that of the row's currency. Pure: no I/O.
"""

import re
from base64 import b64decode
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Final

from stream_app.domain.money import DIGITS
from stream_app.sources.maps.cells import LIMIT, Reason, RefusedError
from stream_app.sources.maps.map_file import Money

# Blanks that stand in and around numbers: the ordinary one, and those that keep a number on one line.
_BLANKS: Final = " \u00a0\u202f\u2009"
# What stands beside amounts, in lower case -> the currencies that it may mean. Codes of ISO 4217 mean themselves.
_SIGNS: Final[Mapping[str, frozenset[str]]] = {
    sign: frozenset(currencies.split())
    for sign, currencies in {
        "€": "EUR",
        "£": "GBP GIP FKP SHP EGP SYP LBP SSP",
        "$": "USD CAD AUD NZD HKD SGD TWD MXN CLP COP ARS UYU BBD BMD BND BSD BZD FJD GYD JMD KYD LRD NAD SBD SRD TTD XCD",
        "us$": "USD",
        "ca$": "CAD",
        "c$": "CAD",
        "a$": "AUD",
        "au$": "AUD",
        "nz$": "NZD",
        "hk$": "HKD",
        "s$": "SGD",
        "nt$": "TWD",
        "mx$": "MXN",
        "r$": "BRL",
        "¥": "JPY CNY",
        "￥": "JPY CNY",
        "円": "JPY",
        "元": "CNY",
        "₩": "KRW KPW",
        "₹": "INR",
        "₺": "TRY",
        "₴": "UAH",
        "₽": "RUB",
        "₫": "VND",
        "₱": "PHP",
        "฿": "THB",
        "₪": "ILS",
        "₾": "GEL",
        "₸": "KZT",
        "₼": "AZN",
        "kr": "SEK NOK DKK ISK",
        "kr.": "DKK NOK SEK ISK",
        "fr": "CHF",
        "fr.": "CHF",
        "sfr.": "CHF",
        "zł": "PLN",
        "kč": "CZK",
        "ft": "HUF",
        "lei": "RON MDL",
        "лв": "BGN",
        "лв.": "BGN",
        "r": "ZAR",
        "rm": "MYR",
        "rp": "IDR",
    }.items()
}
_SIGNED = re.compile(
    r"(?P<minus>[+-]?)(?P<before>[^0-9+-]*)(?P<plain>[+-]?[0-9](?:.*[0-9])?)(?P<behind>[^0-9]*)", re.DOTALL
)


def number(text: str, decimal: str, thousands: str = "", unit: str = "") -> Decimal:
    """The number that a text names, with its unit behind it or without. `Raises` RefusedError."""
    plain = text.strip()
    if unit and plain.lower().endswith(unit.lower()):
        plain = plain[: -len(unit)].rstrip()
    if not _form(decimal, thousands).fullmatch(plain):
        raise RefusedError(Reason.BAD_NUMBER, f"{text!r}")
    whole, sign, fraction = plain.partition(decimal)
    digits = "".join(char for char in whole if char in "+-0123456789")
    return Decimal(f"{digits}.{fraction}" if sign else digits)


@cache
def _form(decimal: str, thousands: str) -> re.Pattern[str]:
    grouped = (
        rf"|[1-9][0-9]{{0,2}}(?:[{_BLANKS if thousands == ' ' else re.escape(thousands)}][0-9]{{3}})+"
        if thousands
        else ""
    )
    return re.compile(rf"[+-]?(?:[0-9]+{grouped})(?:{re.escape(decimal)}[0-9]+)?")


def minor_units(text: str, currency: str, money: Money, unit: str = "major") -> int:
    """An amount in a text, in this unit -> the integer of minor units, exact by the digits that ISO 4217 gives the currency. `Raises` RefusedError."""
    sign, digits, exponent = number(_without_sign(text, currency), money.decimal, money.thousands).as_tuple()
    minor = Decimal((sign, digits, int(exponent) + (DIGITS[currency] if unit == "major" else 0)))
    rounded = minor.quantize(Decimal(1), ROUND_HALF_UP) if abs(minor) < LIMIT else minor
    if not 0 <= rounded < LIMIT:
        raise RefusedError(Reason.OUT_OF_RANGE, f"{text!r} is not from 0 to 2^53 minor units")
    if rounded != minor and money.more_digits == "refuse":
        raise RefusedError(Reason.TOO_MANY_DIGITS, f"{text!r} of {currency}, which has {DIGITS[currency]}")
    return int(rounded)


def from_bytes(text: str, scale: int) -> str:
    """The number of an integer in base64 (big-endian, two's complement), with so many digits behind the point. `Raises` RefusedError."""
    try:
        unscaled = int.from_bytes(b64decode(text, validate=True), signed=True)
    except ValueError:
        raise RefusedError(Reason.BAD_NUMBER, f"{text[:100]!r} is no base64") from None
    if abs(unscaled) >= LIMIT * 10**scale:
        raise RefusedError(Reason.OUT_OF_RANGE, f"{text[:100]!r} is not below 2^53")
    return f"{Decimal(unscaled).scaleb(-scale):f}"


def _without_sign(text: str, currency: str) -> str:
    """An amount without the currency signs beside it. `Raises` RefusedError for a sign of another currency."""
    found = _SIGNED.fullmatch(text.strip())
    if not found:
        return text
    for part in (found["before"], found["behind"]):
        sign = part.strip().lower()
        if sign and sign != currency.lower() and currency not in _SIGNS.get(sign, ()):
            other = sign in _SIGNS or sign.upper() in DIGITS
            raise RefusedError(Reason.OTHER_CURRENCY if other else Reason.BAD_NUMBER, f"{text!r} of {currency}")
    return found["minus"] + found["plain"]

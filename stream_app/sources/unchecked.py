"""Fields that are kept but never make a record unusable: what is in them is read, or it is unknown.

Both ways in hand over the same values here (`Fractional` for a number with a fraction or an exponent), so that they can't disagree. Energy goes from text to whole
watt-hours by its digits: no float comes between.
"""

import re
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

from stream_app.sources.exact import ID_LENGTH, Fractional, is_id
from stream_app.sources.times import LAST_MS

_MOST_KWH: Final = Decimal("999999.999")
_WATT_HOUR: Final = Decimal("0.001")
_DIGITS: Final = 6  # of the most kilowatt-hours before the point
_WH_DIGITS: Final = 3  # behind it, in whole watt-hours
_PLAIN = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,9})?")
_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_KEPT: Final = 100_000

# Plain energies as they were written, in a string or as a number, to watt-hours: looked at first, since the same ones come again and again.
KNOWN_WH: Final[dict[str, int]] = {}


def energy_wh(found: object) -> int | None:
    """Kilowatt-hours as a decimal string or number, from 0 to 999,999.999, in watt-hours, rounded half-up; None for anything else."""
    if type(found) is int:
        return found * 1000 if 0 <= found <= _MOST_KWH else None
    if type(found) is str:
        return _wh(found) if _DECIMAL.fullmatch(found) else None
    return _wh(str(found)) if type(found) is Fractional else None


def _wh(number: str) -> int | None:
    known = KNOWN_WH.get(number)
    if known is not None:
        return known
    whole, _, part = number.partition(".")
    if len(whole) <= _DIGITS and len(part) <= _WH_DIGITS and (digits := f"{whole}{part:0<3}").isdecimal():
        return _keep(number, int(digits))
    try:
        kwh = Decimal(number)
    except InvalidOperation:  # an exponent that no arithmetic takes
        is_small = number[0] != "-" and "e-" in number.lower()
        return 0 if is_small or _is_zero(number) else None
    if not 0 <= kwh <= _MOST_KWH:
        return None
    wh = int(kwh.quantize(_WATT_HOUR, ROUND_HALF_UP).scaleb(3))
    return _keep(number, wh) if _PLAIN.fullmatch(number) else wh


def _keep(number: str, wh: int) -> int:
    if len(KNOWN_WH) >= _KEPT:
        KNOWN_WH.clear()
    KNOWN_WH[number] = wh
    return wh


def is_zero_energy(found: object) -> bool:
    """Is it a known energy of exactly zero? One that is only rounded to zero is not."""
    return energy_wh(found) == 0 and _is_zero(str(found))


def _is_zero(number: str) -> bool:
    """Is a number zero? By its digits, since an exponent may be too large for any arithmetic."""
    return not number.lower().partition("e")[0].strip("-0.")


def time_or_none(found: object) -> int | str | None:
    """What may be a time of our own contract: text, or epoch milliseconds in range; None for anything else."""
    if type(found) is int:
        return max(found, 0) if found <= LAST_MS else None
    return found if type(found) is str else None


def id_or_none(found: Any) -> str | None:
    """An id; None for anything else."""
    if type(found) is not str:
        return None
    if found.isprintable() and 0 < len(found) <= ID_LENGTH:  # so it holds no control character and no surrogate
        return found
    return found if is_id(found) else None

"""What the fast way of a map looks values up in: tables that fill themselves by the rules of the exact way, since the same values come again and again.

Invariant: a table gives what the exact way makes of a value, or raises one of DOUBTS.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from stream_app.domain.events import ALL
from stream_app.domain.local_time import QUARTER_MS
from stream_app.sources.exact import ID_LENGTH, Fractional
from stream_app.sources.maps import map_file as m
from stream_app.sources.maps.cells import RefusedError, zone_info
from stream_app.sources.maps.numbers import from_bytes, minor_units, number
from stream_app.sources.maps.paths import as_text
from stream_app.sources.times import epoch_ms, epoch_ms_or_utc
from stream_app.sources.unchecked import energy_wh

# What the fast way raises where it is not sure.
DOUBTS: Final = (
    msgspec.MsgspecError,
    RecursionError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RefusedError,
)
_KEPT: Final = 100_000
_GROUPS: Final = 1000  # of a customer, which never are too large
_SHORT: Final = 300  # characters of lists of groups that come again and again
_SHORT_BYTES: Final = 16
_MOST_WH: Final = 999_999_999
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WITH_EXPONENT: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?[eE][+-]?[0-9]+")


class _Table(dict[Any, Any]):
    """Made values by what they are made of, which may be of any type but a boolean: that is equal to a number.

    A number and a text are equal where they are written alike. They are also read alike, but with an exponent: what is written so is made each time.
    """

    def __init__(self, make: Callable[[Any], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, found: Any) -> Any:
        made = self._make(found)
        if isinstance(found, str) and _WITH_EXPONENT.fullmatch(found):
            return made
        if len(self) >= _KEPT:
            self.clear()
        self[found] = made
        return made


class Fractions(_Table):
    """Numbers of JSON with a fraction or an exponent, as they are written: the same object for the same text, which tables find sooner."""

    def __init__(self) -> None:
        super().__init__(Fractional)


class OfBytes(_Table):
    """What bytes say, by the bytes; long ones are made each time."""

    def __missing__(self, found: bytes) -> Any:
        return super().__missing__(found) if len(found) <= _SHORT_BYTES else self._make(found)


class Amounts(_Table):
    """Amounts of a currency, as they are written -> minor units. `Raises` ValueError for a blank one."""

    def __init__(self, spec: m.Amount, currency: str, money: m.Money) -> None:
        def make(found: Any) -> int:
            text = text_of(found)
            if spec.scale is not None and text:
                text = from_bytes(text, spec.scale)
            if not text.strip():
                raise ValueError(text)
            return minor_units(text, currency, money, spec.unit)

        super().__init__(make)


class Energies(_Table):
    """Energies, as they are written -> watt-hours, None for what is none."""

    def __init__(self, spec: m.Energy) -> None:
        def make(found: Any) -> int | None:
            text = text_of(found)
            try:
                energy = number(text, spec.decimal, spec.thousands, spec.unit)
            except RefusedError:
                return None
            return _wh(energy, spec.unit)

        super().__init__(make)


class Groups(_Table):
    """The groups of a customer, as GROUPS of objects.py has them -> sorted and each once, in a list that is never changed; None where nothing is said.

    `separator`: between several in one text; `looks_at_ids`: one that is not printable is in doubt. `Raises` TypeError and ValueError.
    """

    def __init__(self, separator: str | None, *, looks_at_ids: bool = False) -> None:
        def make(found: Any) -> list[str] | None:
            if type(found) is tuple:
                parts = list(map(text_of, found))
            else:
                text = text_of(found)
                if not text.strip():
                    return None
                parts = text.split(separator) if separator else [text]
            ids = {stripped for part in parts if (stripped := part.strip())}
            if ALL in ids or len(ids) > _GROUPS or max(map(len, ids), default=0) > ID_LENGTH:
                raise ValueError(ids)
            if looks_at_ids and not "".join(ids).isprintable():
                raise ValueError(ids)
            return sorted(ids)

        super().__init__(make)

    def __missing__(self, found: Any) -> Any:
        return super().__missing__(found) if len(str(found)) <= _SHORT else self._make(found)


class Offsets(_Table):
    """Quarter hours of a zone's wall clock, counted as if it were UTC's -> milliseconds that it is ahead of UTC.

    `Raises` ValueError for one that clocks skip or show twice.
    """

    def __init__(self, zone: str) -> None:
        info = zone_info(zone)

        def make(quarter: int) -> int:
            local = (_EPOCH + timedelta(milliseconds=quarter * QUARTER_MS)).replace(tzinfo=info)
            first, second = local.utcoffset(), local.replace(fold=1).utcoffset()
            if first != second or first is None:
                raise ValueError(quarter)
            return first // timedelta(milliseconds=1)

        super().__init__(make)


def text_of(found: Any) -> str:
    """The text of a cell. `Raises` TypeError for an object or an array."""
    if type(found) is str:
        return found
    text = as_text(found)
    if text is None:
        raise TypeError
    return text


def as_id(found: Any) -> str:
    """An id that is not written as a usual text. `Raises` TypeError and ValueError."""
    text = text_of(found)
    if not text or len(text) > ID_LENGTH:
        raise ValueError(text)
    return text


def listed_texts(found: Any) -> str | tuple[str, ...]:
    """A text, or those of a list, of values of any type. `Raises` TypeError for an object, and for a list that holds an object or an array."""
    return tuple(map(text_of, found)) if type(found) is list else text_of(found)


def local_ms(found: Any, offsets: Offsets | None) -> int:
    """The instant of a wall clock's time in RFC 3339 without an offset, of the zone of the offsets. `Raises` TypeError and ValueError."""
    ms = epoch_ms_or_utc(found)
    if offsets is None or ms is None or not ms or epoch_ms(found) is not None:
        raise ValueError(found)
    offset: int = offsets[ms // QUARTER_MS]
    return ms - offset


def energy_left(found: Any, less: Any, spec: m.Energy) -> int | None:
    """An energy less what is taken off, in watt-hours; None where one of both is none."""
    if found is None or less is None:
        return None
    if spec.unit == "Wh" and type(found) is int and type(less) is int and 0 <= found - less <= _MOST_WH:
        return found - less
    texts = text_of(found), text_of(less)
    try:
        first, second = (number(text, spec.decimal, spec.thousands, spec.unit) for text in texts)
    except RefusedError:
        return None
    return _wh(first - second, spec.unit)


def _wh(energy: Decimal, unit: str) -> int | None:
    return energy_wh(f"{energy.scaleb(-3) if unit == 'Wh' else energy:f}")

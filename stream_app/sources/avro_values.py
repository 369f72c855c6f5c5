"""What the fast ways of Avro ask of a schema, what they look values up in, and what they call for those that are rare.

Under `avro_objects` and `avro_types`. Invariant: a value is what msgspec makes of the JSON that `avro` makes of it, or one of DOUBTS of lookups.py is raised.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import orjson
from fastavro.read import LOGICAL_READERS

from stream_app.sources.compiled_values import UncompiledError
from stream_app.sources.exact import Fractional
from stream_app.sources.json_values import as_parsed, number, shortest
from stream_app.sources.lookups import OfBytes

_BYTES_MAX: Final = 9  # of an integer: 63 bits; what is longer is left to `avro`
_INT64: Final = 2**63
DECIMAL_BYTES_MAX: Final = 1000  # what may have more digits than Python writes is left to `avro`
_SYMBOLS_MAX: Final = 64  # of an enum whose index is one byte

# By the unit of a time: how many pairs of bytes those of today take, 0 where they don't come in pairs; and how many make a millisecond.
UNITS: Final = {"millis": (3, 1), "micros": (4, 1000), "nanos": (0, 1_000_000)}


def resolved(schema: Any, named: Mapping[str, Any]) -> tuple[str, Any]:
    """The kind of a schema that fastavro has parsed, and what says more of it. `named`: types by their names."""
    while isinstance(schema, dict) and not isinstance(schema["type"], str):
        schema = schema["type"]
    if isinstance(schema, list):
        return "union", schema
    if isinstance(schema, str):
        schema = named.get(schema, {"type": schema})
    kind = schema["type"]
    return ("record" if kind == "error" else kind), schema


def logical_type(schema: Mapping[str, Any], prefix: str) -> str:
    """Its logical type, without what stands before the names of these; empty where it has none."""
    return str(schema.get("logicalType", "")).removeprefix(prefix)


def _more(value: bytes, at: int, whole: int) -> tuple[int, int]:
    """An integer, in zigzag, whose first byte is known, and where it ends."""
    whole, shift = whole - 128, 7
    for byte in value[at : at + _BYTES_MAX - 1]:
        at += 1
        if byte < 128:
            return whole + (byte << shift), at
        whole += (byte - 128) << shift
        shift += 7
    raise LookupError


def _size(value: bytes, at: int, first: int) -> tuple[int, int]:
    """The same of a size, which is not below zero."""
    found = _more(value, at, first) if first > 127 else (first, at)
    if found[0] & 1:
        raise LookupError
    return found


def _positive(value: bytes, at: int) -> tuple[int, int]:
    """A number that is not below zero, and where it ends."""
    found, at = _size(value, at + 1, value[at])
    return found >> 1, at


class _Pairs(dict[int, int]):
    """Two bytes of a number that is not below zero -> what they add to it. `Raises` KeyError where it does not go on as it should."""

    def __init__(self, position: int, *, is_last: bool) -> None:
        super().__init__()
        self._position, self._is_last = position, is_last

    def __missing__(self, pair: int) -> int:
        first, second = pair & 0xFF, pair >> 8
        if first < 128 or (second < 128) != self._is_last or (not self._position and first & 1):
            raise KeyError(pair)
        made = self[pair] = (first & 127 | (second & 127) << 7) << 14 * self._position >> 1
        return made


def _of_float(found: bytes) -> Fractional | str:
    (value,) = struct.unpack("<f" if len(found) == 4 else "<d", found)
    told = shortest(value) if len(found) == 4 else number(value)
    return told if isinstance(told, str) else Fractional(orjson.dumps(told).decode())


def _checked(size: int) -> OfBytes:
    def make(found: bytes) -> Any:
        if len(found) != size:
            raise LookupError
        return _of_float(found)

    return OfBytes(make)


@cache
def decimals(scale: int) -> OfBytes:
    """Bytes of decimals of a scale -> the numbers."""

    def make(found: bytes) -> int | Fractional:
        unscaled = int.from_bytes(found, signed=True)
        if not scale:
            if not -_INT64 <= unscaled < _INT64:
                raise LookupError
            return unscaled
        digits = f"{abs(unscaled):0{scale + 1}d}"
        return Fractional(f"{'-' * (unscaled < 0)}{digits[:-scale]}.{digits[-scale:]}")

    return OfBytes(make)


def enum_words(symbols: Sequence[str]) -> dict[int, str]:
    """The symbols of an enum by the byte that is written; what is more than one byte is left to `avro`."""
    return {2 * position: symbol for position, symbol in enumerate(symbols[:_SYMBOLS_MAX])}


def fixed_size(schema: Mapping[str, Any]) -> int:
    """The size of a type of fixed size. `Raises` UncompiledError for one that is very large."""
    size = int(schema["size"])
    if size > DECIMAL_BYTES_MAX:
        raise UncompiledError
    return size


def told(kind: str, schema: dict[str, Any]) -> Callable[[Any], Any] | None:
    """What tells a value as JSON has it; None where it does not differ."""
    read = LOGICAL_READERS.get(f"{kind}-{schema.get('logicalType')}")
    return None if read is None else lambda found: as_parsed(read(found, schema, None))


GIVEN: Final[Mapping[str, Any]] = {  # to a function of the lines of avro_objects.py
    "more": _more, "size": _size, "positive": _positive, "BOOLEANS": {0: False, 1: True}, "FLOATS": _checked(4), "DOUBLES": _checked(8),
    "StructError": struct.error, "PAIRS_3": struct.Struct("<HHH").unpack_from, "PAIRS_4": struct.Struct("<HHHH").unpack_from,
    **{f"PAIR_{n}": _Pairs(n, is_last=False) for n in range(3)},
    **{f"PAIR_{n}_LAST": _Pairs(n, is_last=True) for n in (2, 3)},
}  # fmt: skip

"""Integers beyond 64 bits in rows: msgpack ends there, and sums do not. They travel as an extension of msgpack.

A row that holds one is rare, so nothing is looked for: msgspec refuses the row, and it is encoded anew this way.
"""

from typing import Any, Final

import msgspec

_CODE: Final = 1
_LOWEST, _HIGHEST = -(1 << 63), (1 << 64) - 1


def widened(value: Any) -> Any:
    """A value as lists and maps whose integers msgpack can hold; structs are lists, as they are in rows."""
    if type(value) is int and not _LOWEST <= value <= _HIGHEST:
        return msgspec.msgpack.Ext(_CODE, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    if isinstance(value, msgspec.Struct):
        return [widened(getattr(value, name)) for name in value.__struct_fields__]
    if isinstance(value, (list, tuple)):
        return [widened(item) for item in value]
    if isinstance(value, dict):
        return {key: widened(item) for key, item in value.items()}
    return value


def ext_hook(code: int, data: memoryview) -> int:
    """The integer of an extension, for decoders. `Raises` ValueError for any other extension."""
    if code != _CODE:
        raise ValueError(f"an extension of msgpack with code {code}")
    return int.from_bytes(data, "big", signed=True)

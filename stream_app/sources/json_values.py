"""Values of binary formats as the JSON that they would be: what readers of such formats have in common."""

import math
import struct
from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final

import msgspec
import orjson

from stream_app.sources.exact import Fractional

ToJson = Callable[[bytes], bytes]  # of the bytes of a record, `Raises` NotOfSchemaError

_FLOAT: Final = struct.Struct("<f")
_parse: Final = msgspec.json.Decoder(float_hook=Fractional).decode


class NotOfSchemaError(Exception):
    """Bytes that are not of a schema, or a schema that can't be used. The message says which, without a place."""


def as_parsed(found: Any) -> Any:
    """A value that orjson writes, as the fast way of a map has it of that JSON."""
    return _parse(orjson.dumps(found))


def base64_text(found: bytes) -> str:
    """Bytes, as in the JSON of Kafka Connect and of Protobuf."""
    return b64encode(found).decode()


def shortest(found: float) -> float | str:
    """A number of 32 bits: of those that it is the nearest to, the one of the fewest digits."""
    if not math.isfinite(found):
        return str(found)
    tried = (float(f"{found:.{digits}g}") for digits in (6, 7, 8))
    return next((each for each in tried if _FLOAT.unpack(_FLOAT.pack(each))[0] == found), float(f"{found:.9g}"))


def number(found: float) -> float | str:
    """A number of 64 bits. JSON has none that is not finite, and null would be a missing field."""
    return found if math.isfinite(found) else str(found)

"""Avro by a schema of the writer -> the JSON that the same record would be, as bytes.

Under `wire`. Invariant: a value keeps its digits. A decimal is a JSON number of just its digits, and a `float` the shortest number that it is the nearest to. An
instant is text in RFC 3339, one of a `local-timestamp` the same without an offset; a date and a time of day are text of ISO 8601; bytes are base64, as in the
JSON of Kafka Connect. A value beyond what its text may say stays the integer that it is.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from io import BytesIO
from typing import Any, Final
from uuid import UUID

import fastavro
import orjson
from fastavro.read import LOGICAL_READERS

from stream_app.sources import avro_objects, avro_types
from stream_app.sources.json_values import NotOfSchemaError, base64_text, number, shortest
from stream_app.sources.objects import Node
from stream_app.sources.schema_types import Types, Wanted

_OWN: Final = "crm-stats-"  # before the names of logical types: fastavro's own readers round, and end in floats
_OF_ANY: Final = "_crm_stats"  # a record around every schema, which takes no bytes: fastavro forgets what others than records refer to
_SCALE_MAX: Final = 100
_UUID_BYTES: Final = 16
_EPOCH, _LOCAL_EPOCH = datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 1)  # noqa: DTZ001  # a wall clock has no zone
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


class Avro:
    """A schema. `others`: schemas that it refers to, each behind those that it refers to itself.

    `Raises` NotOfSchemaError for a schema that can't be used.
    """

    def __init__(self, schema: str, others: Iterable[str] = ()) -> None:
        self._named: dict[str, Any] = {}
        try:
            for text in others:
                fastavro.parse_schema(_marked(json.loads(text)), self._named)
            whole = {
                "type": "record",
                "name": _OF_ANY,
                "fields": [{"name": _OF_ANY, "type": _marked(json.loads(schema))}],
            }
            self._parsed: Any = fastavro.parse_schema(whole, self._named)
        except Exception as error:  # noqa: BLE001  # a schema of others may be wrong in any way
            raise NotOfSchemaError(f"it is no schema of Avro: {error!r}") from None

    def to_json(self, record: bytes) -> bytes:
        """What a record says. `Raises` NotOfSchemaError."""
        read: Any = fastavro.schemaless_reader
        stream = BytesIO(record)
        try:
            made = orjson.dumps(read(stream, self._parsed, None)[_OF_ANY])
        except Exception as error:  # noqa: BLE001  # bytes of others may be wrong in any way
            raise NotOfSchemaError(f"the value is not of it: {error or type(error).__name__}") from None
        if rest := len(record) - stream.tell():
            raise NotOfSchemaError(f"the value is not of it: {rest} bytes are left behind the record")
        return made

    def objects(self, root: Node) -> Callable[[bytes], Any]:
        """As in avro_objects.py. `Raises` UncompiledError."""
        return avro_objects.reader(self._schema, self._named, _OWN, root)

    def types(self, of: Types, wanted: Wanted) -> int:
        """As in avro_types.py. `Raises` UnknownError."""
        return avro_types.types(self._schema, self._named, _OWN, of, wanted)

    @property
    def _schema(self) -> Any:
        return self._parsed["fields"][0]["type"]


def _marked(schema: Any) -> Any:
    """The schema, with logical types of our own names wherever a reader of ours is to have the value."""
    if isinstance(schema, list):  # a union
        return [_marked(each) for each in schema]
    if isinstance(schema, str):  # a type of Avro's, or a named one
        return {"type": schema, "logicalType": _OWN} if f"{schema}-{_OWN}" in LOGICAL_READERS else schema
    kind = schema["type"]
    if kind in ("record", "error"):
        own: Any = {"fields": [{**field, "type": _marked(field["type"])} for field in schema["fields"]]}
    elif kind in ("array", "map"):
        of = "items" if kind == "array" else "values"
        if kind == "array" and _is_nothing(schema[of]):
            raise ValueError("an array of what takes no bytes, of which a few bytes may name any number")
        own = {of: _marked(schema[of])}
    else:
        own = {"logicalType": _own_type(kind, schema)} if isinstance(kind, str) else {"type": _marked(kind)}
    return {**schema, **own}


def _is_nothing(schema: Any) -> bool:
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind in ("record", "error"):
        return all(_is_nothing(field["type"]) for field in schema["fields"])
    return bool(kind == "null" or (kind == "fixed" and schema["size"] == 0))


def _own_type(kind: str, schema: Mapping[str, Any]) -> str:
    """By the specification a logical type that is unknown, or does not fit, is as none."""
    name = f"{_OWN}{schema.get('logicalType', '')}"
    if f"{kind}-{name}" not in LOGICAL_READERS:
        return _OWN
    scale = schema.get("scale", 0)
    is_unfit = name == f"{_OWN}decimal" and not (type(scale) is int and 0 <= scale <= _SCALE_MAX)
    return _OWN if is_unfit or (name == f"{_OWN}uuid" and schema.get("size") != _UUID_BYTES) else name


def _decimal(unscaled: bytes, schema: Any, _: Any) -> orjson.Fragment:
    return _number(unscaled, schema.get("scale", 0))


@lru_cache(maxsize=100_000)  # the same amounts come again and again
def _number(unscaled: bytes, scale: int) -> orjson.Fragment:
    number = int.from_bytes(unscaled, signed=True)
    if not scale:
        return orjson.Fragment(str(number))
    digits = f"{abs(number):0{scale + 1}d}"
    return orjson.Fragment(f"{'-' * (number < 0)}{digits[:-scale]}.{digits[-scale:]}")


def _day(found: int, *_: Any) -> date | int:
    try:
        return date.fromordinal(_EPOCH_DAY + found)
    except (ValueError, OverflowError):
        return found


def _instants(epoch: datetime, **unit: int) -> Callable[..., datetime | int]:
    one = timedelta(**unit)

    def read(found: int, *_: Any) -> datetime | int:
        try:
            return epoch + found * one
        except OverflowError:
            return found

    return read


def _nanoseconds(epoch: datetime) -> Callable[..., datetime | int]:
    read = _instants(epoch, microseconds=1)
    return lambda found, *_: read(found // 1000)  # all that is told apart are milliseconds


def _clock(**unit: int) -> Callable[..., time | int]:
    read = _instants(_LOCAL_EPOCH, **unit)

    def clock(found: int, *_: Any) -> time | int:
        when = read(found)
        return when.time() if isinstance(when, datetime) and when.date() == _LOCAL_EPOCH.date() else found

    return clock


# By the type, and the logical one behind it.
LOGICAL_READERS.update(
    {
        f"{kind}-{_OWN}{logical}": read
        for kind, logical, read in (
            ("bytes", "", lambda found, *_: base64_text(found)),
            ("fixed", "", lambda found, *_: base64_text(found)),
            ("float", "", lambda found, *_: shortest(found)),
            ("double", "", lambda found, *_: number(found)),
            ("bytes", "decimal", _decimal),
            ("fixed", "decimal", _decimal),
            ("fixed", "uuid", lambda found, *_: UUID(bytes=found)),
            ("int", "date", _day),
            ("int", "time-millis", _clock(milliseconds=1)),
            ("long", "time-micros", _clock(microseconds=1)),
            ("long", "timestamp-millis", _instants(_EPOCH, milliseconds=1)),
            ("long", "timestamp-micros", _instants(_EPOCH, microseconds=1)),
            ("long", "timestamp-nanos", _nanoseconds(_EPOCH)),
            ("long", "local-timestamp-millis", _instants(_LOCAL_EPOCH, milliseconds=1)),
            ("long", "local-timestamp-micros", _instants(_LOCAL_EPOCH, microseconds=1)),
            ("long", "local-timestamp-nanos", _nanoseconds(_LOCAL_EPOCH)),
        )
    }
)

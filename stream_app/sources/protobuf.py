"""Protobuf by a schema of the writer -> the JSON that the same message would be, as bytes.

Under `wire`. Invariant: a value keeps its digits: integers are JSON numbers, of 64 bits, too (Protobuf's own JSON has texts there), and a `float` is the shortest
number that it is the nearest to. Fields have the names of the schema. One that can't tell whether it is set has its default, as 0; one that can, and is not, is
missing. An enum is its name, a Timestamp RFC 3339, a wrapper what it holds, bytes are base64.
"""

from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import orjson
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import FieldDescriptor

from stream_app.sources import protobuf_objects, protobuf_types
from stream_app.sources.compiled_values import UncompiledError
from stream_app.sources.json_values import NotOfSchemaError, base64_text, number, shortest
from stream_app.sources.objects import Node
from stream_app.sources.protobuf_objects import Told
from stream_app.sources.schema_types import Types, Wanted, known
from stream_app.sources.times import LAST_MS

_KNOWN: Final = {
    module.DESCRIPTOR.name: module.DESCRIPTOR.serialized_pb
    for module in (any_pb2, descriptor_pb2, duration_pb2, empty_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
}  # fmt: skip
_ITSELF: Final = "the schema"  # as a file; those that others refer to have names of their own
_LAST_S: Final = LAST_MS // 1000


def _as_it_is(found: Any) -> Any:
    return found


def _timestamp(found: Any) -> str:
    """As ToJsonString, which takes ten times as long, has it."""
    seconds, nanos = found.seconds, found.nanos
    milliseconds, rest = divmod(nanos, 1_000_000)
    if rest or not 0 <= milliseconds < 1000 or not 0 <= seconds <= _LAST_S:
        return str(found.ToJsonString())
    text = datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
    return f"{text}.{milliseconds:03d}Z" if milliseconds else f"{text}Z"


def _wrapped(name: str) -> Told:
    """Of a wrapper."""
    own: Mapping[str, Told] = {"Bytes": base64_text, "Double": number, "Float": shortest}
    of = own.get(name, _as_it_is)
    return lambda found: of(found.value)


_OF_MESSAGE: Final[Mapping[str, Told]] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": lambda found: found.ToJsonString(),
    **{
        f"google.protobuf.{name}Value": _wrapped(name)
        for name in ("Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64")
    },
    **{f"google.protobuf.{name}": json_format.MessageToDict for name in ("Struct", "Value", "ListValue", "Any", "FieldMask")},
}  # fmt: skip


class Protobuf:
    """A schema: messages of one of its types, behind the indexes that name the message. Schemas are serialized descriptors of files, in base64.

    `others`: those that it imports, by the names of the imports, each behind those that it imports itself. `Raises` NotOfSchemaError for a schema that can't be used.
    """

    def __init__(self, schema: str, others: Mapping[str, str] = MappingProxyType({})) -> None:
        self._pool = descriptor_pool.DescriptorPool()
        try:
            for serialized in _KNOWN.values():
                self._pool.AddSerializedFile(serialized)
            files = [_add(self._pool, name, text) for name, text in others.items() if name not in _KNOWN]
            self._file = _add(self._pool, _ITSELF, schema)
        except Exception as error:  # noqa: BLE001  # a schema of others may be wrong in any way
            raise NotOfSchemaError(f"it is no schema of Protobuf: {error!r}") from None
        self._are_texts_checked = all(file.syntax == "proto3" for file in [*files, self._file])
        self._types: dict[bytes, tuple[Told, Told]] = {}
        self._known: dict[str, Told] = {}

    def to_json(self, record: bytes) -> bytes:
        """What a message says, behind its indexes. `Raises` NotOfSchemaError."""
        try:
            indexes, at = _indexes(record)
            found = self._types.get(record[:at])
            if found is None:
                named = self._pool.FindMessageTypeByName(_name(self._file, indexes))
                found = self._types[record[:at]] = _parser(named), _object_of(named, self._known)
            parse, object_of = found
            return orjson.dumps(object_of(parse(record[at:])))
        except Exception as error:  # noqa: BLE001  # bytes of others may be wrong in any way
            raise NotOfSchemaError(f"the value is not of it: {error or type(error).__name__}") from None

    def objects(self, root: Node) -> Told:
        """As in protobuf_objects.py. `Raises` UncompiledError."""
        if not self._are_texts_checked:  # by the parser, of proto3 alone; those of others where they are read
            raise UncompiledError
        return protobuf_objects.reader(self._messages(), _parser, lambda field: _of_field(field, self._known), root)

    def types(self, of: Types, wanted: Wanted) -> int:
        """As in protobuf_types.py. `Raises` UnknownError."""
        known(self._are_texts_checked)
        return protobuf_types.types(self._messages(), of, wanted)

    def _messages(self) -> list[Any]:
        """The types of the messages of the file, in its order."""
        named = (_name(self._file, [index]) for index in range(len(self._file.message_type)))
        return [self._pool.FindMessageTypeByName(name) for name in named]


def _parser(type_: Any) -> Told:
    parse: Told = message_factory.GetMessageClass(type_).FromString
    return parse


def _add(pool: Any, name: str, text: str) -> Any:
    file = descriptor_pb2.FileDescriptorProto.FromString(b64decode(text, validate=True))
    file.name = name
    pool.AddSerializedFile(file.SerializeToString())
    return file


def _indexes(record: bytes) -> tuple[list[int], int]:
    """Where the message stands among those of its file, from the outside in, and where it begins. A single zero is written as none."""
    count, at = _varint(record, 0)
    found = []
    for _ in range(count):
        index, at = _varint(record, at)
        found.append(index)
    return found or [0], at


def _varint(record: bytes, at: int) -> tuple[int, int]:
    """A number in zigzag, from 0 on, and where it ends."""
    whole = shift = 0
    while True:
        byte = record[at]
        whole, shift, at = whole | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            break
    if whole & 1:
        raise ValueError("a message's index is below zero")
    return whole >> 1, at


def _name(file: Any, indexes: list[int]) -> str:
    found = file.message_type[indexes[0]]
    names = [file.package] if file.package else []
    names.append(found.name)
    for index in indexes[1:]:
        found = found.nested_type[index]
        names.append(found.name)
    return ".".join(names)


def _object_of(type_: Any, known: dict[str, Told]) -> Told:
    """What makes objects of messages of a type. `known`: those of types of the same schema, by their names; a type may hold itself."""
    if type_.full_name in known:
        return known[type_.full_name]
    fields: list[tuple[str, bool, Told | None]] = []

    def object_(message: Any) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, has_presence, of in fields:
            if has_presence and not message.HasField(name):
                continue
            found = getattr(message, name)
            made[name] = found if of is None else of(found)
        return made

    known[type_.full_name] = object_
    fields += [(field.name, field.has_presence, _of_field(field, known)) for field in type_.fields]
    return object_


def _of_field(field: Any, known: dict[str, Told]) -> Told | None:
    """What makes of a field's value the one of JSON; None where it is the same."""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        of = _value(field.message_type.fields_by_name["value"], known) or _as_it_is
        return lambda found: {_key(key): of(found[key]) for key in found}
    one = _value(field, known)
    if not field.is_repeated:
        return one
    return list if one is None else lambda found: [one(each) for each in found]


def _key(found: Any) -> str:
    return str(found).lower() if isinstance(found, bool) else str(found)


def _value(field: Any, known: dict[str, Told]) -> Told | None:
    if field.message_type is None:
        return _scalar(field)
    return _OF_MESSAGE.get(field.message_type.full_name) or _object_of(field.message_type, known)


def _scalar(field: Any) -> Told | None:
    if field.enum_type is not None:
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        return lambda found: names.get(found, found)
    return _SCALARS.get(field.type)


_SCALARS: Final[Mapping[int, Told]] = {
    FieldDescriptor.TYPE_FLOAT: shortest,
    FieldDescriptor.TYPE_DOUBLE: number,
    FieldDescriptor.TYPE_BYTES: base64_text,
}

"""Protobuf by a schema of the writer -> the JSON that the same message would be, as bytes.

Under `wire`. Invariant: a value keeps its digits: integers are JSON numbers, of 64 bits, too (Protobuf's own JSON has texts there), and a `float` is the shortest
number that it is the nearest to. Fields have the names of the schema. One that can't tell whether it is set has its default, as 0; one that can, and is not, is
missing. An enum is its name, a Timestamp RFC 3339, a wrapper what it holds, bytes are base64.
"""

from base64 import b64decode
from collections.abc import Callable, Mapping
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

from stream_app.sources.json_values import NotOfSchemaError, ToJson, base64_text, number, shortest

_KNOWN: Final = {
    module.DESCRIPTOR.name: module.DESCRIPTOR.serialized_pb
    for module in (any_pb2, descriptor_pb2, duration_pb2, empty_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
}  # fmt: skip
_ITSELF: Final = "the schema"  # as a file; those that others refer to have names of their own
_OF_MESSAGE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "google.protobuf.Timestamp": lambda found: found.ToJsonString(),
    "google.protobuf.Duration": lambda found: found.ToJsonString(),
    **{
        f"google.protobuf.{name}Value": lambda found: _scalar(found.DESCRIPTOR.fields_by_name["value"])(found.value)
        for name in ("Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64")
    },
    **{f"google.protobuf.{name}": json_format.MessageToDict for name in ("Struct", "Value", "ListValue", "Any", "FieldMask")},
}  # fmt: skip


def reader(schema: str, others: Mapping[str, str]) -> ToJson:
    """What reads messages of a schema, behind the indexes that name the message. Schemas are serialized descriptors of files, in base64.

    `others`: those that it imports, by the names of the imports, each behind those that it imports itself. `Raises` NotOfSchemaError for a schema that can't be used.
    """
    pool = descriptor_pool.DescriptorPool()
    try:
        for serialized in _KNOWN.values():
            pool.AddSerializedFile(serialized)
        for name, text in others.items():
            if name not in _KNOWN:
                _add(pool, name, text)
        file = _add(pool, _ITSELF, schema)
    except Exception as error:  # noqa: BLE001  # a schema of others may be wrong in any way
        raise NotOfSchemaError(f"it is no schema of Protobuf: {error!r}") from None
    types: dict[bytes, Any] = {}

    def to_json(record: bytes) -> bytes:
        try:
            indexes, at = _indexes(record)
            type_ = types.get(record[:at])
            if type_ is None:
                named = pool.FindMessageTypeByName(_name(file, indexes))
                type_ = types[record[:at]] = message_factory.GetMessageClass(named)
            return orjson.dumps(_object(type_.FromString(record[at:])))
        except Exception as error:  # noqa: BLE001  # bytes of others may be wrong in any way
            raise NotOfSchemaError(f"the value is not of it: {error or type(error).__name__}") from None

    return to_json


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


def _object(message: Any) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        found = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            of = _value(field.message_type.fields_by_name["value"])
            made[field.name] = {_key(key): of(found[key]) for key in found}
        else:
            of = _value(field)
            made[field.name] = [of(each) for each in found] if field.is_repeated else of(found)
    return made


def _key(found: Any) -> str:
    return str(found).lower() if isinstance(found, bool) else str(found)


def _value(field: Any) -> Callable[[Any], Any]:
    if field.message_type is None:
        return _scalar(field)
    return _OF_MESSAGE.get(field.message_type.full_name, _object)


def _scalar(field: Any) -> Callable[[Any], Any]:
    if field.enum_type is not None:
        names = field.enum_type.values_by_number
        return lambda found: names[found].name if found in names else found
    return _SCALARS.get(field.type, _as_it_is)


def _as_it_is(found: Any) -> Any:
    return found


_SCALARS: Final[Mapping[int, Callable[[Any], Any]]] = {
    FieldDescriptor.TYPE_FLOAT: shortest,
    FieldDescriptor.TYPE_DOUBLE: number,
    FieldDescriptor.TYPE_BYTES: base64_text,
}

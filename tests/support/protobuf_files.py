"""Schemas of Protobuf as registries serialize them, and messages of them. Must not use any code of the product."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

Field = descriptor_pb2.FieldDescriptorProto
File = descriptor_pb2.FileDescriptorProto
_files: dict[bytes, Mapping[str, Any]] = {}  # what a file imports, by its content


def field(name: str, number: int, kind: str, *, repeated: bool = False, optional: bool = False) -> Any:
    """A field; `kind`: INT64 and the like, or the name of a message or enum with a dot before it, or an @."""
    made = Field(name=name, number=number, label=Field.LABEL_REPEATED if repeated else Field.LABEL_OPTIONAL)
    if kind[0] in ".@":
        made.type, made.type_name = Field.TYPE_MESSAGE if kind[0] == "." else Field.TYPE_ENUM, f".{kind[1:]}"
    else:
        made.type = getattr(Field, f"TYPE_{kind}")
    made.proto3_optional = optional
    return made


def file(
    name: str,
    *,
    messages: Mapping[str, Sequence[Any]],
    package: str = "",
    enums: Mapping[str, Sequence[str]] | None = None,
    imports: Mapping[str, Any] | None = None,
    nested: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
) -> Any:
    """A file of proto3. `nested`: messages within messages; an optional field gets a oneof of its own, as the compiler has it."""
    made = File(name=name, package=package, syntax="proto3", dependency=list(imports or {}))
    for each, fields in messages.items():
        message_type = made.message_type.add(name=each)
        for number, one in enumerate(each_ for each_ in fields if each_.proto3_optional):
            one.oneof_index = number
            message_type.oneof_decl.add(name=f"_{one.name}")
        message_type.field.extend(fields)
        for inner, inner_fields in (nested or {}).get(each, {}).items():
            message_type.nested_type.add(name=inner).field.extend(inner_fields)
    for each, words in (enums or {}).items():
        enum = made.enum_type.add(name=each)
        for number, word in enumerate(words):
            enum.value.add(name=word, number=number)
    _files[made.SerializeToString()] = imports or {}
    return made


def message(of: Any, name: str, **fields: Any) -> bytes:
    """A message of a file, of what Protobuf's JSON has for it."""
    pool = descriptor_pool.DescriptorPool()
    default = descriptor_pool.Default()
    _add(pool, default, of, of.name)
    full = f"{of.package}.{name}" if of.package else name
    made = message_factory.GetMessageClass(pool.FindMessageTypeByName(full))()
    json_format.ParseDict(fields, made, descriptor_pool=pool)
    return bytes(made.SerializeToString())


def _add(pool: Any, default: Any, of: Any, name: str) -> None:
    for imported, other in _files[of.SerializeToString()].items():
        if other is None:
            pool.AddSerializedFile(default.FindFileByName(imported).serialized_pb)
        else:
            _add(pool, default, other, imported)
    copy = File.FromString(of.SerializeToString())
    copy.name = name
    pool.AddSerializedFile(copy.SerializeToString())

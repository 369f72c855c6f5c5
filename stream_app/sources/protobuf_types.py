"""A schema of Protobuf as types for the native library, which reads messages by them as `protobuf` and a map do."""

from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from stream_app.ports.map_program import Flag, Kind
from stream_app.sources.protobuf_objects import REFUSABLE, TIMESTAMP
from stream_app.sources.schema_types import Types, UnknownError, Wanted, known

_INT32_MAX, _UINT32_MAX, _INT64_MAX = 2**31 - 1, 2**32 - 1, 2**63 - 1
_DURATION: Final = "google.protobuf.Duration"
_WRAPPED: Final = "value"  # the field of a wrapper, which JSON has in the wrapper's place
_WRAPPERS: Final = {f"google.protobuf.{name}Value" for name in ("Bool", "Double", "Int32", "Int64", "String", "UInt32", "UInt64")}  # fmt: skip
_ONE_OFS_MAX: Final = 60  # of a message
# Kind of a field, and the two numbers of it.
_SCALARS: Final[dict[int, tuple[Kind, int, int]]] = {
    FieldDescriptor.TYPE_BOOL: (Kind.BOOLEAN, 0, 0), FieldDescriptor.TYPE_STRING: (Kind.STRING, 0, 0), FieldDescriptor.TYPE_DOUBLE: (Kind.DOUBLE, 0, 0),
    FieldDescriptor.TYPE_INT32: (Kind.INTEGER, _INT32_MAX, 0), FieldDescriptor.TYPE_UINT32: (Kind.INTEGER, _UINT32_MAX, 0),
    FieldDescriptor.TYPE_INT64: (Kind.INTEGER, _INT64_MAX, 0), FieldDescriptor.TYPE_UINT64: (Kind.INTEGER, _INT64_MAX, 0),
    FieldDescriptor.TYPE_SINT32: (Kind.ZIGZAG, _UINT32_MAX, 0), FieldDescriptor.TYPE_SINT64: (Kind.ZIGZAG, _INT64_MAX, 0),
}  # fmt: skip
# Of those that no map can have read.
_PASSED: Final[dict[int, tuple[Kind, int, int]]] = {
    FieldDescriptor.TYPE_BYTES: (Kind.BYTES, 0, 0), FieldDescriptor.TYPE_FLOAT: (Kind.FIXED, 0, 4), FieldDescriptor.TYPE_FIXED32: (Kind.FIXED, 0, 4),
    FieldDescriptor.TYPE_SFIXED32: (Kind.FIXED, 0, 4), FieldDescriptor.TYPE_FIXED64: (Kind.FIXED, 0, 8), FieldDescriptor.TYPE_SFIXED64: (Kind.FIXED, 0, 8),
}  # fmt: skip


def types(messages: Sequence[Any], of: Types, wanted: Wanted) -> int:
    """Put the types of the messages of a file, in its order; which one that of the file is. `Raises` UnknownError."""
    file, first = of.room(1), of.room(len(messages))
    of.put(file, Kind.MESSAGES, None, first, len(messages))
    for at, message in enumerate(messages, first):
        try:
            _Messages(of).put(at, message, wanted)  # one each: what one that is unknown has put is not whole
        except UnknownError:
            of.put(at, Kind.UNKNOWN)
    return file


class _Messages:
    def __init__(self, of: Types) -> None:
        self._of = of
        self._passed: dict[str, tuple[int, int]] = {}  # messages of which nothing is wanted: their fields

    def put(self, at: int, message: Any, wanted: Wanted, **more: int) -> None:
        """Put the type of a message there. `Raises` UnknownError."""
        name, fields = message.full_name, message.fields
        if wanted is None and name in self._passed:
            self._of.put(at, Kind.RECORD, None, *self._passed[name], **more)
            return
        first = self._of.room(len(fields))
        if wanted is None:
            self._passed[name] = first, len(fields)
        self._of.put(at, Kind.RECORD, wanted, first, len(fields), **more)
        below = self._of.below(wanted)
        for field_at, field in enumerate(fields, first):
            self._field(field_at, field, below(field.name))

    def _field(self, at: int, field: Any, wanted: Wanted) -> None:
        known(wanted is None or not field.is_repeated, field.type != FieldDescriptor.TYPE_GROUP)
        more = {"number": field.number, "flags": _flags(field)}
        if field.message_type is not None:
            self._message(at, field.message_type, wanted, more)
        elif field.enum_type is not None:
            words = {number: value.name for number, value in field.enum_type.values_by_number.items()}
            self._of.put(at, Kind.ENUM, wanted, *self._of.words(words), **more)
        else:
            known(wanted is None or field.type in _SCALARS)
            kind, first, count = _SCALARS.get(field.type) or _PASSED[field.type]
            self._of.put(at, kind, wanted, first, count, **more)

    def _message(self, at: int, message: Any, wanted: Wanted, more: dict[str, int]) -> None:
        name = message.full_name
        is_place = isinstance(wanted, int)
        if name == TIMESTAMP or (name == _DURATION and wanted is None):
            self._of.put(at, Kind.TIME, wanted, **more)
        elif name in REFUSABLE:
            known(wanted is None)
            self._of.put(at, Kind.UNKNOWN, **more)
        elif is_place and name in _WRAPPERS:
            first = self._of.room(1)
            self._of.put(at, Kind.RECORD, None, first, 1, **more)
            self._field(first, message.fields_by_name[_WRAPPED], wanted)
        else:
            known(wanted is None or not name.startswith("google.protobuf."))
            self.put(at, message, wanted, **more)


def _flags(field: Any) -> int:
    if field.is_repeated:
        return Flag.REPEATED
    flags = Flag.NONE if field.has_presence else Flag.HAS_DEFAULT
    one_of = field.containing_oneof
    if one_of is None or len(one_of.fields) < 2:  # that of an optional field is its own
        return flags
    known(one_of.index < _ONE_OFS_MAX)
    return int(flags + (one_of.index + 1) * Flag.ONE_OF)

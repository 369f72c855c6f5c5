"""The fast way of Protobuf: what a message of a schema says, as far as the paths of a map lead, as one function for each type of message.

Beside `protobuf`, which has the last word. Invariant: the objects are those that msgspec makes of the JSON that `protobuf` makes of the message, but for times, which
are milliseconds where the map reads a place as nothing but a time. Whatever is not surely right raises one of DOUBTS of lookups.py. Of what no path names, that alone is
looked at which `protobuf` may refuse, such as a time.
"""

import keyword
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Never

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError

from stream_app.sources.compiled_values import UncompiledError
from stream_app.sources.json_values import as_parsed
from stream_app.sources.objects import GROUPS, Moment, Node
from stream_app.sources.schema_lines import SchemaLines
from stream_app.sources.times import LAST_MS

_HEADER: Final = 5  # bytes of a value before the indexes that name the message
_MESSAGES_MAX: Final = 64  # of a file, whose indexes are one byte
TIMESTAMP: Final = "google.protobuf.Timestamp"
# What may be no time, no duration and so on, though it is a message.
REFUSABLE: Final = frozenset(
    {TIMESTAMP, *(f"google.protobuf.{name}" for name in ("Duration", "Any", "FieldMask", "Struct", "Value", "ListValue"))}
)  # fmt: skip
_GIVEN: Final[Mapping[str, Any]] = {"DecodeError": DecodeError, "as_parsed": as_parsed}
Told = Callable[[Any], Any]  # of a value, as `protobuf` has it in JSON


def reader(
    messages: Sequence[Any],
    parser: Callable[[Any], Told],
    told: Callable[[Any], Told | None],
    root: Node,
) -> Callable[[bytes], Any]:
    """What makes an object of the type of `root` of a value: a schema's id, a message's index, and the message. Places of times in `root` get the types that they have by the schema.

    `messages`: the types of the messages of the file, in its order; `parser`: of bytes of a type; `told`: of a field, None where a value is told as it is. `Raises` UncompiledError.
    """
    if len(messages) > _MESSAGES_MAX:
        raise UncompiledError
    _settle_times(messages, root)
    refusable: dict[str, bool] = {}
    made = [_Lines(told, refusable).function(parser(each), each, root) for each in messages]
    reads = {bytes([2, 2 * index]): read for index, read in enumerate(made)}
    first = made[0] if made else _doubtful

    def read(value: bytes) -> Any:
        if value[_HEADER]:
            return reads[value[_HEADER : _HEADER + 2]](value[_HEADER + 2 :])
        return first(value[_HEADER + 1 :])

    return read


def _doubtful(_: bytes) -> Never:
    raise LookupError


def _settle_times(messages: Sequence[Any], node: Node) -> None:
    """Give the places of times that are a Timestamp in each of these messages that has them the type of that."""
    for name, wanted in node.fields.items():
        fields = [message.fields_by_name[name] for message in messages if name in message.fields_by_name]
        if isinstance(wanted, Node):
            _settle_times([field.message_type for field in fields if field.message_type is not None], wanted)
        elif isinstance(wanted, Moment):
            are_times = {_kind(field) == TIMESTAMP and not field.is_repeated for field in fields}
            if len(are_times) > 1:
                raise UncompiledError
            node.fields[name] = Moment.UTC if True in are_times else Any


def _kind(field: Any) -> str:
    """The name of the type of a field's messages; empty for one of plain values."""
    return "" if field.message_type is None else str(field.message_type.full_name)


class _Lines(SchemaLines):
    """The lines of a function of the bytes `b` of a message, which is `m`. `told`: as of `reader`; `refusable`: which types of messages may be refused, as far as known."""

    def __init__(self, told: Callable[[Any], Told | None], refusable: dict[str, bool]) -> None:
        super().__init__(_GIVEN)
        self._told, self._refusable = told, refusable

    def function(self, parse: Told, type_: Any, root: Node) -> Callable[[bytes], Any]:
        """Compile it."""
        with self._text.block("try:"):
            self._line(f"m = {self._text.name(parse)}(b)")
        with self._text.block("except DecodeError:"):
            self._line("raise LookupError from None")
        self._line(f"return {self._object('m', type_, root)}")
        return self._compiled()

    def _object(self, message: str, type_: Any, node: Node) -> str:
        """The variable of an object of a message, which a variable holds."""
        values = {
            name: self._field(message, type_.fields_by_name[name], wanted)
            for name, wanted in node.fields.items()
            if name in type_.fields_by_name
        }
        for field in type_.fields:
            if field.name not in node.fields and self._may_be_refused(field):
                self._pass(message, field)
        of = self._text.name(node.type())
        return self._variable(f"{of}({', '.join(values.get(name, 'None') for name in node.fields)})")

    def _field(self, message: str, field: Any, wanted: Any) -> str:
        """The variable of the value of a field; None where it is not set."""
        if not field.has_presence:
            return self._value(_attribute(message, field), field, wanted)
        made = self._variable("None")
        with self._text.block(f"if {message}.HasField({field.name!r}):"):
            self._line(f"{made} = {self._value(_attribute(message, field), field, wanted)}")
        return made

    def _value(self, found: str, field: Any, wanted: Any) -> str:
        """The variable of a value that is set. `wanted`: a node, or the type of a place."""
        if wanted is Moment.UTC:
            return self._milliseconds(self._variable(found))
        if isinstance(wanted, Node):
            if field.is_repeated or field.message_type is None or _kind(field).startswith("google.protobuf."):
                raise UncompiledError
            return self._object(self._variable(found), field.message_type, wanted)
        if wanted is GROUPS and (field.message_type is not None or field.type not in _OF_GROUPS):
            raise UncompiledError
        told = self._told(field)
        if told is not None:
            found = f"{self._text.name(told)}({found})"
        if wanted is GROUPS:
            return self._variable(f"tuple({found})" if field.is_repeated else found)
        return self._variable(found if _is_plain(field) else f"as_parsed({found})")

    def _milliseconds(self, time: str) -> str:
        seconds, nanos = self._variable(f"{time}.seconds"), self._variable(f"{time}.nanos")
        self._line(f"if not 0 <= {seconds} <= {LAST_MS // 1000} or not 0 <= {nanos} < 1000000000: raise LookupError")
        return self._variable(f"{seconds} * 1000 + {nanos} // 1000000")

    def _may_be_refused(self, field: Any) -> bool:
        """Whether a value of a field may be none of its type, or hold one that is none of its own."""
        if not (kind := _kind(field)):
            return False
        if kind not in self._refusable:
            self._refusable[kind] = _may_hold_refusable(field.message_type)
        return self._refusable[kind]

    def _pass(self, message: str, field: Any) -> None:
        """Look at a value that no path names."""
        found = _attribute(message, field)
        with self._text.block(f"if {message}.HasField({field.name!r}):" if field.has_presence else "if True:"):
            if _kind(field) == TIMESTAMP and not field.is_repeated:
                self._milliseconds(self._variable(found))
            else:
                self._line(f"{self._text.name(self._told(field))}({found})")


_OF_GROUPS: Final = frozenset(
    getattr(FieldDescriptor, f"TYPE_{name}")
    for name in (
        "STRING", "ENUM", "INT32", "INT64", "UINT32", "UINT64", "SINT32", "SINT64", "FIXED32", "FIXED64", "SFIXED32", "SFIXED64",
    )
)  # fmt: skip
_FRACTIONAL: Final = (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE)
_OF_PLAIN: Final = frozenset(
    {TIMESTAMP, *(f"google.protobuf.{name}Value" for name in ("Bool", "Bytes", "Int32", "Int64", "String", "UInt32", "UInt64"))}
)  # fmt: skip


def _is_plain(field: Any) -> bool:
    """Whether a value is told as msgspec makes it of JSON: a text, an integer, a boolean."""
    if field.is_repeated:
        return False
    return field.type not in _FRACTIONAL if field.message_type is None else _kind(field) in _OF_PLAIN


def _may_hold_refusable(type_: Any) -> bool:
    """Whether a message of a type may hold, however deep, what is no value of its type."""
    seen: set[str] = set()
    types = [type_]
    while types:
        one = types.pop()
        if one.full_name in REFUSABLE:
            return True
        if one.full_name not in seen:
            seen.add(one.full_name)
            types += [field.message_type for field in one.fields if field.message_type is not None]
    return False


def _attribute(message: str, field: Any) -> str:
    return f"getattr({message}, {field.name!r})" if keyword.iskeyword(field.name) else f"{message}.{field.name}"

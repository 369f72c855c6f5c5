"""The wire format of schema registries: a zero byte, the id of a schema in four bytes, and a record of that schema -> the record as JSON.

Between ingest, which knows the schemas by their ids, and `mapped`, to which such a record is JSON like any other. The format is that of Confluent's serializers; what
writes it is told from what does not by the first byte, and by the kind of the schema.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Never

from stream_app.domain.errors import Reason, Rejection
from stream_app.sources import avro, protobuf
from stream_app.sources.json_values import NotOfSchemaError, ToJson
from stream_app.sources.objects import Objects
from stream_app.sources.schema_types import Types, Wanted

# Formats as registries name them -> as maps do.
_KINDS: Final = {"AVRO": "avro", "JSON": "json-schema", "PROTOBUF": "protobuf"}
FORMATS: Final = frozenset(_KINDS.values())
_NONE: Final[Mapping[str, str]] = {}
_JSON: Final = -1  # instead of a type
HEADER: Final = 5  # bytes before the record


class Schema(NamedTuple):
    """A schema of a registry. `format`: of its records; `to_json`: of the bytes of one, `Raises` NotOfSchemaError; `objects`: of whole values, without JSON between.

    `types`: puts its types for the native library, of which a map reads what is wanted, and gives the one of its records; -1: they are JSON. `Raises` UnknownError.
    """

    format: str
    to_json: ToJson
    objects: Objects | None = None
    types: Callable[[Types, Wanted], int] | None = None


Known = Mapping[int, Schema | None]  # None: the registry has no schema of that id
NONE_KNOWN: Final[Known] = {}


def schema(kind: str, text: str, others: Mapping[str, str] = _NONE) -> Schema:
    """A schema as a registry tells it; one that can't be used reads nothing.

    `others`: those that it refers to, by the names that it has for them, each behind those that it refers to itself. Of Protobuf all are serialized.
    """
    format_ = _KINDS.get(kind, kind)
    try:
        match kind:
            case "AVRO":
                found = avro.Avro(text, others.values())
                return Schema(format_, found.to_json, found.objects, found.types)
            case "PROTOBUF":
                of = protobuf.Protobuf(text, others)
                return Schema(format_, of.to_json, of.objects, of.types)
            case _:
                return Schema(format_, bytes, None, lambda *_: _JSON)
    except NotOfSchemaError as error:
        return _refused(format_, str(error))


def refusing(kind: str, why: str) -> Schema:
    """A schema that can't be used."""
    return _refused(_KINDS.get(kind, kind), why)


def _refused(format_: str, why: str) -> Schema:
    def refuse(_: bytes) -> bytes:
        raise NotOfSchemaError(why)

    def in_doubt(_: bytes) -> Never:
        raise LookupError

    return Schema(format_, refuse, lambda _: in_doubt)


def header(number: int) -> bytes:
    """What values of a schema begin with."""
    return b"\0" + number.to_bytes(4)


def ids(values: Iterable[bytes | None]) -> set[int]:
    """The ids of the schemas of values."""
    found = {value[1:HEADER] for value in values if value is not None and _is_wired(value)}
    return {int.from_bytes(each) for each in found}


def most_common_format(values: Iterable[bytes | None], known: Known) -> str | None:
    """The format of more of these values than any other is of, by their schemas; None where most name none."""
    formats = Counter(_format(value, known) for value in values if value is not None)
    return formats.most_common(1)[0][0] if formats else None


def _format(value: bytes, known: Known) -> str | None:
    found = known.get(int.from_bytes(value[1:HEADER])) if _is_wired(value) else None
    return found.format if found is not None and found.format in FORMATS else None


def opened(
    format_: str, values: Sequence[bytes | None], known: Known
) -> tuple[Sequence[bytes | None], Mapping[int, Rejection]]:
    """The JSON in the values of a topic of this format, and why a value can't be opened, by its index. A null one stays null. `known`: the schemas of all ids."""
    readers = {number.to_bytes(4): _reader(number, found, format_) for number, found in known.items()}
    made: list[bytes | None] = []
    refused: dict[int, Rejection] = {}
    for index, value in enumerate(values):
        try:
            made.append(None if value is None else _json(value, readers))
        except _RefusedError as error:
            refused[index] = error.rejection
            made.append(None)
    return made, refused


def _json(value: bytes, readers: Mapping[bytes, ToJson]) -> bytes:
    if not _is_wired(value):
        raise _RefusedError(Reason.NOT_WIRE_FORMAT, _unwired(value))
    number = value[1:HEADER]
    try:
        return readers[number](value[HEADER:])
    except NotOfSchemaError as error:
        why = f"schema {int.from_bytes(number)} of the registry: {error}"
        raise _RefusedError(Reason.NOT_OF_SCHEMA, why) from None


class _RefusedError(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.rejection = Rejection(reason, detail)


def _reader(number: int, found: Schema | None, format_: str) -> ToJson:
    if found is not None and found.format == format_:
        return found.to_json
    if found is None:
        error = _RefusedError(Reason.UNKNOWN_SCHEMA, f"the schema registry has no schema {number}")
    else:
        error = _RefusedError(
            Reason.NOT_OF_SCHEMA,
            f"schema {number} of the registry is of {found.format}, and the map's format {format_}",
        )

    def refuse(_: bytes) -> bytes:
        raise error

    return refuse


def _is_wired(value: bytes) -> bool:
    return len(value) >= HEADER and value[0] == 0


def _unwired(value: bytes) -> str:
    if value[:1] == b"\0":
        return f"the value has {len(value)} bytes, must have a zero byte and four of the schema's id before the record"
    begins = f"begins with 0x{value[:1].hex()}" if value else "is empty"
    return f"the value {begins}, must begin with a zero byte and four of the schema's id"

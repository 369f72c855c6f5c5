"""The fast way of a map whose values may hold several records: what finds them in the bytes of a value, parsed.

Under `compiled`, which reads each of them. Whatever is not surely right raises, or is read by the exact way.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import msgspec

from stream_app.sources.compiled_values import UncompiledError
from stream_app.sources.lookups import Fractions
from stream_app.sources.maps import map_file as m
from stream_app.sources.maps.paths import steps
from stream_app.sources.objects import Node

Found = Callable[[Any], Sequence[Any]]  # of a value: its records
_WHOLE: Final = "$"
_StatusCode = Annotated[int, msgspec.Meta(ge=0, lt=2000)]  # from there on they are errors


def decoder(type_: Any) -> Callable[[Any], Any]:
    """What parses values into a type; a number with a fraction or an exponent is kept as it is written."""
    decode: Callable[[Any], Any] = msgspec.json.Decoder(type_, float_hook=Fractions().__getitem__).decode
    return decode


def records(topic: m.Topic, type_: Any) -> Found | None:
    """What gives the records of a value, of a type; None where a value is one by itself. `Raises` UncompiledError where only the exact way knows."""
    if topic.envelope == "ocpi" and topic.format != "json-lines" and topic.records is None:
        return _of_response(type_)
    if topic.envelope != "plain" or (topic.format == "json-lines" and topic.records is not None):
        raise UncompiledError
    if topic.format == "json-lines":
        decode = decoder(type_)
        return lambda value: [decode(line) for line in value.splitlines() if line.strip()]
    if topic.records is None:
        return None
    return decoder(list[type_]) if topic.records == _WHOLE else _at(topic.records, type_)


def _of_response(type_: Any) -> Found:
    """Of OCPI: a record, a list of them, or none."""
    fields: list[tuple[str, Any, Any] | tuple[str, Any]] = [
        ("status_code", _StatusCode),
        ("data", list[type_] | type_ | None, None),
    ]
    decode = decoder(msgspec.defstruct("Response", fields, gc=False))

    def found(value: Any) -> Sequence[Any]:
        data = decode(value).data
        if data.__class__ is list:
            return data
        return () if data is None else (data,)

    return found


def _at(name: str, type_: Any) -> Found:
    """Of a list that a path of names leads to."""
    path = steps(name)
    if not all(isinstance(step, str) for step in path) or path[0] == _WHOLE:
        raise UncompiledError
    root = Node()
    root.want(path, list[type_] | None)
    attributes, node = [], root
    for step in path:
        attributes.append(node.attribute(str(step)))
        node = node.fields[str(step)]
    decode = decoder(root.type())

    def found(value: Any) -> Sequence[Any]:
        at = decode(value)
        for attribute in attributes:
            at = getattr(at, attribute)
        if at is None:
            raise LookupError
        return at  # type: ignore[no-any-return]

    return found

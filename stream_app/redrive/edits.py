"""Edits of a record's value before it is sent again. Pure."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from stream_app.redrive.letters import LetterError
from stream_app.redrive.redrive import Edit

# Numbers with a fraction stay as they were written.
_decode: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


def replaced_by(value: bytes) -> Edit:
    """The edit that puts this value in place of any."""
    return Edit(lambda _: value, replaces=True)


def fields(sets: Sequence[str], unsets: Sequence[str]) -> Edit:
    """The edit that sets fields of a JSON object, each as "field=value", and takes fields away.

    A dot leads into an object; a value that is no JSON is a string. `Raises` LetterError for one without "=".
    """
    wanted = [_parsed(text) for text in sets]

    def value(before: bytes | None) -> bytes:
        try:
            data = _decode(before or b"")
        except (msgspec.MsgspecError, RecursionError) as error:
            raise LetterError(f"the value is no JSON object, so no field of it can be set: {error}") from None
        for path, new in wanted:
            _inner(data, path)[path[-1]] = new
        for name in unsets:
            path = name.split(".")
            _inner(data, path).pop(path[-1], None)
        return _encode(data)

    return Edit(value)


def _parsed(text: str) -> tuple[list[str], Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise LetterError(f"{text} sets nothing: write field=value")
    try:
        return name.split("."), json.loads(value, parse_float=Decimal)
    except ValueError:
        return name.split("."), value


def _inner(data: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """The object that the last field of a path lies in; those that are missing are made."""
    for name in path[:-1]:
        data = data.setdefault(name, {})
        if not isinstance(data, dict):
            raise LetterError(f"{name} is no object, so {'.'.join(path)} can't be set")
    return data

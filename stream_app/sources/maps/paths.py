"""Paths into a JSON value: `order.lines[0].price`, `[3].eventType`, `values[context=End].value`, `$.source.ts_ms`.

A path is names and brackets. In brackets stands a place in an array (from its end: -1), or a name and a text: the first object of the array in which that field
is that text. `$` is the whole value of the record, of which what an envelope holds is a part. A name in quotes may hold any character: `"a.b".c`.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Final, NamedTuple

from stream_app.sources.exact import Fractional

_STEP: Final = re.compile(
    r"""(?P<dot>\.)?(?:(?P<name>[^.\[\]"=\s]+)|(?P<quoted>"(?:[^"\\]|\\.)*"))|\[(?:(?P<at>-?[0-9]{1,9})|(?P<key>[^.\[\]"=\s]+)=(?P<text>[^\[\]]*))\]"""
)
ROOT: Final = "$"
_EXPONENT_MAX: Final = 30  # beyond all amounts and energies, and few enough digits to write down


class Where(NamedTuple):
    """The first object of an array whose field is a text."""

    key: str
    text: str


Step = str | int | Where


@cache
def steps(path: str) -> tuple[Step, ...]:
    """The steps of a path. `Raises` ValueError with what is wrong."""
    out: list[Step] = []
    at = 0
    while at < len(path):
        found = _STEP.match(path, at)
        is_bracket = found is not None and found["name"] is None and found["quoted"] is None
        if found is None or (not is_bracket and (found["dot"] is None) != (at == 0)):
            raise ValueError(f"{path[at:]!r} is neither a name nor brackets")
        if found["at"] is not None:
            out.append(int(found["at"]))
        elif found["key"] is not None:
            out.append(Where(found["key"], found["text"]))
        else:
            out.append(found["name"] if found["quoted"] is None else json.loads(found["quoted"]))
        at = found.end()
    if not out:
        raise ValueError("it is empty")
    return tuple(out)


def walk(data: Any, path: tuple[Step, ...]) -> Any:
    """What stands at a path; None where nothing does."""
    for step in path:
        if isinstance(step, str):
            data = data.get(step) if type(data) is dict else None
        elif type(data) is not list:
            return None
        elif isinstance(step, int):
            data = data[step] if -len(data) <= step < len(data) else None
        else:
            data = next(
                (each for each in data if type(each) is dict and as_text(each.get(step.key)) == step.text), None
            )
        if data is None:
            return None
    return data


def as_text(found: object) -> str | None:
    """A JSON value as the text of a cell: empty for null, None for an object or an array. A number is as it was written, but for its exponent."""
    if type(found) is Fractional:
        return _without_exponent(found)
    if type(found) is str:
        return found
    if found is None:
        return ""
    if found is True or found is False:
        return "true" if found else "false"
    return str(found) if type(found) is int else None


def _without_exponent(number: str) -> str:
    if "e" not in number.lower():
        return str(number)
    try:
        exact = Decimal(number)
    except InvalidOperation:
        return str(number)
    return f"{exact:f}" if abs(exact.adjusted()) <= _EXPONENT_MAX else str(number)

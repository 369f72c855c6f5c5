"""A plan as people read it: a line for each number, with its unit, what it is at best, and where it comes from."""

from collections.abc import Iterator
from typing import Final

from stream_app.sizing.lines import A_SECOND, BYTES, BYTES_A_SECOND, SECONDS, Line
from stream_app.sizing.plan import Plan

_STEPS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def amount(value: float, unit: str) -> str:
    """A number with its unit, in three digits or whole."""
    if unit == SECONDS:
        return _time(value)
    if unit in {BYTES, BYTES_A_SECOND}:
        return _bytes(value) + unit.removeprefix(BYTES)
    return f"{_number(value)}{unit if unit == A_SECOND else f' {unit}'}".rstrip()


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _bytes(value: float) -> str:
    for step in _STEPS:
        if value < 1024 or step == _STEPS[-1]:
            return f"{_number(value)} {step}"
        value /= 1024
    raise AssertionError(value)


def _time(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{_number(seconds / size)} {unit}"
    return f"{_number(seconds)} s"


def shown(made: Plan) -> Iterator[str]:
    """Lines of text."""
    rows = [(line, *_values(line)) for section in made.sections for line in section.lines]
    name = max(len(line.name) for line, *_ in rows)
    planned, best = (max(len(row[at]) for row in rows) for at in (1, 2))
    yield f"{'':{name + 2}}  {'plan':>{planned}}  {'at best':>{best}}  from"
    for section in made.sections:
        yield section.title
        for line in section.lines:
            value, low = _values(line)
            yield f"  {line.name:{name}}  {value:>{planned}}  {low:>{best}}  {line.why}"
    yield "Breaks first"
    for limit in made.limits:
        yield f"  {'already, ' if limit.times < 1 else ''}at {_number(limit.times)} times this: {limit.what}"
    yield "Not known"
    for sentence in made.unknown:
        yield f"  {sentence}"
    yield "Measured"
    for part, where in made.measured.items():
        yield f"  {part}: {where.date}, commit {where.commit}; {where.data}; {where.machine}"


def _values(line: Line) -> tuple[str, str]:
    return amount(line.value, line.unit), "" if line.best is None else amount(line.best, line.unit)

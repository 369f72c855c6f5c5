"""Writes what docs/sizing.md shows of measured costs, and the plans that `stream-app plan` prints from them. `make docs`; a test of the house calls --check.

A part stands between two comments in a page that is written by hand otherwise; the first names it, and a plan's is the command itself.
"""

import re
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from stream_app.cli import load as load_command  # noqa: E402  # after the path that it is found on
from stream_app.sizing import costs  # noqa: E402
from stream_app.sizing.costs import Measurement  # noqa: E402
from stream_app.sizing.kafka import TITLES  # noqa: E402

PAGE: Final = ROOT / "docs" / "sizing.md"
_REGION: Final = re.compile(
    r"^(<!-- ([^\n]+): written by make docs -->\n).*?^(<!-- end -->\n)", re.DOTALL | re.MULTILINE
)
_PROGRAM: Final = "stream-app plan "


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' ---: |' * (len(heads) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def _where(measured: Measurement) -> str:
    return f"Measured {measured.date} at commit `{measured.commit}`: {measured.data}. {measured.machine}.\n\n"


def rows() -> str:
    """Bytes of the kinds of rows."""
    state = costs.load().state
    kinds = ("session", "payment", "month_cell", "half_hour_cell", "operator", "group")
    found = [(kind.replace("_cell", " of a group").replace("_", "-"), f"{getattr(state, kind):,.0f}") for kind in kinds]
    found += [
        (f"customer who came {visits:,.0f} times", f"{size:,.0f}")
        for visits, size in zip(state.customer.xs, state.customer.ys, strict=True)
    ]
    return _where(state.measured) + _table(("row", "bytes, before compression"), found)


def growth() -> str:
    """All of the state by customers."""
    heads = ("customers, two events each", "bytes a customer", "on disk", "peak MiB of the process")
    return _table(
        heads,
        [
            (f"{one.customers:,}", f"{one.size / one.customers:,.0f}", f"{one.disk / one.customers:,.0f}", f"{one.rss >> 20:,}")
            for one in costs.load().state.growth
        ],
    )  # fmt: skip


def caught_up() -> str:
    """What catching up and starting took."""
    served = costs.load().served
    heads = ("data", "events a CPU-second", "peak MiB", "start, CPU-s", "start from an empty disk, CPU-s", "records read for it", "Redis, bytes a group", "API, answers a CPU-second")  # fmt: skip
    found = [
        (
            one.data, f"{one.events_per_cpu_s:,}", f"{one.rss >> 20:,}", f"{one.started_cpu_s:.1f}", f"{one.emptied_cpu_s:.1f}", f"{one.changelog_records:,}",
            f"{one.redis / one.groups:,.0f}", f"{one.requests_per_cpu_s:,.0f}",
        )
        for one in served.caught_up
    ]  # fmt: skip
    return _where(served.measured) + _table(heads, found)


def million() -> str:
    """Starts with a million customers."""
    one = costs.load().million
    heads = ("start of a worker", "seconds", "CPU-seconds")
    found = [
        ("on empty topics", "", f"{one.nobody_cpu_s:.1f}"),
        (f"{one.customers:,} customers, with its store", f"{one.started_s:.1f}", f"{one.started_cpu_s:.1f}"),
        (f"from an empty disk: {one.records:,} records of the changelog", f"{one.emptied_s:.1f}", f"{one.emptied_cpu_s:.1f}"),
    ]  # fmt: skip
    return _where(one.measured) + _table(heads, found)


def paced() -> str:
    """What a steady pace took."""
    kinds = list(TITLES)
    heads = ("data, events a second", "worker, cores", "broker", "Redis", "ClickHouse", *(f"{TITLES[kind]}, bytes an event" for kind in kinds), "to Redis", "rows into ClickHouse, an event")  # fmt: skip
    found = [
        (
            f"{one.data}, {one.events_per_second:,.0f}", *(f"{cores:.2f}" for cores in (one.worker, one.broker, one.redis, one.clickhouse)),
            *(f"{one.topics[kind]:,.0f}" for kind in kinds), f"{one.redis_in:,.0f}", f"{one.clickhouse_rows:,.0f}",
        )
        for one in costs.load().paced.paces
    ]  # fmt: skip
    return _where(costs.load().paced.measured) + _table(heads, found)


def curves() -> str:
    """How events a CPU-second change with one thing."""
    text = []
    for curve in costs.load().curves.values():
        first = curve.events_per_cpu_s[0]
        found = [
            (f"{value:,}", f"{rate:,.0f}", f"{rate / first:.2f}")
            for value, rate in zip(curve.values, curve.events_per_cpu_s, strict=True)
        ]
        text.append(_where(curve.measured) + _table((curve.title, "events a CPU-second", "of the first"), found))
    return "\n".join(text)


def planned(command: str) -> str:
    """A command as it is typed, and what it prints."""
    printed = StringIO()
    with redirect_stdout(printed):
        load_command("plan")(args=shlex.split(command.removeprefix(_PROGRAM)), standalone_mode=False)
    return f"```console\n$ .venv/bin/{command}\n{printed.getvalue()}```\n"


PARTS: Final[dict[str, Callable[[], str]]] = {
    part.__name__: part for part in (rows, growth, caught_up, paced, million, curves)
}  # fmt: skip


def written() -> str:
    """The page as it should be. `Raises` SystemExit for one that lacks a part."""
    text = PAGE.read_text()
    named = [name for _, name, _ in _REGION.findall(text)]
    if sorted(name for name in named if not name.startswith(_PROGRAM)) != sorted(PARTS):
        sys.exit(f"docs/sizing.md: the parts are {', '.join(PARTS)}, each once")
    return _REGION.sub(lambda part: part[1] + (PARTS.get(part[2]) or (lambda: planned(part[2])))() + part[3], text)


if __name__ == "__main__":
    if "--check" not in sys.argv:
        PAGE.write_text(written())
    elif PAGE.read_text() != written():
        sys.exit("docs/sizing.md is not what the costs say and the command prints: make docs")

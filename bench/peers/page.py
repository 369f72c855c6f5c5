"""Shows what was measured: rows of the benchmarks' table, docs/performance.md, and what the README says of speed, worst beside best.

An aim that is missed stands there as missed. Values of a run only: what people wrote around the marks stays.
"""

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.context import Row
from bench.pages import measured_on, put, table
from bench.peers import ours
from bench.peers.measured import Measured, Missing
from bench.peers.systems import PEERS
from bench.traffic import DATA_SETS
from config.settings import ROOT

Found = Sequence[Measured | Missing]
README: Final = "<!-- make bench writes from here -->", "<!-- make bench writes up to here -->"
TITLES: Final = {name: title for name, (title, _) in ours.NAMES.items()} | {peer.name: peer.title for peer in PEERS}
NOTES: Final = {name: note for name, (_, note) in ours.NAMES.items()} | {peer.name: peer.note for peer in PEERS}
# (data set, peer): how many times as many events a CPU-second ours is to take, at least.
AIMS: Final = {
    ("narrow", "kafka-streams"): 5.0, ("narrow", "kafka-streams-memory"): 3.5, ("narrow", "faust"): 60.0, ("narrow", "chdb"): 0.8,
    ("wide", "kafka-streams"): 3.0,
}  # fmt: skip
MEMORY_AIMS: Final = {"narrow": 350, "wide": 600}  # MiB at most, of ours
_PROFILE_EVENTS: Final = 200_000


def marks(events: int) -> tuple[str, str]:
    """Between which docs/performance.md holds the runs of so many events."""
    return (
        f"<!-- make bench writes {events} events from here -->",
        f"<!-- make bench writes {events} events up to here -->",
    )


def rows(found: Found) -> list[Row]:
    """For the table of the benchmarks."""
    shown = []
    for one in found:
        name = f"{one.data}: {TITLES[one.system]}"
        if isinstance(one, Missing):
            shown.append(Row("peers", name, "not measured", one.why))
            continue
        note = (
            f"{one.events:,} events; {one.per_s:,.0f} events/s; start {one.start_cpu_s:.1f} CPU-s; peak {one.rss_bytes >> 20:,} MiB; broker "
            f"{one.broker_cpu_s:.1f}, sinks {one.sinks_cpu_s:.1f} CPU-s; "
            + (f"{one.rows:,} results, each as it must be" if one.rows else "no results")
        )
        shown.append(Row("peers", name, f"{one.per_cpu_s:,.0f} events/CPU-s", note))
    return shown + [
        Row("peers", f"{data}: ours : {TITLES[peer]}", f"{ratio:.2f} : 1", _aim(data, peer, ratio))
        for data, peer, ratio in _ratios(found)
    ]


def _ratios(found: Found) -> list[tuple[str, str, float]]:
    own = {one.data: one for one in found if isinstance(one, Measured) and one.system == ours.WALL}
    return [
        (one.data, one.system, own[one.data].per_cpu_s / one.per_cpu_s)
        for one in found
        if isinstance(one, Measured) and one.data in own and one.system not in ours.NAMES
    ]


def _aim(data: str, peer: str, ratio: float) -> str:
    aim = AIMS.get((data, peer))
    if aim is None:
        return ""
    return f"at least {aim:g}: {'met' if ratio >= aim else 'missed'}"


def write(page: Path, readme: Path, found: Found, events: int) -> None:
    """Write the section of so many events, a new one at the end of the page, and, where both data sets have the strongest peer, the README's."""
    text = section(found, _profile(sorted({one.data for one in found})))
    begin, end = marks(events)
    if begin not in page.read_text():
        page.write_text(f"{page.read_text().rstrip()}\n\n## {events:,} events\n\n{begin}\n{end}\n")
    put(page, text, begin, end)
    if (short := summary(found)) is not None:
        put(readme, short, *README)


def section(found: Found, profile: str) -> str:
    """What stands in docs/performance.md."""
    data = [name for name in DATA_SETS if any(one.data == name for one in found)]
    return "\n\n".join(
        [
            measured_on(),
            *(_data_section(name, [one for one in found if one.data == name], found) for name in data),
            "How each is set up:\n\n"
            + "\n".join(f"- {TITLES[name]}: {NOTES[name]}." for name in dict.fromkeys(one.system for one in found)),
            *([_memory(found)] if _memory(found) else []),
            f"Where ours spends its CPU, in one process without servers (`python -m bench.inside`):\n\n```\n{profile}\n```",
        ]
    )


def _data_section(name: str, own: Found, found: Found) -> str:
    data = DATA_SETS[name]
    ratios = {peer: ratio for of, peer, ratio in _ratios(found) if of == name}
    lines = []
    for one in own:
        title = TITLES[one.system]
        if isinstance(one, Missing):
            lines.append([title, f"not measured: {one.why}", *[""] * 9])
            continue
        ratio = ratios.get(one.system)
        lines.append(
            [
                title, f"{one.events:,}", f"{one.per_cpu_s:,.0f}", f"{one.per_s:,.0f}", f"{one.rss_bytes >> 20:,}", f"{one.cpu_s:.1f}",
                f"{one.start_cpu_s:.1f}", f"{one.broker_cpu_s:.1f}", f"{one.sinks_cpu_s:.1f}", f"{one.rows:,}",
                "" if ratio is None else ", ".join(filter(None, (f"{ratio:.2f}", _aim(name, one.system, ratio)))),
            ]
        )  # fmt: skip
    head = ["", "events", "events a CPU-second", "events a second", "peak MiB", "CPU-s", "of it start", "broker CPU-s", "sinks CPU-s", "results checked", "ours is so many times that"]  # fmt: skip
    return (
        f"**{name}**: {data.operators:,} operators, {data.customers:,} customers, {data.groups:,} groups. Both rates are without the start.\n\n"
        + table(head, lines)
    )


def _memory(found: Found) -> str:
    own = [one for one in found if isinstance(one, Measured) and one.system == ours.WALL and one.data in MEMORY_AIMS]
    said = [
        f"{one.data} {one.rss_bytes >> 20:,} MiB, at most {MEMORY_AIMS[one.data]}: {'met' if one.rss_bytes >> 20 <= MEMORY_AIMS[one.data] else 'missed'}"
        for one in own
    ]
    return f"Memory of ours at the peak: {'; '.join(said)}." if said else ""


def _profile(data: Sequence[str]) -> str:
    command = [sys.executable, "-m", "bench.inside", *data, "--events", str(_PROFILE_EVENTS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1800)
    return done.stdout.rstrip() if done.returncode == 0 else f"not measured: {done.stderr.strip().splitlines()[-1]}"


def summary(found: Found) -> str | None:
    """What the README says: each data set, the widest last; None where one of both was not measured beside the strongest peer."""
    ratios = {(data, peer): ratio for data, peer, ratio in _ratios(found)}
    own = {one.data: one for one in found if isinstance(one, Measured) and one.system == ours.WALL}
    if not all((name, "kafka-streams") in ratios for name in ("narrow", "wide")):
        return None
    peers = [
        name
        for name in ("kafka-streams", "kafka-streams-memory", "faust", "chdb")
        if any(peer == name for _, peer in ratios)
    ]
    head = ["", "events a CPU-second", "events a second", "peak MiB", *(f"times {TITLES[name]}" for name in peers)]
    lines = []
    for name in ("narrow", "wide"):
        one, data = own[name], DATA_SETS[name]
        given = (f"{ratios[name, peer]:.2f}" if (name, peer) in ratios else "" for peer in peers)
        what = f"{data.operators:,} operators, {data.customers:,} customers, {data.groups:,} groups"
        lines.append([what, f"{one.per_cpu_s:,.0f}", f"{one.per_s:,.0f}", f"{one.rss_bytes >> 20:,}", *given])
    return (
        f"{own['narrow'].events:,} sessions and payments over half a year, memberships besides, one worker, measured {datetime.now(UTC):%Y-%m-%d}:\n\n"
        + table(head, lines)
    )

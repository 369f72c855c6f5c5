"""Keeps what runs found, and writes it into docs/reliability.md, between two markers for each kind of run."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import psutil

from stream_app.local import kafka_server
from tests.storm.brokers import Loss, Losses
from tests.storm.kills import Kills
from tests.storm.overload import BEHIND_S, Look, Overload
from tests.storm.storm import RECOVERY_S_MAX, Found, summaries
from tests.support.deployment import ROOT

PAGE: Final = ROOT / "docs" / "reliability.md"
RESULTS: Final = ROOT / ".run" / "storm" / "results"
T = TypeVar("T")


class Kept(msgspec.Struct):
    """What a run found, and the day on which it did."""

    day: str
    found: Any


def keep(name: str, found: Any) -> None:
    """Keep what a run found, in place of what the last one of this name did."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_bytes(msgspec.json.encode(Kept(f"{datetime.now(UTC):%Y-%m-%d}", found)))


def write() -> None:
    """Write each section of the page whose runs are kept."""
    storms = [_read(path, Found) for path in sorted(RESULTS.glob("storm-*.json"))]
    if storms:
        put("storm", _storms(storms))
    if (path := RESULTS / "brokers.json").exists():
        put("brokers", _brokers(*_read(path, Losses)))
    if (path := RESULTS / "kills.json").exists():
        put("kills", _kills(*_read(path, Kills)))
    if (path := RESULTS / "overload.json").exists():
        put("overload", _overload(*_read(path, Overload)))


def put(name: str, text: str) -> None:
    """Replace what stands between the markers of a section."""
    begin, end = (f"<!-- make storm writes {name} {where} here -->" for where in ("from", "up to"))
    before, rest = PAGE.read_text().split(begin)
    _, after = rest.split(end)
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def _read(path: Path, kind: type[T]) -> tuple[str, T]:
    kept = msgspec.json.decode(path.read_bytes(), type=Kept)
    return kept.day, msgspec.convert(kept.found, kind)


def _where(days: Sequence[str]) -> str:
    cores = psutil.cpu_count()
    return f"Measured {' and '.join(sorted(set(days)))} on Kafka {kafka_server.VERSION}, everything on one machine of {cores} cores."


def _storms(kept: Sequence[tuple[str, Found]]) -> str:
    found = [one for _, one in kept]
    recoveries = [recovery for one in found for recovery in one.recoveries]
    lines = [
        _where([day for day, _ in kept]),
        "",
        *table(
            ["seed", "seconds", "faults", "records", "values compared", "wrong", "versions read", "held against the oracle", "wrong", "fell", "composed from ClickHouse", "of two states", "workers that ended by themselves"],
            [
                [
                    one.plan.seed, round(one.plan.seconds), len(one.recoveries), one.sent, one.compared, len(one.wrong["outputs"]),
                    one.versions, one.versions_compared, len(one.wrong["versions"]) + _count(one, "two contents"), _count(one, ", then "),
                    one.composed, one.composed_mixed, len(one.incidents),
                ]
                for one in found
            ],
        ),
        "",
        *table(
            ["fault", "times", "fresh again after, median", "worst", "oldest result shown"],
            [
                [one.kind, one.times, _seconds(one.median_s), _seconds(one.worst_s), _seconds(one.oldest_s)]
                for one in summaries(recoveries)
            ],
        ),
    ]  # fmt: skip
    return "\n".join(lines)


def _count(found: Found, what: str) -> int:
    return sum(what in line for line in found.wrong["seen by readers"])


def _brokers(day: str, found: Losses) -> str:
    return "\n".join([
        _where([day]),
        "",
        *table(
            [
                "lost", "oldest result shown", "fresh again after", "all brokers back after", "fresh again after that", "processor cores of our processes",
                "lines of a log in a minute",
            ],
            [[*_freshness(loss), f"{loss.cores:.2f}", loss.lines] for loss in found.losses],
        ),
        "",
        f"{found.sent:,} payments sent, {found.counted:,} counted; {sum(loss.ended for loss in found.losses)} processes ended.",
    ])  # fmt: skip


def _freshness(loss: Loss) -> list[str]:
    back = ["" if value is None else _seconds(value) for value in (loss.back_s, loss.fresh_since_back_s)]
    return [loss.what, _seconds(loss.oldest_s), _seconds(loss.fresh_s) if loss.fresh_s else "never old", *back]


def _kills(day: str, found: Kills) -> str:
    return "\n".join([
        _where([day]),
        "",
        *table(
            ["seed", "kills", "payments", "counts that were wrong", "all counted after, median", "worst"],
            [[found.seed, len(found.kills), found.kills[-1].sent, len(found.inexact), _seconds(found.median_s), _seconds(found.worst_s)]],
        ),
    ])  # fmt: skip


def _overload(day: str, found: Overload) -> str:
    looks, rows = found.looks, []
    for share in range(5):
        look: Look = min(looks, key=lambda one: abs(one.seconds - looks[-1].seconds * share / 4))
        rows.append(
            [f"{look.seconds / 60:.0f} min", look.sent, look.shown, _seconds(look.age_s), f"{look.memory_mb:.0f} MB"]
        )
    lost = sum(1 for look in looks if look.missing)
    return "\n".join([
        _where([day]),
        "",
        *table(["after", "records sent", "records shown", "age of the oldest result", "memory of the worker"], rows),
        "",
        f"The most memory in each quarter of the time: {', '.join(f'{found.memory(quarter):.0f} MB' for quarter in (1, 2, 3, 4))}.",
        "",
        f"Looks at which results were older than {BEHIND_S:.0f} s: {found.behind} of {len(looks)}.",
        "",
        f"Looks at which results lacked a record that their as-of claims: {lost} of {len(looks)}.",
        "",
        f"When the input ended, all had come through after {found.caught_up_s:.0f} s: {found.sent:,} records sent, {found.redis:,} counted in Redis, {found.clickhouse:,} in ClickHouse.",
    ])  # fmt: skip


def _seconds(value: float | None) -> str:
    return f"not within {RECOVERY_S_MAX:.0f} s" if value is None else f"{value:.1f} s"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """A table of Markdown."""
    return [
        f"| {' | '.join(head)} |",
        f"|{' --- |' * len(head)}",
        *(f"| {' | '.join(map(_cell, row))} |" for row in rows),
    ]


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)

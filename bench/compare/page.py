"""Writes what came out into a page, between two markers; what people wrote around them stays as it is."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

from bench import pages
from bench.compare.cases import Case
from bench.compare.console import GONE
from bench.compare.driver import Driver
from bench.compare.reading import Reading, error, words, wrong
from bench.compare.run import DEBIAN, GIVEN, OBSERVE_S, WARM_UP_S, Found, Program
from stream_app.local import kafka_server

BEGIN: Final = "<!-- make compare writes from here -->"
END: Final = "<!-- make compare writes up to here -->"
_WORDS_MAX: Final = 4


def put(page: Path, text: str) -> None:
    """Replace what stands between the markers."""
    pages.put(page, text, BEGIN, END)


def section(found: Found, given: Program | None) -> str:
    """What stands there."""
    tools = [("ours", "our monitor")]
    if given is not None:
        tools.append((GIVEN, f"Burrow {given.version}"))
    if found.debian_reads:
        tools.append((DEBIAN, "Burrow 1.2.1"))
    tools += [("burrow-rule", "Burrow's rule"), ("console", "ConsumerGroupCommand"), ("exporter", "exporters' rule")]
    return "\n".join(
        [
            _how(),
            "",
            _burrow_of_debian(found),
            "",
            *_table(
                ["case", *(title for _, title in tools), "in truth, at the end"],
                [[case.title, *(_said(found.said[tool], case, driver) for tool, _ in tools), _truth(found, driver)] for case, driver in found.driven],
            ),
            "",
            f"Times are seconds from the event to the moment at which the tool had the word. A word that is wrong for its case is ~~struck out~~. ConsumerGroupCommand judges nothing: what it says of the group and the lag stand there. An answer of it took {found.console_s:.1f} s.",
            "",
            "The seconds of lag, the worst of all looks since the event, against the age of the oldest record not committed as the driver of the case knows it. The promise is 1 s or 2 %, whichever is more.",
            "",
            *_table(
                ["case", "our monitor", "off by at most", "Kafka Lag Exporter's rule", "off by at most"],
                [[case.title, *_seconds(found, driver, "ours"), *_seconds(found, driver, "exporter")] for case, driver in found.driven if _has_seconds(case)],
            ),
        ]
    )  # fmt: skip


def _how() -> str:
    machine = f"one machine of {psutil.cpu_count()} cores"
    return (
        f"Measured {datetime.now(UTC):%Y-%m-%d} on Kafka {kafka_server.VERSION}, all cases and all tools at once on {machine}: "
        f"{WARM_UP_S:.0f} s in which all was well, then the event, then {OBSERVE_S:.0f} s."
    )


def problems(found: Found) -> list[str]:
    """What our monitor said that it should not have said."""
    return [
        problem
        for case, driver in found.driven
        for problem in case_problems(case, driver, found.said["ours"][driver.group])
    ]


def case_problems(case: Case, driver: Driver, readings: Sequence[Reading]) -> list[str]:
    """The same, of one case."""
    said = words(readings, driver.event_ms, driver.settled_ms)
    off = error(readings, driver.truth, driver.settled_ms)
    found = [f"{case.name}: {said}, not {case.right}"] if not said or any(wrong(said, case.right)) else []
    if off is not None and off.missed:
        found.append(f"{case.name}: {off.missed} of {off.looks} looks off, by {off.seconds:.1f} s at {off.age_s:.1f} s")
    return found


def _burrow_of_debian(found: Found) -> str:
    if found.debian_reads:
        return "Burrow is Debian's, 1.2.1."
    why = "; ".join(f"`{one}`" for one in found.debian_why)
    return (
        "Debian's Burrow 1.2.1, told the newest Kafka that it knows (2.1.0), starts and has no word for any group. The broker and its own log say why: "
        f"{why}. In its place stands its published rule (ten commits of a partition, the lag at each), fed with the commits as this broker stored them."
    )


def _has_seconds(case: Case) -> bool:
    return case.name != "share"


def _said(readings: dict[str, list[Reading]], case: Case, driver: Driver) -> str:
    of = readings[driver.group]
    said = [one for one in words(of, driver.event_ms, driver.settled_ms) if one[0]]
    before = next((reading.word for reading in reversed(of) if reading.to_ms < driver.event_ms), "OK")
    shown: list[str] = []
    for (word, after_s), is_wrong in list(zip(said, wrong(said, case.right), strict=True))[:_WORDS_MAX]:
        marked = f"~~{word}~~" if is_wrong and word != GONE else word
        shown.append(marked if not shown and word in {before, "OK"} else f"{marked} after {after_s:.0f} s")
    if len(said) > _WORDS_MAX:
        shown.append(f"{len(said) - _WORDS_MAX} more changes")
    if of and of[-1].records is not None:
        shown.append(f"lag {of[-1].records:,}")
    return ", ".join(shown) or "nothing"


def _truth(found: Found, driver: Driver) -> str:
    last = found.said["ours"][driver.group][-1]
    if last.records is None:
        return "no lag can be told"
    return f"{driver.truth.records(last.from_ms):,} records, {_s(min(driver.truth.ages_s(last.from_ms, last.to_ms)))}"


def _seconds(found: Found, driver: Driver, tool: str) -> list[str]:
    readings = found.said[tool][driver.group]
    off = error(readings, driver.truth, driver.settled_ms)
    last = next((reading.seconds for reading in reversed(readings) if reading.seconds is not None), None)
    if off is None or last is None:
        return ["nothing", ""]
    share = "" if off.age_s < 50 else f", {off.seconds / off.age_s:.1%}"
    missed = f"; {off.missed} of {off.looks} looks beyond the promise" if off.missed else f" in {off.looks} looks"
    return [_s(last), f"{_s(off.seconds)} at {_s(off.age_s)}{share}{missed}"]


def _s(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds < 100 else f"{seconds:,.0f} s"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]

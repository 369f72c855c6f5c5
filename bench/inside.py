"""Ours without servers, for a profiler: `python -m bench.inside narrow wide --events 200000 [--profile FILE]`.

The service in one process (`one_process`) takes records at the pace of a worker that catches up. Each stage is timed by itself, and the cells that are in the stores
at the end are compared with an independent computation. For finding out what a change gains, before `whole` says it.
"""

import argparse
import asyncio
import cProfile
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Final

from bench import apart  # noqa: F401  # first
from bench.context import Row, say
from bench.one_process import STAGES, TICK, OneProcess
from bench.traffic import DATA_SETS, DAYS, DataSet, Truth, Visit, contract, directory, last_midnight_ms, visits
from config.settings import Settings
from stream_app.domain.cells import FigureCell
from stream_app.domain.local_time import date_of, month_string
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS
from stream_app.domain.tables import HALF_HOUR, MONTHLY
from stream_app.local.errors import LocalError
from stream_app.worker import prepare

FIGURES: Final = (
    *("receivedAmount", "discountAmount", "paymentCount", "payingCustomers"),
    *("sessionCount", "chargingCustomers", "energyKwh"),
)
_ZEROS: Final = (0,) * len(FIGURES)


def check(inside: OneProcess, truth: Truth) -> int:
    """How many cells are in the stores, each as it must be. `Raises` LocalError when one is not."""
    wanted: dict[tuple[object, ...], object] = {**truth.months, **truth.slots}
    found: dict[tuple[object, ...], object] = {}
    for view in inside.views:
        for operator in view.operators():
            for key, figures in view.scan_cells(MONTHLY, operator):
                found[operator, key.group, month_string(key.period)] = _month(figures)
            for key, counts in view.scan_cells(HALF_HOUR, operator):
                date = date_of(key.period).isoformat()
                found |= {(operator, key.group, date, slot): count for slot, count in enumerate(counts.slots)}
    shown = {
        name: value for name, value in found.items() if value not in {0, _ZEROS}
    }  # the current period is shown in any case
    for name in wanted.keys() | shown.keys():
        if shown.get(name) != wanted.get(name):
            raise LocalError(f"inside: {name} shows {shown.get(name)}, and not {wanted.get(name)}")
    return len(wanted)


def _month(cell: FigureCell) -> tuple[int, ...]:
    paid, came = cell.payments.get("EUR", PAYMENT_SUMS.zeros()), cell.sessions
    got = {figure.name: paid[PAYMENT_SUMS.at(figure)] for figure in PAYMENT_SUMS.figures}
    got |= {figure.name: came[SESSION_SUMS.at(figure)] for figure in SESSION_SUMS.figures}
    return tuple(got[name] for name in FIGURES)


async def _measure(
    inside: OneProcess, data: DataSet, made: Iterator[Visit], truth: Truth, profile: cProfile.Profile | None
) -> float:
    """CPU-seconds for operators and memberships, which stand in `inside.cpu_s`, too."""
    await inside.start()
    await inside.take_all(directory(data))
    before_s = sum(inside.cpu_s.values())
    inside.cpu_s = dict.fromkeys(STAGES, 0.0)
    while pairs := list(islice(made, TICK // 2)):
        some = [record for visit in pairs for record in contract(data, visit)]
        for visit in pairs:
            truth.count(visit)
        with profile or nullcontext():
            await inside.take(some)
    with profile or nullcontext():
        inside.finish()
    return before_s


def run(data: DataSet, events: int, clock: str, profile: cProfile.Profile | None) -> list[Row]:
    """CPU of each stage for each event, and the whole. `Raises` LocalError when a result is wrong."""
    # As many days of half-hours as there are data of: the peers count all of them, too.
    settings = Settings(clock=clock, distribution_days=DAYS + 3)  # type: ignore[arg-type]  # text, as from the environment
    truth = Truth(data)
    with tempfile.TemporaryDirectory(prefix="bench-inside-") as folder:
        inside = OneProcess(settings, Path(folder))
        say(
            f"inside: {data.name}, {data.operators + data.customers:,} operators and memberships, then {events:,} events"
        )
        made = visits(data, events, last_midnight_ms())
        before_s = asyncio.run(_measure(inside, data, made, truth, profile))
        cells = check(inside, truth)
        inside.close()
    cpu_s, count = sum(inside.cpu_s.values()), 2 * truth.visits
    rows = [
        Row("inside", data.name, f"{count / cpu_s:,.0f} events/CPU-s", f"{cpu_s:.1f} CPU-s, {cells:,} months and half-hours of groups, each as it must be; besides {before_s:.1f} CPU-s for memberships, before"),
    ]  # fmt: skip
    for stage, stage_s in inside.cpu_s.items():
        rows.append(Row("inside", f"  {stage}", f"{1e6 * stage_s / count:.1f} µs an event", f"{stage_s / cpu_s:.0%}"))
    return rows


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m bench.inside")
    parser.add_argument("data", nargs="*", choices=[*DATA_SETS, []], help="narrow and wide by default")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument(
        "--clock",
        choices=("stream", "wall"),
        default="wall",
        help="stream: days pass while records of them are read, so windows roll on",
    )
    parser.add_argument("--profile", type=Path, metavar="FILE", help="for pstats; times are longer with it")
    arguments = parser.parse_args()
    prepare()
    profile, found = cProfile.Profile() if arguments.profile else None, list[Row]()
    try:
        for name in arguments.data or ("narrow", "wide"):
            found += run(DATA_SETS[name], arguments.events, arguments.clock, profile)
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    for row in found:
        print(f"{row.name:14} {row.value:>24}  {row.note}")
    if profile is not None:
        profile.dump_stats(arguments.profile)
    return 0


if __name__ == "__main__":
    sys.exit(main())

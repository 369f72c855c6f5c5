"""`python -m bench [group …]`: run groups of rows and print them as one table.

A group is a module with `rows(ctx) -> list[Row]`; a new one is a line in GROUPS. Nothing here passes or fails by a number: rows
are to be compared with the other rows of the same run.
"""

import argparse
import importlib
import platform
import sys
from collections.abc import Sequence

import psutil
from rich.console import Console
from rich.table import Table

from bench import apart  # noqa: F401  # first
from bench.context import Context, Row
from bench.costs.curves import CURVES
from bench.peers.run import SYSTEMS
from bench.stack import Stack
from bench.traffic import DATA_SETS
from stream_app.local.errors import LocalError

# name -> (module, what it measures)
GROUPS = {
    "peers": ("bench.peers.run", "ours beside the peers, on few operators and on many"),
    "whole": ("bench.whole", "the whole path catching up on records with corrections of every kind"),
    "latency": ("bench.latency", "from Kafka's append to the result, at a steady pace"),
    "disturbed": ("bench.disturbed", "latency while a second worker comes, and while all is counted again"),
    "workers": ("bench.workers", "the same events by one, two and four workers"),
    "restart": ("bench.restart", "from start to ready, with the state that `whole` makes"),
    "endpoints": ("bench.endpoints", "one API process, beside its framework and beside the report from raw orders"),
    "viewers": ("bench.viewers", "a thousand viewers of the stream on one API process"),
    "rebuild": ("bench.rebuild", "a rebuild of what `whole` loads, beside live traffic"),
    "own-topics": ("bench.own_topics", "topics of one's own by maps, in each format, beside records of the contract"),
    "sources": ("bench.decoding", "reading source records, without Kafka"),
    "state": ("bench.costs.state", "bytes of rows for a customer, a result and an event, without Kafka"),
    "served": ("bench.costs.served", "what a worker, the API and servers take while they catch up and start"),
    "steady": ("bench.costs.steady", "what a worker and servers take at a steady pace; wants the machine for itself"),
    "million": ("bench.costs.million", "restarts with a million customers"),
    "curves": ("bench.costs.curves", "events a CPU-second by partitions, customers, operators, groups, history"),
}


def main() -> int:
    """Measure what the arguments name; 1 when it could not be done."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        epilog="\n".join(f"{name:10} {text}" for name, (_, text) in GROUPS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("groups", nargs="*", metavar="group", help="which rows; all of them by default, see below")
    parser.add_argument(
        "--events", type=int, help="source records: 1,000,000 for peers, 400,000 for the whole path, unless told"
    )
    parser.add_argument(
        "--data", nargs="+", choices=list(DATA_SETS), default=["narrow", "wide"], help="what peers are measured on"
    )
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS, help="who of them; all by default")
    parser.add_argument("--curves", nargs="+", choices=list(CURVES), default=[], help="which curves; all by default")
    parser.add_argument(
        "--page",
        action="store_true",
        help="write what peers took into docs/performance.md and README.md, and costs into docs/sizing.md",
    )
    parser.add_argument(
        "--rates", type=int, nargs="+", default=[1_000], help="source records a second while latency is measured"
    )
    parser.add_argument("--seconds", type=int, default=20, help="how long latency is measured")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.groups if name not in GROUPS]:
        parser.error(f"no such rows: {', '.join(unknown)}")
    for name, low, high in (
        ("events", 1_000, 10_000_000),
        ("seconds", 1, 600),
    ):
        if (given := getattr(arguments, name)) is not None and not low <= given <= high:
            parser.error(f"--{name.replace('_', '-')} must be {low:,} to {high:,}")
    if not all(1 <= rate <= 20_000 for rate in arguments.rates):
        parser.error("--rates must be 1 to 20,000")
    found: list[Row] = []
    try:
        with Stack() as stack:
            asked = arguments.rates, arguments.seconds, arguments.data, arguments.systems, arguments.page
            ctx = Context(stack, arguments.events or 400_000, arguments.events or 1_000_000, *asked, arguments.curves)
            for name in GROUPS:
                if name in arguments.groups or not arguments.groups:
                    found += importlib.import_module(GROUPS[name][0]).rows(ctx)
    except LocalError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        show(found)
    return 0


def show(found: Sequence[Row]) -> None:
    """Print the rows measured so far."""
    if not found:
        return
    cores = f"{psutil.cpu_count()} cores of {platform.machine()}, load {psutil.getloadavg()[0]:.1f} at the end"
    table = Table(title=f"crm-stats, {cores}, servers on the same machine", title_justify="left")
    table.add_column("measured", overflow="fold")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("how", overflow="fold")
    group = found[0].group
    for row in found:
        if row.group != group:
            table.add_section()
            group = row.group
        table.add_row(row.name, row.value, row.note)
    Console(width=None if sys.stdout.isatty() else 150).print(table)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.storm`: a storm, lost brokers, a hundred kills, or an overload; prints what it found, keeps it, and writes docs/reliability.md.

Ends with 1 when anything was wrong.
"""

import argparse
import logging
import os
import shutil
import sys
import time
from collections.abc import Sequence

# As in tests/conftest.py: brokers of a run live for minutes.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")

from tests.storm import page
from tests.storm.brokers import lose_brokers
from tests.storm.faults import FAULTS
from tests.storm.kills import kill_workers
from tests.storm.overload import overload
from tests.storm.storm import Plan, storm
from tests.support.deployment import ROOT

RUN = ROOT / ".run" / "storm"


def main(words: Sequence[str]) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="make storm", description="ARGS of make storm")
    parser.add_argument("what", nargs="?", default="storm", choices=("storm", "brokers", "kills", "overload", "page"))
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[1], help="of storms, one after the other, or of the kills"
    )
    parser.add_argument(
        "--seconds", type=float, help="of each storm (600), of the overload (1200), or that a broker is away (60)"
    )
    parser.add_argument("--rate", type=float, default=40, help="records a second in a storm")
    parser.add_argument("--only", default="", help="kinds of faults that hold this text")
    parser.add_argument("--times", type=int, default=100, help="kills")
    asked = parser.parse_args(words)
    logging.getLogger("clickhouse_driver").setLevel(logging.CRITICAL)  # that a server is away is what is tested
    wrong: list[str] = []
    if asked.what == "storm":
        kinds = [fault.kind for fault in FAULTS if asked.only in fault.kind]
        for seed in asked.seeds:
            found = storm(Plan(seed, asked.seconds or 600, asked.rate, kinds), _folder(f"storm-{seed}"), _say)
            page.keep(f"storm-{seed}", found)
            wrong += [f"seed {seed}: {line}" for line in found.all_wrong]
    elif asked.what == "brokers":
        losses = lose_brokers(_folder("brokers"), asked.seconds or 60, _say)
        page.keep("brokers", losses)
        wrong += losses.wrong
    elif asked.what == "kills":
        kills = kill_workers(_folder("kills"), asked.seeds[0], asked.times, _say)
        page.keep("kills", kills)
        wrong += map(str, kills.inexact)
    elif asked.what == "overload":
        looks = overload(_folder("overload"), asked.seconds or 1200, _say)
        page.keep("overload", looks)
        wrong += looks.wrong
    page.write()
    print(page.PAGE.read_text())
    for line in wrong:
        print(f"storm: {line[:2000]}", file=sys.stderr)
    return 1 if wrong else 0


def _folder(name: str):
    folder = RUN / name
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

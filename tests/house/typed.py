"""Which test runs each command of the pages; tests/house/test_typed.py compares both.

A command is a line to type, or one that the text names. The first row whose pattern fits says who runs it; what is not run by the tests has the reason.
"""

from fnmatch import fnmatchcase
from typing import NamedTuple


class Row(NamedTuple):
    """`pattern`: of the command, as fnmatch has it; `test`: the file that runs it, "" for none; `why`: why none does, or where else it is run."""

    pattern: str
    test: str
    why: str = ""


CI = ".ci/run"
TOUR, README, RECOVERY = "tests/stack/test_demo.py", "tests/e2e/test_readme.py", "tests/e2e/test_recovery.py"

ROWS = (
    # -- the stack
    Row("make demo", TOUR),
    Row("make pay*", TOUR),
    Row("make down", TOUR),
    Row("make clean", TOUR),
    Row("make help", "tests/house/test_make.py"),
    Row("*make token*", README),
    Row("STREAM_APP_GENERATION=* make up", RECOVERY),
    Row("STREAM_APP_* make up", "", "tests/stack/test_up.py runs it with other settings; each setting has tests of its own"),
    Row("make up WORKERS=3", "tests/stack/test_up.py"),
    Row("make up", TOUR),
    Row("sed *", TOUR),
    Row("curl *", README),
    Row("kill *", "tests/stack/test_up.py"),
    # -- the program
    Row("stream-app import *my.*", TOUR),
    Row("stream-app import * --new-map*", "tests/importer/test_new_map.py"),
    Row("stream-app import*", "tests/importer/test_command.py"),
    Row("stream-app map*", "tests/importer/test_topic_map.py"),
    Row("stream-app plan*", "tests/sizing/test_demand.py"),
    Row("stream-app contract-test*", "tests/golden/test_command.py"),
    Row("stream-app dead-letters*", "tests/redrive/test_command.py"),
    Row("stream-app rebuild*", "tests/e2e/test_rebuild.py"),
    Row("stream-app worker*", "tests/support/deployment.py"),
    Row("stream-app api", "tests/support/deployment.py"),
    Row("stream-app monitor", "tests/e2e/test_follow.py"),
    Row("stream-app status", "tests/stack/test_up.py"),
    Row("stream-app simulate", "tests/simulator/test_commands.py"),
    Row("stream-app pay", "tests/simulator/test_commands.py"),
    Row("stream-app token", "tests/stack/test_commands.py"),
    Row("stream-app up*", "tests/stack/test_up.py"),
    Row("stream-app audit", "", "it is said not to be there yet"),
    Row("stream-app reconcile", "", "it is said not to be there yet"),
    # -- contributing
    Row("make check", CI),
    Row("make test", CI),
    Row("make test ARGS=*", "tests/house/test_make.py"),
    Row("make quick", "tests/house/test_make.py"),
    Row("pytest --pure", "tests/house/test_make.py"),
    Row(".ci/run", "", "CI itself"),
    Row("make docs", "tests/house/test_docs.py"),
    Row("python docs/contract_changes.py", "tests/house/test_contract_changes.py"),
    Row("make dashboard", "tests/house/test_dashboard_build.py"),
    Row("make pictures", "", "somebody has to look at them"),
    Row("make lock", "tests/house/test_make.py"),
    Row("make advisories", "tests/deploy/test_supply.py"),
    Row("make sbom", "tests/deploy/test_supply.py"),
    Row("make machines", "", "it needs root and debootstrap, and 20 minutes"),
    Row("make storm*", "", "it takes ten minutes and more; tests/storm/test_storm.py runs a short one"),
    Row("make compare*", "", "it takes the machine for itself; tests/monitor/test_compare.py and tests/bench hold its parts"),
    Row("make bench*", "", "it takes the machine for itself; tests/bench runs the smallest size"),
    Row("python -m bench*", "", "it takes the machine for itself; tests/bench runs the smallest size"),
    Row("python bench/sources.py", "", "it measures, and holds results against each other: tests/sources does the latter"),
    Row(".venv/bin/pre-commit install", "tests/house/test_make.py"),
    Row("git log *", "", "git's own"),
    # -- programs of others
    Row("make image*", "tests/deploy/test_image.py"),
    Row("make containers*", "", "it needs a Docker engine; tests/house/test_images.py compares names, ports and settings"),
    Row("make pods*", "", "it needs what make kubernetes needs, and the rights to make containers"),
    Row("make karapace*", "", "it needs the sources of Karapace, which the tests do not download"),
    Row("make kubernetes", "", "it needs Go, and downloads schemas; it renders the chart and holds it against them"),
    Row("helm *", "", "the tests have no cluster; make kubernetes renders the chart"),
    Row("kubectl *", "", "the tests have no cluster"),
    Row("docker *", "", "the tests need no engine; tests/house/test_images.py compares names, ports and settings"),
    Row("promtool *", "tests/deploy/test_prometheus.py"),
    Row("kafka-*", "", "Kafka's own tools, which the tests do not download; what they ask is asked by clients"),
)  # fmt: skip


def row_of(command: str) -> Row | None:
    """Who runs a command."""
    return next((row for row in ROWS if fnmatchcase(command, row.pattern)), None)

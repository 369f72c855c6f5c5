"""Each command of the pages is run, and typed.py says by which test: none that nobody runs, and no test that does not run it."""

import re
import shlex
from pathlib import Path

import pytest

from config.settings import ROOT
from tests.house.typed import CI, ROWS, row_of
from tests.support.pages import PAGES, blocks, lines, prose

TYPES_LINES = re.compile(r"type_line|\.type\(|lines\(page\)")  # what types the lines of a page as they stand
PROGRAMS = ("make ", "stream-app ", ".venv/bin/", ".ci/", "python ", "pytest ", "docker ", "kubectl ", "helm ", "kill ", "promtool ", "kafka-", "git log")  # fmt: skip


def commands(page):
    """Lines to type, synopses, and commands that the text names; a program of ours by its name alone."""
    found = [*lines(page)]
    found += [line for block in blocks(page, "") for line in block.splitlines() if line.startswith(PROGRAMS)]
    named = (re.sub(r"^[A-Z_]+=\S+ ", "", said) for said in re.findall(r"`([^`\n]+)`", prose(page)))
    found += [said for said in named if said.startswith(PROGRAMS) and "…" not in said]
    return [line.replace(".venv/bin/stream-app", "stream-app").strip() for line in found]


ALL = {command: page.name for page in PAGES for command in commands(page) if command != "stream-app"}


@pytest.mark.parametrize("command", sorted(ALL))
def test_every_command_is_run_or_has_a_reason_why_not(command):
    row = row_of(command)
    assert row is not None, f"{ALL[command]}: say in tests/house/typed.py which test runs it"
    assert row.test or row.why
    if row.test:
        assert missing(command, row.test) == set(), row.test


def missing(command, test):
    """Words of a command that the file which is said to run it does not hold, unless that types lines of pages."""
    text = (ROOT / test).read_text()
    if TYPES_LINES.search(text) or test == CI:
        return {command} - set(text.splitlines()) if test == CI else set()
    words = shlex.split(re.sub(r"[\[\]>]|\$\([^)]*\)", " ", command))
    if words[0] not in {"stream-app", "make"}:
        name = Path(words[1]).stem if words[0] == "python" else Path(words[0]).name
        return set() if name in text else {name}
    needed = [words[1], *(word.split("=")[0] for word in words[2:] if word.startswith("--"))]
    return {word for word in needed if not re.search(rf"[\"' ]{re.escape(word)}[\"' =_.]", text)}


def test_every_row_is_of_a_command_that_a_page_names():
    used = {row_of(command) for command in ALL}
    assert [row.pattern for row in ROWS if row not in used] == []


@pytest.mark.parametrize(
    ("command", "test"),
    [
        ("stream-app worker --wurst", "tests/support/deployment.py"),
        ("make wurst", CI),
        ("promtool x", "tests/house/test_make.py"),
    ],
)
def test_a_test_that_does_not_run_a_command_is_seen(command, test):
    assert missing(command, test) != set()


def test_a_command_that_nobody_runs_is_seen():
    assert row_of("make wurst") is None
    assert row_of("stream-app wurst") is None


INDEX = ROOT / "docs" / "README.md"


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent == INDEX.parent], ids=lambda page: page.name)
def test_a_page_says_first_for_whom_it_is_and_stands_in_the_index(page):
    first = page.read_text().split("\n\n", 2)[1]
    assert re.match(r"For (those who|everybody)", first), first
    assert page == INDEX or f"]({page.name}" in INDEX.read_text()

"""The pages say what is there: commands, options, links, topics, tables, reasons, metrics. What is typed is run by the tests that typed.py names."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from prometheus_client import generate_latest

from config.settings import ROOT, load
from docs.metrics_page import of_workers
from stream_app.api.observe import Metrics
from stream_app.cli import COMMANDS
from stream_app.cli import load as load_command
from stream_app.cli.topics import topics_of
from stream_app.domain.errors import Reason
from stream_app.domain.tables import TABLES
from stream_app.monitor.metrics import METRICS
from stream_app.sinks.sql import OTHER_TABLES, RECORD, sql
from tests.support.growing import LISTS, steps
from tests.support.pages import PAGES, PROGRAMS, blocks, commands, prose, run_script, section

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z]+):.*## ", MAKEFILE, re.MULTILINE))
OPERATING, INTEGRATING = ROOT / "docs" / "operating.md", ROOT / "docs" / "integrating.md"
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
WHOLE = "\n".join(page.read_text() for page in PAGES)
LANGUAGES = {"", "sh", "console", "sql", "python", "toml"}


def options(name):
    """The options of a command of stream-app."""
    found = typer.main.get_command(load_command(name))
    parts = [found, *getattr(found, "commands", {}).values()]
    return {
        option for part in parts for parameter in part.params for option in [*parameter.opts, *parameter.secondary_opts]
    }


def wrong(command):
    """What is wrong with a command of the pages; None for nothing."""
    match command.words:
        case ["make", *words]:
            targets = {word for word in words if "=" not in word}
            return None if targets and targets <= TARGETS else f"no target {targets - TARGETS}"
        case [program, name, *words] if program in PROGRAMS:
            if name not in COMMANDS:
                return f"no command {name}"
            unknown = {word.split("=")[0] for word in words if word.startswith("--")} - options(name)
            return f"no option {unknown}" if unknown else None
        case ["curl" | "sed", *_]:
            return None  # tests/house/typed.py says which test runs it
        case _:
            return "a program that no test knows"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_to_be_typed_exists(page):
    assert [(command.line, why) for command in commands(page) if (why := wrong(command))] == []


def test_a_wrong_command_is_seen(tmp_path):
    page = tmp_path / "page.md"
    typed = ["make wurst", "A=1 make up", "stream-app wurst", "stream-app token --wurst", "X=$(make token)", "rm -r x"]
    page.write_text("```sh\n" + "\n".join(typed) + "\n```\n")
    assert [command.line for command in commands(page) if wrong(command)] == [typed[i] for i in (0, 2, 3, 5)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_are_of_a_language_that_is_checked_or_run(page):
    fences = re.findall(r"^```(.*)$", page.read_text(), re.MULTILINE)
    assert len(fences) % 2 == 0
    assert set(fences) <= LANGUAGES
    assert not blocks(page, "python", "sql") or page == INTEGRATING, "only those of integrating.md are run"


def test_every_target_and_every_command_is_mentioned():
    said = set(re.findall(r"make ([a-z]+)", WHOLE))
    listed = section(OPERATING, "Commands")
    said_by_program = set(re.findall(r"stream-app ([a-z-]+)", WHOLE))
    said_by_program |= {name for name in COMMANDS if f"`{name}`" in listed}
    assert TARGETS - said == set()
    assert set(COMMANDS) - said_by_program == set()


def test_what_is_said_not_to_be_there_yet_is_not():
    missing = section(OPERATING, "Not there yet")
    assert set(re.findall(r"`stream-app ([a-z-]+)", missing)) & set(COMMANDS) == set()


def test_commands_in_the_text_exist_or_are_said_not_to_be_there_yet():
    missing = set(re.findall(r"`stream-app ([a-z-]+)", section(OPERATING, "Not there yet")))
    for page in PAGES:
        said = set(re.findall(r"`(?:\.venv/bin/)?stream-app ([a-z-]+)", prose(page)))
        assert said <= set(COMMANDS) | missing, page.name


def anchors(text):
    """The anchors that a page's headings make."""
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        found = page.parent / path if path else page
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found.read_text()), target


def test_every_page_is_reached_from_the_readme_or_its_folder():
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(page))
    }
    folders = {path for path in linked if path.is_dir()}
    assert [page.name for page in PAGES[1:] if page not in linked and page.parent not in folders] == []


OURS = [topic for topic in topics_of(load()) if topic.name.startswith("crm-stats")]


@pytest.mark.parametrize("topic", OURS, ids=lambda topic: topic.name)
def test_our_topics_are_described_as_make_up_makes_them(topic):
    settings = load()
    (row,) = [line for line in section(OPERATING, "Topics").splitlines() if line.startswith(f"| `{topic.name}` |")]
    assert row.split("|")[2].split()[0] == str(topic.partitions)
    assert set(re.findall(r"`([\w.]+=[^`]+)`", row)) == {f"{name}={value}" for name, value in topic.config.items()}
    if topic.name in {settings.topic_as_of, *(settings.result_topic(table.name) for table in TABLES)}:
        assert f"| `{topic.name}` |" in section(INTEGRATING, "Topics")


@pytest.mark.parametrize("statement", [*OTHER_TABLES, "moves", RECORD])
def test_every_other_table_of_clickhouse_is_described_with_its_columns(statement):
    name = re.search(r"db\.(\w+)", sql(statement, "db"))[1]
    rows = [line.split("|") for line in section(INTEGRATING, "ClickHouse").splitlines() if line.startswith("| `")]
    (row,) = [row for row in rows if f"`{name}`" in row[1]]
    columns = re.findall(r"^    (\w+)", sql(statement, "db"), re.MULTILINE)
    assert len(columns) >= 2
    assert set(columns) == set(re.findall(r"`(\w+)`", row[3]))


def test_the_docs_list_figures_and_tables_as_they_are():
    done = run_script("results_lists.py", "--check")
    assert done.returncode == 0, done.stderr


def test_the_plans_of_the_sizing_page_are_what_the_command_prints_today():
    done = run_script("sizing_page.py", "--check")
    assert done.returncode == 0, done.stderr


ADDED = {
    "a figure": """
from stream_app.domain import figures
minutes = figures.Sum("minutesCharged", figures.Unit("min", 1), figures.SESSIONS, "Minutes.", lambda row: 10, since=9)
figures.FIGURES = (*figures.FIGURES, minutes)
""",
    "a table": """
from stream_app.domain import tables
from tests.support.added_tables import WEEKDAY
tables.TABLES = (*tables.TABLES, WEEKDAY)
""",
}


@pytest.mark.parametrize("what", ADDED)
def test_a_figure_or_a_table_that_no_page_lists_is_seen(what):
    done = run_script("results_lists.py", "--check", code=ADDED[what])
    assert (done.returncode, done.stderr) == (1, "docs/api.md is not what the tables say: make docs\n")


def test_every_reason_of_a_dead_letter_is_described_and_no_other():
    rows = [line.split("|")[1] for line in section(OPERATING, "Dead letters").splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(Reason)


def test_every_metric_of_the_api_is_described_and_no_other():
    metrics = Metrics()
    metrics.watch("redis", lambda: True)
    exposed = {metric.name + ("_total" if metric.type == "counter" else "") for metric in metrics.registry.collect()}
    assert b"crm_api_store_up" in generate_latest(metrics.registry)
    assert set(re.findall(r"\bcrm_api_\w+", WHOLE)) == exposed


def test_every_metric_of_a_worker_is_described_and_no_other():
    exposed = {name for name, *_ in of_workers()}
    assert set(re.findall(r"\bcrm_(?:ingest|ledger)_\w+", WHOLE)) == exposed


def test_the_docs_show_the_metrics_as_they_are_and_no_other():
    """What the monitor exposes can only be of its list; that the list is exposed is a test of the monitor."""
    subprocess.run([sys.executable, ROOT / "docs" / "metrics_page.py", "--check"], check=True, cwd=Path("/"))
    said = set(re.findall(r"\bcrm_(?:monitor|group|result|source|probe|dead)_\w+", WHOLE))
    assert said <= set(METRICS)


def test_settings_in_the_text_exist():
    said = re.findall(r"`([a-z_]+)`", section(OPERATING, "Settings that matter"))
    assert said
    assert set(said) - set(type(load()).model_fields) == {"operator_id"}


def test_decisions_are_numbered_and_one_page_each():
    assert [path.name[:5] for path in DECISIONS] == [f"{number:04d}-" for number in range(1, len(DECISIONS) + 1)]
    for path in DECISIONS:
        text = path.read_text()
        assert text.startswith(f"# {path.name[:4]} "), path.name
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Problem", "Decision", "Alternatives", "Consequence"]
        assert len(text.splitlines()) <= 60, path.name


def test_the_files_that_the_pages_name_exist_or_are_made_by_a_list():
    made = {step.file for heading in LISTS for step in steps(heading) if step.language != "diff"}
    for page in PAGES:
        for name in re.findall(r"`((?:stream_app|agents|tables|config|tests|bench|docs)/[\w./-]*)`", prose(page)):
            assert (ROOT / name).exists() or name in made, f"{page.name}: {name}"


def test_the_modules_that_the_architecture_names_by_their_ends_exist():
    """A page of one room names its modules without the folders before."""
    there = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = re.findall(r"`([\w/]+\.py)`", (ROOT / "docs" / "architecture.md").read_text())
    assert len(named) > 10
    assert [name for name in named if f"/{name}\n" not in there and f"\n{name}\n" not in there] == []

"""The tour of docs/tour.md from its first command to its last, as a user without rights, on a machine whose usual ports are taken; then `make clean`.

Within it the demo is started again, and after `make down`. That the demo's figures are what was sent is tests/simulator/test_commands.py.
"""

import asyncio
import re
import shutil
import subprocess
import tempfile
import tomllib
from functools import partial
from pathlib import Path

import psutil
import pytest
from playwright.async_api import async_playwright, expect

from config.settings import LIB, ROOT
from stream_app.local import kafka_server, redis_server
from tests.stack.nobody import Nobody
from tests.stack.stacks import SERVERS, Stack
from tests.support.pages import fences, prose
from tests.support.waiting import until

SMALL = {"ARGS": "--months 2 --customers 30", "WORKERS": "1"}
TOUR = ROOT / "docs" / "tour.md"
UNSURE = {"operators", "row.operator_id", "times.zone"}  # what the reader completes in the first map


def checkout():
    """What git sees changed or new."""
    return subprocess.run(["git", "status", "--short"], cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def nobody(kafka, redis_url, clickhouse_url):
    """Its servers are those that this checkout has downloaded."""
    folder = Path(tempfile.mkdtemp(prefix="crm-stats-nobody-"))
    nobody = Nobody(folder)
    yield nobody
    nobody.make("clean")
    shutil.rmtree(folder)


def keys(text):
    """What a map says, by section and key; of a list of sections as a whole."""
    found = {}
    for section, said in tomllib.loads(text).items():
        found |= (
            {f"{section}.{key}": value for key, value in said.items()} if isinstance(said, dict) else {section: said}
        )
    return found


def completed(first, whole):
    """The first map of a file, completed as the tour has it, in what is UNSURE only."""
    guess, said = keys(first), keys(whole)
    assert {key for key in guess.keys() | said.keys() if guess.get(key) != said.get(key)} == UNSURE
    return whole


def take_the_tour(nobody, **env):
    """Type the commands of the page, up to the one that ends it; what they said, by command."""
    said = {}
    for language, text in fences(TOUR.read_text()):
        if language == "toml":
            path = nobody.run_folder / "my.toml"
            path.write_text(completed(path.read_text(), text))
        for line in text.splitlines() if language == "sh" else ():
            if line == "make down":
                return said
            said[line] = nobody.type(line, **env)
    raise AssertionError("the tour does not end")


async def look(address):
    """The rows of the dashboard's tables of payments and of sessions, once the operator of the tour's file was chosen."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])

        async def opened():
            """A page that lists the operator, which may have come to the results since the last one was opened."""
            page = await (await browser.new_context(locale="en-GB")).new_page()
            await page.goto(address)
            await expect(page.locator("body")).to_have_attribute("data-phase", "shown", timeout=60_000)
            return page if await page.locator("option[value=HARBOUR]").count() else None

        async def rows(page, chart):
            found = await page.evaluate(
                "id => [...document.querySelectorAll(`#${id} tr`)].map(row => [...row.children].map(cell => cell.textContent))",
                chart,
            )
            return [[cell.replace("\xa0", " ") for cell in row] for row in found if {"7", "8"} & set(row)]

        page = await until("the operator can be chosen", opened)
        await page.get_by_label("Operator").select_option("HARBOUR")
        charts = ("received-and-discount", "energy")
        found = [await until(f"{chart} is shown", partial(rows, page, chart)) for chart in charts]
        await browser.close()
        return found


@pytest.mark.timeout(600)  # it starts everything twice
def test_the_tour_ends_with_a_file_on_the_dashboard_by_nobody_with_the_ports_taken(nobody, taken):
    stack, before = Stack(nobody.run_folder), checkout()

    def make(*arguments):
        code, said = nobody.make(*arguments, *(f"{name}={value}" for name, value in SMALL.items()), **stack.ports)
        assert code == 0, said
        return said

    typed = take_the_tour(nobody, **SMALL, **stack.ports)
    said = typed["make demo"]
    assert "Stadtwerke Musterstadt (M1), ALL: payments in EUR, months of Europe/Berlin" in said
    assert "Live traffic runs now" in said
    address = re.search(r"^  (http://127\.0\.0\.1:(\d+)/#token=\S+)$", said, re.MULTILINE)
    assert address[2] == stack.ports["STREAM_APP_API_PORT"]
    assert "M1 received 12.50 EUR from " in typed['make pay ARGS="--operator M1 --amount 12.50"']
    dry, sent = list(typed.values())[-2:]
    assert "would be sent" in dry
    assert "8 rows read, 8 taken, 0 refused" in sent
    for rows, shown in zip(asyncio.run(look(address[1])), (("€54.46", "7"), ("121.400 kWh", "8")), strict=True):
        assert any(set(shown) <= set(row) for row in rows), rows
        assert all(f"**{value}**" in prose(TOUR) for value in shown)
    pids, env = stack.pids(), stack.env()
    assert {"api", "simulate", "worker-1", *SERVERS} <= pids.keys()
    assert {psutil.Process(pid).uids().real for pid in pids.values()} == {nobody.uid}

    assert not env["KAFKA_BOOTSTRAP_SERVERS"].endswith(":9092")
    assert ":6379/" not in env["REDIS_URL"]
    assert not env["CLICKHOUSE_URL"].endswith(":9000")
    for busy, name in ((9092, "kafka"), (6379, "redis"), (9000, "clickhouse")):
        assert f"Port {busy} is busy: {name} listens on " in said
    reached = {
        connection.raddr.port
        for pid in pids.values()
        for connection in psutil.Process(pid).net_connections("tcp")
        if connection.raddr
    }
    assert reached
    assert not reached & {listener.getsockname()[1] for listener in taken}

    said = make("demo")
    assert "its history is not sent again" in said
    assert "Live traffic runs already" in said
    assert (stack.pids(), stack.env()) == (pids, env)

    nobody.type("make down", **stack.ports)
    assert stack.pids() == {}
    assert not [pid for pid in pids.values() if psutil.pid_exists(pid)]

    said = make("demo")
    assert "its history is not sent again" in said
    assert "Live traffic runs now" in said
    assert stack.env() == env
    pids = stack.pids()

    make("clean")
    assert stack.pids() == {}
    assert not [pid for pid in pids.values() if psutil.pid_exists(pid)]
    assert not (nobody.run_folder / "data").exists()
    assert not (nobody.run_folder / "state").exists()
    assert stack.env() == env
    assert (LIB / f"kafka-{kafka_server.VERSION}").exists()
    assert (LIB / f"valkey-{redis_server.VERSION}").exists() or shutil.which("redis-server")
    assert checkout() == before


def test_a_folder_that_nobody_may_write_is_one_clear_sentence(nobody):
    locked = nobody.folder / "locked"
    locked.mkdir(mode=0o555)
    code, said = nobody.make("demo", "WORKERS=1", STREAM_APP_RUN=str(locked / "run"))
    assert code != 0
    assert said.splitlines()[0].startswith("stream-app up: ")
    assert "Traceback" not in said

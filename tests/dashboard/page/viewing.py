"""A whole stack with an invented network, and the dashboard of its API in a real Chromium."""

import json
import subprocess
from contextlib import asynccontextmanager
from decimal import Decimal
from urllib.parse import urlencode

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import async_playwright, expect

from stream_app.domain.figures import FIGURES
from tests.dashboard.places import CHROMIUM, FLAGS, SOURCES
from tests.support.deployment import PROGRAM, ROOT, Deployment

MONTHS, CUSTOMERS = 7, 60
DASH, MINUS = "\u2013", "\u2212"
DRAWN = {  # figures by chart
    chart["id"]: [bar["figure"] for bar in chart["bars"]]
    for chart in json.loads((SOURCES / "layout.json").read_text())["charts"]
}
SIDE = {"groupId": "vip", "compare": "fleet"}


class Stack(Deployment):
    """Servers, a worker and the API, with months of a network and no live traffic: what is shown stands still."""

    def __init__(self, path, months=MONTHS, customers=CUSTOMERS):
        super().__init__(path, api_clickhouse_timeout_ms="20000", api_redis_timeout_ms="5000")  # on a busy machine, too
        try:
            self.start_worker(1)
            self.start_api()
            self.wait_ready(1)
            at_ms = self.now_ms()
            self.command("simulate", "--months", str(months), "--customers", str(customers))
            self.wait_as_of(max(at_ms, self.now_ms()))
        except BaseException:
            self.close()
            raise
        self.everything = self.token("--operator", "*")

    def command(self, *arguments):
        """Run one of our commands; what it printed."""
        done = subprocess.run(
            [PROGRAM, *arguments], env=self.env, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, question, **body):
        """The `data` of an answer."""
        return self.post(question, body, self.everything)


class Dashboard:
    """A page on the dashboard."""

    def __init__(self, page, base):
        self.page = page
        self.base = base
        self.errors = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)

    async def open(self, token, **query):
        fragment = f"#token={token}" if token else ""
        await self.page.goto(f"{self.base}/?{urlencode(query)}{fragment}")
        return self

    async def until(self, phase="shown"):
        """Until the page shows numbers, or what stands in their place."""
        await expect(self.page.locator("body")).to_have_attribute("data-phase", phase)
        return self

    async def texts(self, selector):
        return [text.replace("\xa0", " ") for text in await self.page.locator(selector).all_text_contents()]

    async def tile(self, name):
        """(value, what it was made of, what stands beside it) of each group."""
        figures = self.page.locator(f"[data-tile={name}] .figure")
        return [
            tuple(
                [
                    (await figure.locator(part).text_content()).replace("\xa0", " ")
                    for part in (".value", ".from", ".beside")
                ]
            )
            for figure in await figures.all()
        ]

    async def table(self, chart):
        """The rows of a chart's table, with its head."""
        rows = await self.page.evaluate(
            "id => [...document.querySelectorAll(`#${id} tr`)].map(row => [...row.children].map(cell => cell.textContent))",
            chart,
        )
        return [[cell.replace("\xa0", " ") for cell in row] for row in rows]

    async def status(self):
        return await self.page.locator(".status").get_attribute("data-status")

    async def trouble(self, kind):
        """Until the page says that this is wrong; its words."""
        banner = self.page.locator(f"[data-trouble={kind}]")
        await expect(banner).to_be_visible()
        return await banner.inner_text()

    async def violations(self):
        """What axe finds, short."""
        found = await Axe().run(self.page, options={"resultTypes": ["violations"]})
        return [
            (each["id"], [node["html"][:160] for node in each["nodes"]], each["nodes"][0].get("failureSummary"))
            for each in found.response["violations"]
        ]


@asynccontextmanager
async def chromium_on(base, **context):
    """A new dashboard in a browser of its own; `context`: as Playwright has it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        given = {"locale": "en-GB", "viewport": {"width": 1360, "height": 900}, **context}
        made = await browser.new_context(**given)
        yield Dashboard(await made.new_page(), base)
        await browser.close()


expect.set_options(timeout=40_000)
SIGNS = {"EUR": "€", "INR": "₹"}


def money(amount, currency):
    """As English shows it: by sign where that is of one currency only, else by code."""
    sign = SIGNS.get(currency, f"{currency} ")
    return f"{sign}{Decimal(amount):,}"


def energy(amount):
    """As English shows it."""
    return f"{Decimal(amount):,} kWh"


def columns(drawn):
    """The figures that a chart's table and CSV hold: those drawn, then the others of their basis in the order of documents."""
    basis = next(figure.basis for figure in FIGURES if figure.name == drawn[0])
    return drawn + [figure.name for figure in FIGURES if figure.basis is basis and figure.name not in drawn]


def counted(number, one, other):
    return f"{number:,} {one if number == 1 else other}"

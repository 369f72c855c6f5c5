"""The operations page in a real Chromium, on a real API, whose monitor says what a real one said once, or nothing."""

from contextlib import asynccontextmanager

from playwright.async_api import expect

from stream_app.api.app import Stores, create_app
from stream_app.api.guard.rate_window import LocalWindow
from tests.dashboard.page.viewing import Dashboard
from tests.dashboard.page.viewing import chromium_on as dashboard_on
from tests.support.api import FakeCells, FakeDocuments, settings, token
from tests.support.serving import listening

OPS = {"scope": "ops:read", "operators": None}


async def _nothing():
    return None


@asynccontextmanager
async def api_on(monitor_url, port=None, **changes):
    """The address of an API that asks this monitor."""
    chosen = settings(api_monitor_url=monitor_url, **changes)
    app = create_app(chosen, Stores(FakeDocuments(), FakeCells(), LocalWindow(), _nothing))
    async with listening(app, port=port, lifespan="on") as base:
        yield base


class Page(Dashboard):
    """The page, as a test sees it."""

    async def open(self, given=None, query="", **claims):
        """With a token for operations, or one of other claims, or the one given; "" is none."""
        given = token(**(OPS | claims)) if given is None else given
        await self.page.goto(f"{self.base}/ops{query}" + (f"#token={given}" if given else ""))
        return self

    async def until(self, phase="shown", trust=None):
        await expect(self.page.locator("body")).to_have_attribute("data-phase", phase)
        if trust:
            await expect(self.page.locator("body")).to_have_attribute("data-trust", trust)
        return self

    async def text(self, selector):
        return "\n".join(self.tidy(await self.page.locator(selector).filter(visible=True).all_inner_texts()))

    async def rows(self, table):
        """The cells of a table's rows, as they are read."""
        rows = await self.page.locator(f"#{table} table").first.locator("tbody tr").all()
        return [self.tidy(await row.locator("> *").all_inner_texts()) for row in rows]

    async def node(self, stage):
        return self.tidy([await self.page.locator(f"[data-stage={stage}]").inner_text()])[0]

    async def blamed(self):
        """Names of the stages that are marked."""
        nodes = self.page.locator(".node.blame:visible")
        return [await node.get_attribute("data-stage") for node in await nodes.all()]

    @staticmethod
    def tidy(texts):
        return [" ".join(text.split()) for text in texts]


@asynccontextmanager
async def chromium_on(base, **context):
    """The page in a browser of its own; `context`: as Playwright has it."""
    async with dashboard_on(base, **({"timezone_id": "Europe/Berlin"} | context)) as dashboard:
        yield Page(dashboard.page, base)

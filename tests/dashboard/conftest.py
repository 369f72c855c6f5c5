"""A real Chromium, and a real API for it."""

import pytest
from playwright.async_api import async_playwright

from tests.dashboard.places import CHROMIUM, FLAGS, Tab, place_of


@pytest.fixture
async def chromium():
    """A browser with one profile: a context whose pages are tabs of it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = await browser.new_context()
        context.set_default_timeout(60_000)
        yield context
        await browser.close()


@pytest.fixture
async def place(redis_url):
    async with place_of(redis_url) as place:
        yield place


@pytest.fixture
def new_tab(chromium):
    async def make():
        return Tab(await chromium.new_page())

    return make

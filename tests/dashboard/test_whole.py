"""The page itself on `stream-app api`: eight tabs of it, what they ask whom for, and what the log says of it."""

import httpx
import pytest

from tests.dashboard.places import GROUPS, fill_groups
from tests.support.api import token
from tests.support.api_process import served
from tests.support.serving import NOBODYS, World


@pytest.fixture
async def world(redis_url):
    world = World(redis_url)
    await world.redis.flushall()
    await fill_groups(world)
    yield world
    await world.redis.aclose()


@pytest.fixture
def log(world, tmp_path):
    """The file that `stream-app api` logs to; it is ready."""
    path = tmp_path / "api.log"
    environment = {"REDIS_URL": world.redis_url, "CLICKHOUSE_URL": NOBODYS, "STREAM_APP_API_LOG_LEVEL": "debug"}
    with served(path, **environment) as world.base:
        yield path


async def get(world, path):
    async with httpx.AsyncClient(base_url=world.base) as client:
        return (await client.get(path)).text


async def test_eight_tabs_of_the_page_are_live_and_nothing_leaves_the_house(world, log, chromium):
    given, asked, said = token("M1"), [], []
    chromium.on("request", lambda request: asked.append(request.url))
    chromium.on("console", lambda message: said.append(message.text))
    chromium.on("weberror", lambda error: said.append(str(error.error)))
    await chromium.add_init_script(
        "addEventListener('securitypolicyviolation', ({violatedDirective}) => console.error(violatedDirective));"
    )
    tabs = [await chromium.new_page() for _ in GROUPS]
    for tab, group in zip(tabs, GROUPS, strict=True):
        await tab.goto(f"{world.base}/?operatorId=M1&groupId={group}&lang=en#token={given}")
        await tab.locator(".status[data-status=live], .status[data-status=behind]").wait_for()
        assert given not in tab.url
    for count, group in enumerate(GROUPS, 1234):
        await world.pay(group=group, count=count)
    for count, tab in enumerate(tabs, 1234):
        await tab.get_by_text(f"{count:,}").first.wait_for()
    await tabs[3].reload()
    await tabs[3].get_by_text("1,237").first.wait_for()

    assert said == []
    assert {url.partition("?")[0].partition("#")[0].removeprefix(world.base) for url in asked} >= {
        "/",
        "/app.js",
        "/app.css",
    }
    assert not [url for url in asked if not url.startswith((world.base, "data:", "blob:"))]
    assert not [url for url in asked if given in url.partition("#")[0]]
    assert "crm_api_viewers 8.0" in await get(world, "/metrics")
    logged = log.read_text()
    assert given not in logged
    assert given.rpartition(".")[2] not in logged

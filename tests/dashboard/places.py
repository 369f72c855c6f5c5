"""A real Chromium on a real API: tabs of the dashboard, and of a page that shows just its live layer (`harness/`)."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import httpx
from playwright.async_api import Error

from config.settings import ROOT
from tests.support.api import token
from tests.support.fake_view import MONTH, TODAY
from tests.support.serving import World, serving
from tests.support.waiting import until

SOURCES = ROOT / "stream_app" / "dashboard" / "src"
HARNESS = Path(__file__).parent / "harness"
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SOON_S = 10  # until a token expires that Chromium shall have used before, on a busy machine, too
_PHONE = {"width": 360, "height": 780}
DRESSES = {  # in which a page is looked at
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": _PHONE, "has_touch": True},
    "dark phone": {"viewport": _PHONE, "color_scheme": "dark"},
    "forced colours": {"forced_colors": "active"},
    "chinese": {"locale": "zh-CN"},
}
GROUPS = ["ALL", *(f"g{number}" for number in range(1, 8))]


class Front:
    """Before the API: serves the harness from its sources under the page's policy, and notes what is asked."""

    def __init__(self, app):
        self._app = app
        self.requests = []  # path and query, as they arrived
        self.streams = self.streams_max = 0  # open ones
        self.talks = asyncio.Event()  # while it is not set, nothing of a stream is sent
        self.talks.set()

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self.requests.append(f"{scope['path']}?{scope['query_string'].decode()}")
        name = scope["path"].removeprefix("/harness")
        if name != scope["path"]:
            await self._file(name.removeprefix("/") or "index.html", scope, send)
            return
        stream = scope["path"].endswith("/stream")
        self.streams += stream
        self.streams_max = max(self.streams_max, self.streams)

        async def sent(message):
            await self.talks.wait()
            await send(message)

        try:
            await self._app(scope, receive, sent if stream else send)
        finally:
            self.streams -= stream

    async def _file(self, name, scope, send):
        policy = []

        async def note(message):
            if message["type"] == "http.response.start":
                policy.extend(header for header in message["headers"] if header[0] == b"content-security-policy")

        await self._app({**scope, "path": "/", "method": "HEAD"}, None, note)
        found = next(path for path in (HARNESS / name, SOURCES / name) if path.exists())
        kind = b"text/html" if name.endswith(".html") else b"text/javascript"
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind), *policy]},
        )
        await send({"type": "http.response.body", "body": found.read_bytes()})


class Place:
    """An API with the front before it; can be stopped and started again at the same address."""

    def __init__(self, world, **settings):
        self.world = world
        self.settings = settings
        self.front = None
        self._serving = None
        self._port = None

    async def start(self):
        def around(app):
            front = Front(app)
            if self.front:
                front.requests = self.front.requests
            self.front = front
            return front

        self._serving = serving(self.world, around=around, port=self._port, **self.settings)
        await self._serving.__aenter__()
        self._port = int(self.base.rpartition(":")[2])

    async def stop(self):
        if self._serving:
            await self._serving.__aexit__(None, None, None)
            self._serving = None

    @property
    def base(self):
        return self.world.base

    async def viewers(self):
        """How many groups are watched, as the API counts them."""
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"{self.base}/metrics")).text
        return int(float(text.partition("\ncrm_api_viewers ")[2].partition("\n")[0]))


class Tab:
    """A tab with the harness, that watches groups of M1."""

    def __init__(self, page):
        self.page = page
        self.violations = []

    async def open(self, base, *groups, given=None, fragment=None):
        watched = quote(json.dumps([["M1", group] for group in groups]))
        fragment = f"#token={given or token('M1')}" if fragment is None else fragment
        await self.page.goto(f"{base}/harness?watch={watched}{fragment}")
        return self

    async def events(self, kind=None, group=None):
        return await self.page.evaluate(
            "([kind, group]) => (window.seen ?? []).filter((e) => (!kind || e.type === kind) && (!group || e.groupId === group))",
            [kind, group],
        )

    async def state(self, group="ALL"):
        """The latest state of a group."""
        found = await self.events("state", group)
        return found[-1]["data"] if found else None

    async def until_state(self, group="ALL", seconds=40, **wanted):
        async def reached():
            state = await self.state(group)
            return state if state and wanted.items() <= state.items() else None

        return await until(f"{group} is {wanted}", reached, seconds)

    async def until_version(self, version, group="ALL", kind="monthly", seconds=40):
        async def reached():
            return any(event["data"]["version"] == version for event in await self.events(kind, group))

        await until(f"{group} has version {version}", reached, seconds)


async def fill_groups(world):
    """Redis with numbers for all of GROUPS."""
    for group in GROUPS[1:]:
        world.view.set_month("M1", group, MONTH, 700, [4, 1, 0], EUR=[1000, 0, 0, 1, 1, 0])
        world.view.set_day("M1", group, TODAY, 700, {3: 4})
    await world.fill()


@asynccontextmanager
async def place_of(redis_url, **settings):
    world = World(redis_url)
    await world.redis.flushall()
    await fill_groups(world)
    place = Place(world, api_redis_timeout_ms=5_000, **settings)  # on a busy machine, too
    await place.start()
    try:
        yield place
    finally:
        await place.stop()
        await world.redis.aclose()


async def crash(page):
    """End the tab's process, as one that ran out of memory does."""
    with suppress(Error):
        await page.goto("chrome://crash", timeout=2000)

"""Where the page's token comes from, where it goes, and where it never is."""

import json
import re
import time
from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest

from config.settings import ROOT
from tests.dashboard.places import SOON_S, Tab, place_of
from tests.support.api import token
from tests.support.serving import listening
from tests.support.waiting import until

(SNIPPET,) = re.findall(
    r"^```\n(<iframe.*?)^```$", (ROOT / "docs" / "dashboard.md").read_text(), re.MULTILINE | re.DOTALL
)
WATCHED = quote(json.dumps([["M1", "ALL"]]))


class Embedding:
    """A site that embeds the statistics as docs/dashboard.md shows it; `make` makes the tokens that it hands over."""

    def __init__(self):
        self.pages = {}
        self.make = token
        self.handed = []

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        body, kind = self.pages.get(scope["path"], ""), b"text/html"
        if scope["path"] == "/my-statistics-token":
            self.handed.append(self.make())
            body, kind = self.handed[-1], b"text/plain"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": body.encode()})


@asynccontextmanager
async def site(host="localhost"):
    """By default of another site, so that the browser keeps storage from the frame."""
    embedding = Embedding()
    async with listening(embedding) as base:
        embedding.base = base.replace("127.0.0.1", host)
        yield embedding


def snippet(place):
    assert SNIPPET.count("https://stats.example.com/") == 1
    return SNIPPET.replace("https://stats.example.com/", f"{place.base}/harness?watch={WATCHED}")


async def frame_of(page, seconds=40):
    """The embedded page, once its scripts have run."""

    async def found():
        frames = [frame for frame in page.frames[1:] if "/harness" in frame.url]
        return frames[0] if frames and await frames[0].evaluate("Boolean(window.token)") else None

    return await until("the frame is there", found, seconds)


async def live(frame):
    async def reached():
        states = await frame.evaluate(
            "seen.filter((event) => event.type === 'state').map((event) => event.data.status)"
        )
        return bool(states) and states[-1] == "live"

    await until("the frame is live", reached)


async def test_the_token_leaves_the_address_at_once_and_a_reload_works(place, new_tab):
    given = token("M1")
    tab = await new_tab()
    await tab.open(place.base, "ALL", fragment=f"#view=1&token={given}&x=2")
    await tab.until_state(status="live")
    assert await tab.page.evaluate("token()") == given
    assert tab.page.url == f"{place.base}/harness?watch={WATCHED}#view=1&x=2"
    await tab.page.reload()
    await tab.until_state(status="live")
    assert await tab.page.evaluate("token()") == given
    assert tab.page.url.endswith("#view=1&x=2")
    other = await (await new_tab()).open(place.base, "ALL", fragment="")
    assert await other.page.evaluate("token()") is None  # of this tab only
    state = await other.until_state(status="expired", code=40101)
    assert state["message"] == "no token"
    asked = await other.page.evaluate("ask('groups').catch(({name, code}) => name + code)")
    assert asked == "ApiError40101"
    await tab.page.go_back()
    assert given not in tab.page.url


async def test_the_token_is_in_no_address_that_anybody_asks_for(place, new_tab, chromium):
    asked = []
    chromium.on("request", lambda request: asked.append((request.url, request.headers.get("referer"))))
    given = token("M1")
    tab = await (await new_tab()).open(place.base, "ALL", given=given)
    await tab.until_state(status="live")
    await tab.page.evaluate("ask('monthlyIndex', {operatorId: 'M1', groupId: 'g1', months: null})")
    served = [request for request in place.front.requests if "/smart-bi/" in request]
    assert "/smart-bi/crm/monthlyIndex?operatorId=M1&groupId=g1" in served
    assert "/smart-bi/crm/stream?" in served
    assert not [request for request in place.front.requests if given in request]
    # The first is the address that was typed; browsers send no fragment.
    assert [url for url, _ in asked if given in url] in ([], [asked[0][0]])
    assert not [referer for _, referer in asked if given in (referer or "")]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_page_that_may_embed_it_hands_over_the_token_as_the_manual_says(redis_url, chromium, host):
    async with site(host) as crm, place_of(redis_url, api_frame_ancestors=[crm.base]) as place:
        crm.pages["/"] = snippet(place)
        crm.make = lambda: token("M1", exp=time.time() + (600 if crm.handed else SOON_S))
        page = await chromium.new_page()
        await page.goto(crm.base)
        frame = await frame_of(page)
        await live(frame)
        assert await frame.evaluate("token()") == crm.handed[0]
        if host == "127.0.0.1":
            assert await frame.evaluate("sessionStorage.length") == 0

        async def renewed():
            return len(crm.handed) == 2 and await frame.evaluate("token()") == crm.handed[1]

        await until("another token was asked for and given", renewed)
        await live(frame)
        assert len(crm.handed) == 2
        version = await place.world.pay(count=50)

        async def shown():
            return version in await frame.evaluate(
                "seen.filter((event) => event.type === 'monthly').map((event) => event.data.version)"
            )

        await until("the payment is shown", shown)
        assert await frame.evaluate("violations") == []


async def test_who_is_not_listed_can_neither_embed_it_nor_hand_over_a_token(redis_url, chromium):
    async with site() as crm, site() as evil, place_of(redis_url, api_frame_ancestors=[crm.base]) as place:
        evil.pages["/"] = snippet(place)
        page = await chromium.new_page()
        refusals = []
        page.on("console", lambda message: refusals.append(message.text))
        await page.goto(evil.base)

        async def refused():
            return any("frame-ancestors" in text for text in refusals)

        await until("the frame was refused", refused)
        assert not [frame for frame in page.frames if frame.url.startswith(place.base)]
        assert evil.handed == []

        # Beside the frame: of another origin, and of the right one, but no ancestor. Then as the one that opened it.
        post = "setInterval(() => {0}.postMessage({{type: 'crm-stats:token', token: '{1}'}}, '*'), 20)"
        evil.pages["/beside"] = f"<script>{post.format('parent.frames[0]', 'evil')}</script>"
        crm.pages["/beside"] = f"<script>{post.format('parent.frames[0]', 'beside')}</script>"
        crm.pages["/"] = f'{snippet(place)}<iframe src="{evil.base}/beside"></iframe><iframe src="/beside"></iframe>'
        page = await chromium.new_page()
        await page.goto(crm.base)
        frame = await frame_of(page)
        await frame.evaluate(
            "new Promise((resolve) => { const from = new Set();"
            " addEventListener('message', ({data}) => from.add(data.token) && from.size > 1 && resolve()); })"
        )
        await live(frame)
        assert await frame.evaluate("token()") == crm.handed[0]


async def test_a_page_that_opens_it_cannot_hand_over_a_token(place, chromium):
    async with site() as evil:
        evil.pages["/"] = "<button onclick=\"opened = window.open('ADDRESS')\">open</button>".replace(
            "ADDRESS", f"{place.base}/harness?watch={WATCHED}"
        )
        page = await chromium.new_page()
        await page.goto(evil.base)
        async with page.expect_popup() as popup:
            await page.click("button")
        opened = Tab(await popup.value)
        await opened.until_state(status="expired")
        heard = opened.page.evaluate(
            "new Promise((resolve) => addEventListener('message', () => setTimeout(resolve, 100)))"
        )
        await page.evaluate(
            "void setInterval(() => opened.postMessage({type: 'crm-stats:token', token: 'evil'}, '*'), 20)"
        )
        await heard
        assert await opened.page.evaluate("token()") is None

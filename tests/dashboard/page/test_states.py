"""What the page says when not all is well: each state is brought about, not pretended."""

import asyncio
import json
import re
import time

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from playwright.async_api import expect

from stream_app.local.processes import find, stop
from stream_app.local.servers import SERVERS, start_server
from tests.dashboard.page.viewing import chromium_on
from tests.dashboard.places import SOON_S
from tests.support.waiting import wait_until


def signed(stack, **claims):
    """A token with claims of the test's choice."""
    key = OctKey.import_key(stack.env["STREAM_APP_JWT_SECRET"])
    whole = {"scope": "crm:read", "operators": ["*"], "exp": int(time.time()) + 3600, **claims}
    return jwt.encode({"alg": "HS256"}, whole, key)


async def test_without_anything_counted_it_gives_the_command_that_sends_a_first_event_and_then_shows_it(
    stack, dashboard
):
    await dashboard.open(stack.everything, operatorId="Erste Ladung")
    await dashboard.until("empty")
    assert await dashboard.texts(".empty h2") == ["Nothing has been counted yet"]
    (command,) = await dashboard.texts(".command code")
    assert command == "make pay ARGS=\"--operator 'Erste Ladung' --amount 12.50 --currency EUR\""
    assert await dashboard.violations() == []
    await asyncio.to_thread(
        stack.command, "pay", "--operator", "Erste Ladung", "--amount", "12.50", "--currency", "EUR"
    )
    await dashboard.until("shown")
    assert (await dashboard.tile("receivedAmount"))[0][0] == "€12.50"


async def test_a_group_without_anything_is_said_above_its_zeros(stack, dashboard):
    await dashboard.open(stack.everything, operatorId="M1", groupId="nobody")
    await dashboard.until()
    assert await dashboard.texts(".banner.quiet") == ["Nothing of this group has been counted in these months."]
    assert (await dashboard.tile("receivedAmount"))[0][0] == "€0.00"


async def test_while_nothing_has_arrived_it_says_that_it_loads(stack, dashboard):
    answer = asyncio.Event()

    async def late(route):
        await answer.wait()
        await route.continue_()

    await dashboard.page.context.route("**/smart-bi/crm/**", late)
    await dashboard.open(stack.everything, operatorId="M1", months="3", days="7")
    await dashboard.until("loading")
    assert await dashboard.page.locator(".loading").get_attribute("aria-busy") == "true"
    assert await dashboard.violations() == []
    answer.set()
    await dashboard.until("shown")


async def test_without_a_token_it_asks_for_one_and_takes_it(stack, dashboard):
    await dashboard.open(None, operatorId="M1")
    await dashboard.until("token")
    assert await dashboard.texts(".command code") == ['make token ARGS="--operator M1"']
    assert await dashboard.violations() == []
    await dashboard.page.get_by_label("Token").fill(stack.everything)
    await dashboard.page.get_by_role("button", name="Use it").click()
    await dashboard.until("shown")
    assert "token" not in dashboard.page.url


async def test_an_expired_token_leaves_the_numbers_and_a_new_one_goes_on(stack):
    async with chromium_on(stack.api) as dashboard:
        await dashboard.open(signed(stack, exp=int(time.time()) + SOON_S), operatorId="M1")
        await dashboard.until("shown")
        before = await dashboard.tile("receivedAmount")
        assert "paste a new token" in await dashboard.trouble("expired")
        assert await dashboard.status() == "expired"
        assert await dashboard.tile("receivedAmount") == before
        assert await dashboard.violations() == []
        await dashboard.page.get_by_label("Token").fill(signed(stack))
        await dashboard.page.get_by_role("button", name="Use it").click()
        await expect(dashboard.page.locator(".status")).to_have_attribute("data-status", "live")
        await expect(dashboard.page.locator("[data-trouble]")).to_have_count(0)


@pytest.mark.parametrize(
    ("claims", "code"), [({"operators": ["M2"]}, 40302), ({"scope": "other"}, 40301)], ids=["operator", "interface"]
)
async def test_a_token_that_does_not_allow_it_is_told_apart(stack, claims, code):
    async with chromium_on(stack.api) as dashboard:
        await dashboard.open(signed(stack, **claims), operatorId="M1")
        await dashboard.until("failed")
        words = await dashboard.trouble("denied")
        assert "does not allow this" in words
        assert f"(code {code})" in words
        assert await dashboard.violations() == []


async def test_an_error_is_shown_with_its_code_and_request_until_it_has_passed(stack):
    async with chromium_on(stack.api) as dashboard:
        body = json.dumps({"code": 50301, "message": "neither Redis nor ClickHouse can answer now"})
        headers = {"X-Request-Id": "r-1", "Content-Type": "application/json"}
        await dashboard.page.context.route(
            re.compile(r"/smart-bi/crm/monthlyIndex"),
            lambda route: route.fulfill(status=503, body=body, headers=headers),
        )
        await dashboard.open(stack.everything, operatorId="M1", months="13")
        words = await dashboard.trouble("error")
        assert "neither Redis nor ClickHouse can answer now (code 50301)" in words
        assert "Request r-1" in words
        assert await dashboard.violations() == []
        async with dashboard.page.expect_request(re.compile(r"/smart-bi/crm/monthlyIndex")):
            await dashboard.page.get_by_role("button", name="Try again").click()
        await dashboard.page.context.unroute_all()
        await dashboard.until("shown")
        await expect(dashboard.page.locator("[data-trouble]")).to_have_count(0)


async def test_while_the_service_is_away_the_numbers_stay_and_it_goes_on_by_itself(stack):
    async with chromium_on(stack.api) as dashboard:
        await dashboard.open(stack.everything, operatorId="M1")
        await dashboard.until("shown")
        before = await dashboard.tile("receivedAmount")
        await asyncio.to_thread(stack.stop, "api")
        assert "as they were last received" in await dashboard.trouble("disconnected")
        assert await dashboard.tile("receivedAmount") == before
        assert await dashboard.violations() == []
        await asyncio.to_thread(stack.start_api)
        await expect(dashboard.page.locator(".status")).to_have_attribute("data-status", "live")
        await expect(dashboard.page.locator("[data-trouble]")).to_have_count(0)


async def test_while_redis_is_down_the_last_known_numbers_are_shown_as_stale(stack, dashboard):
    await dashboard.open(stack.everything, operatorId="M1")
    await dashboard.until("shown")
    before = await dashboard.tile("receivedAmount")
    redis = next(server for server in SERVERS if server.name == "redis")
    await asyncio.to_thread(stop, stack.run, [find(stack.run, "redis")], seconds_max=10)
    try:
        assert "last known numbers" in await dashboard.trouble("stale")
        assert await dashboard.status() == "stale"
        assert await dashboard.tile("receivedAmount") == before
        as_of = await dashboard.page.locator(".as-of").get_attribute("datetime")
        await expect(dashboard.page.locator(".ago")).to_have_text(re.compile(r"^([4-9]|\d\d) s ago"), timeout=15_000)
        assert await dashboard.page.locator(".as-of").get_attribute("datetime") == as_of
        assert await dashboard.violations() == []
    finally:
        start_server(stack.run, redis, stack.env[redis.variable], default_ports=False)
    await expect(dashboard.page.locator(".status")).to_have_attribute("data-status", "live", timeout=60_000)
    await expect(dashboard.page.locator("[data-trouble]")).to_have_count(0)
    at_ms = stack.now_ms()
    await asyncio.to_thread(stack.wait_as_of, at_ms)
    assert wait_until("the operator is there again", lambda: stack.ask("operators")["operators"])

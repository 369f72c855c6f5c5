"""The operations page of a whole deployment: what is broken is named, in words, a few seconds later, and nothing once it is well again."""

import asyncio

import pytest
from playwright.async_api import expect

from tests.dashboard.ops.viewing import chromium_on


@pytest.fixture
def deployment(deploy):
    """A worker, the API and a monitor, and payments of 39 operators; one in ten can't be used."""
    made = deploy(monitor_interval_ms="500")
    made.start_worker(1)
    made.start_api()
    made.wait_ready(1)
    made.send_payments(200, operators=39)
    made.wait_as_of(made.now_ms())
    made.start("monitor", "monitor")
    return made


async def test_what_stands_still_is_named_and_a_monitor_that_is_gone_is_told(deployment):
    async with chromium_on(deployment.api) as ops:
        verdict = ops.page.locator("h1").first

        async def until_well():
            await expect(ops.page.locator(".verdict")).to_have_attribute("data-level", "good", timeout=90_000)

        await (await ops.open(deployment.token("--ops"))).until(trust="live")
        await until_well()
        await expect(ops.page.locator("#letters")).to_contain_text("unknown_currency")
        assert (await ops.rows("letters"))[0][:3] == ["unknown_currency", "0", "20"]
        await expect(ops.page.locator("#probe tbody tr")).to_have_count(3)
        await expect(ops.page.locator("[data-stage=push]")).to_contain_text("from append", timeout=60_000)
        assert await ops.blamed() == []

        with deployment.frozen("redis"):
            await expect(ops.page.locator(".node.blame")).to_have_attribute("data-stage", "redis", timeout=60_000)
            await expect(verdict).to_contain_text("Results of all 39 operators are")
            assert "Redis is not written, since" in await ops.text(".verdict .detail")
            assert await ops.violations() == []
        await until_well()

        deployment.kill("worker-1")
        await expect(ops.page.locator(".node.blame")).to_have_attribute("data-stage", "ingest", timeout=60_000)
        await expect(ops.page.locator("#groups")).to_contain_text("Nobody is there", timeout=60_000)
        await expect(ops.page.locator("#worst tbody tr")).to_have_count(20, timeout=30_000)
        assert "See whether workers run" in await ops.text(".verdict .todo")

        await asyncio.to_thread(deployment.kill, "monitor")
        await ops.until(trust="away")
        assert "Nobody takes connections at its address" in await ops.text(".verdict .detail")
        assert await ops.text(".top .status") == "Monitor away"
        deployment.start("monitor", "monitor")
        await ops.until(trust="live")
        assert ops.errors == []

"""The live layer in a real Chromium: every tab stays live over one stream, and says so when it does not."""

import time

import pytest

from tests.dashboard.places import GROUPS, SOON_S, crash, place_of
from tests.support.api import token
from tests.support.waiting import until

SHARED, ELECTED, ALONE = "shared worker", "elected tab", "each tab by itself"
WITHOUT = {
    SHARED: "",
    ELECTED: "delete globalThis.SharedWorker;",
    ALONE: "delete globalThis.SharedWorker; Object.defineProperty(Navigator.prototype, 'locks', {value: undefined});",
}


@pytest.fixture(params=[SHARED, ELECTED])
async def way(request, chromium):
    """Both ways that tabs can share a stream."""
    if WITHOUT[request.param]:
        await chromium.add_init_script(WITHOUT[request.param])
    return request.param


async def watched(place, number):
    await until(f"{number} groups are watched", lambda: equal(place.viewers, number))


async def equal(ask, wanted):
    return await ask() == wanted


async def test_eight_tabs_on_eight_groups_are_live_over_one_stream(place, new_tab, way):
    given = token("M1")
    tabs = [await (await new_tab()).open(place.base, group, given=given) for group in GROUPS]
    for tab, group in zip(tabs, GROUPS, strict=True):
        await tab.until_state(group, status="live", stale=False)
    await watched(place, 8)
    assert place.front.streams == 1
    for count in (20, 21):
        for tab, group in zip(tabs, GROUPS, strict=True):
            version = await place.world.pay(group=group, count=count)
            await tab.until_version(version, group)
    for tab, group in zip(tabs, GROUPS, strict=True):
        events = await tab.events()
        assert {event["groupId"] for event in events} == {group}
        assert {event["type"] for event in events} == {"monthly", "distribution", "as-of", "state"}
        months = await tab.events("monthly")
        assert months[-1]["data"]["months"][-1]["sessionCount"] == 21
        assert len(months) == 3  # what was there was not sent again when other tabs came
        # Questions are answered beside it: the six connections of a host are not used up.
        asked = await tab.page.evaluate("group => ask('monthlyIndex', {operatorId: 'M1', groupId: group})", group)
        assert asked["data"]["months"] == months[-1]["data"]["months"]
        assert await tab.page.evaluate("violations") == []
    assert place.front.streams == 1


async def test_eight_tabs_on_one_group_are_one_viewer(place, new_tab, way):
    given = token("M1")
    tabs = [await (await new_tab()).open(place.base, "ALL", given=given) for _ in range(8)]
    for tab in tabs:
        await tab.until_state(status="live")
    assert (await place.viewers(), place.front.streams, place.front.streams_max) == (1, 1, 1)
    version = await place.world.pay(count=30)
    for tab in tabs:
        await tab.until_version(version)


async def test_without_any_way_to_share_the_tabs_that_are_looked_at_are_live(place, new_tab, chromium):
    await chromium.add_init_script(WITHOUT[ALONE])
    tabs = []
    for group in GROUPS:
        tab = await (await new_tab()).open(place.base, group)
        await tab.until_state(group, status="live")
        tabs.append(tab)
        if len(tabs) < len(GROUPS):
            await look_at(tab, "hidden")
    await watched(place, 1)
    version = await place.world.pay(group="g2", count=31)
    await look_at(tabs[2], "visible")
    await tabs[2].until_version(version, "g2")
    await watched(place, 2)
    await tabs[2].page.close()
    await watched(place, 1)


async def look_at(tab, state):
    """As if another tab came to the front; without a head all are there."""
    await tab.page.evaluate(
        "state => { Object.defineProperty(document, 'visibilityState', {value: state, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        state,
    )


async def test_who_comes_later_is_told_at_once_what_is_known(place, new_tab):
    given = token("M1")
    first = await (await new_tab()).open(place.base, "ALL", given=given)
    await first.until_state(status="live")
    second = await (await new_tab()).open(place.base, given=given)
    await place.stop()
    await first.until_state(status="disconnected")
    await second.page.evaluate("void watch('M1', 'ALL')")
    state = await second.until_state(status="disconnected")
    assert [event["type"] for event in await second.events()] == ["monthly", "distribution", "as-of", "state"]
    assert state == await first.state()
    assert (await second.events("monthly"))[0]["data"] == (await first.events("monthly"))[-1]["data"]
    await second.page.evaluate("unwatch.ALL(), void watch('M1', 'ALL')")  # begun anew, all at once

    async def told_again():
        return len(await second.events("monthly")) == 2

    await until("it is told again", told_again)


async def test_a_tab_that_closes_goes_elsewhere_or_dies_is_not_counted_any_more(place, new_tab, way):
    given = token("M1")
    tabs = [await (await new_tab()).open(place.base, group, given=given) for group in GROUPS[:6]]
    for tab, group in zip(tabs, GROUPS, strict=False):
        await tab.until_state(group, status="live")
    await watched(place, 6)
    await tabs[5].page.evaluate("unwatch.g5()")
    await watched(place, 5)
    await tabs[4].page.evaluate("live.close()")
    await watched(place, 4)
    await tabs[3].page.goto("about:blank")
    await watched(place, 3)
    await crash(tabs[2].page)
    await watched(place, 2)
    await tabs[0].page.close()  # the leader, where there is one
    await watched(place, 1)
    await tabs[1].until_state("g1", status="live")
    version = await place.world.pay(group="g1", count=32)
    await tabs[1].until_version(version, "g1")
    await tabs[1].page.close()
    await watched(place, 0)


async def test_a_tab_that_comes_back_is_live_again(place, new_tab, way):
    tab = await (await new_tab()).open(place.base, "ALL")
    await tab.until_state(status="live")
    await tab.page.goto("about:blank")
    await tab.page.go_back()
    await tab.until_state(status="live")
    version = await place.world.pay(count=33)
    await tab.until_version(version)


async def test_an_expired_token_is_told_and_a_new_one_goes_on_without_a_reload(place, new_tab):
    other = await (await new_tab()).open(place.base, "g1")
    tab = await (await new_tab()).open(place.base, "ALL", given=token("M1", exp=time.time() + SOON_S))
    await tab.until_state(status="live")
    state = await tab.until_state(status="expired", code=40101, stale=True)
    assert state["since"] == (await tab.events("as-of"))[-1]["data"]["asOf"]
    assert (await other.state("g1"))["status"] == "live"
    asked = await tab.page.evaluate(
        "ask('groups').catch(({code, httpStatus, message}) => ({code, httpStatus, message}))"
    )
    assert asked == {"code": 40101, "httpStatus": 401, "message": "the token is expired"}
    late = await (await new_tab()).open(place.base, "g2", given=await tab.page.evaluate("token()"))
    await late.until_state("g2", status="expired", stale=False)
    await tab.page.evaluate(f"location.hash = 'token={token('M1')}'")
    await tab.until_state(status="live", stale=False)
    version = await place.world.pay(count=34)
    await tab.until_version(version)


async def test_a_group_or_operator_that_may_not_be_read_leaves_the_others_alone(place, new_tab):
    given = token("M1")
    tab = await (await new_tab()).open(place.base, "ALL", given=given)
    await tab.until_state(status="live")
    await tab.page.evaluate("void watch('yen', 'g9')")
    await tab.until_state("g9", status="denied", code=40302, stale=False)
    await tab.page.evaluate("void watch('M1', 'x'.repeat(201))")
    await tab.until_state("x" * 201, status="error", code=40001)
    version = await place.world.pay(count=35)
    await tab.until_version(version)
    assert {event["data"]["status"] for event in await tab.events("state", "ALL")} == {"connecting", "live"}
    without = await (await new_tab()).open(place.base, "ALL", given=token("M1", scope="other"))
    await without.until_state(status="denied", code=40301)


async def test_an_api_that_restarts_is_found_again(place, new_tab, way):
    tab = await (await new_tab()).open(place.base, "ALL")
    await tab.until_state(status="live")
    before = (await tab.events("as-of"))[-1]["data"]["asOf"]
    await place.stop()
    state = await tab.until_state(status="disconnected", stale=True)
    assert state["since"] == before
    version = await place.world.pay(count=36)
    await place.start()
    await tab.until_state(status="live", stale=False)
    await tab.until_version(version)
    assert [event["data"]["version"] for event in await tab.events("monthly")][1:] == [version]
    assert len(await tab.events("distribution")) == 1


async def test_while_redis_is_away_numbers_are_stale_and_since_when(own_redis, new_tab):
    async with place_of(own_redis.address) as place:
        tab = await (await new_tab()).open(place.base, "ALL")
        await tab.until_state(status="live")
        own_redis.halt()
        state = await tab.until_state(status="live", stale=True)
        assert state["since"] == "2026-11-24T06:00:09.000Z"
        assert len(await tab.events("monthly")) == 1
        given = await tab.page.evaluate("token()")
        late = await (await new_tab()).open(place.base, "ALL", given=given)
        await late.until_state(status="live", stale=True)
        unknown = await (await new_tab()).open(place.base, "g1", given=given)
        await unknown.until_state("g1", status="error", code=50301, stale=False)
        own_redis.begin()
        version = await place.world.pay(count=37)
        await tab.until_state(status="live", stale=False)
        await tab.until_version(version)
        await unknown.until_state("g1", status="live", stale=False)


async def test_a_server_that_falls_silent_is_given_up_and_asked_again(place, new_tab):
    """As after a change of networks: the connection is there, and nothing comes."""
    tab = await (await new_tab()).open(place.base, "ALL")
    await tab.until_state(status="live")
    place.front.talks.clear()
    await tab.until_state(status="disconnected", stale=True)
    place.front.talks.set()
    await tab.until_state(status="live", stale=False)
    version = await place.world.pay(count=38)
    await tab.until_version(version)


async def test_over_the_rate_limit_it_waits_as_long_as_it_is_told(place, new_tab):
    given = token("M1", rate=1)
    tab = await (await new_tab()).open(place.base, "ALL", given=given)
    await tab.until_state(status="live")
    for group in GROUPS[1:]:
        await tab.page.evaluate("group => void watch('M1', group)", group)
    for group in GROUPS[1:]:
        await tab.until_state(group, status="live")


async def test_a_browser_opens_no_more_streams_than_leave_room_for_questions(place, new_tab):
    tabs = [await (await new_tab()).open(place.base, "ALL", given=token("M1", jti=str(number))) for number in range(6)]
    for tab in tabs[:4]:
        await tab.until_state(status="live")
    for tab in tabs[4:]:
        assert (await tab.until_state(status="error"))["message"] == "over 4 tokens in one browser"
        assert (await tab.page.evaluate("ask('groups')"))["data"]["groups"]
    assert place.front.streams == 4
    await tabs[0].page.close()
    await tabs[4].until_state(status="live")


async def test_leading_is_taken_over_from_a_tab_that_sleeps(place, new_tab, chromium):
    await chromium.add_init_script(WITHOUT[ELECTED])
    given = token("M1")
    leader = await (await new_tab()).open(place.base, "ALL", given=given)
    await leader.until_state(status="live")
    tab = await (await new_tab()).open(place.base, "ALL", given=given)
    await tab.until_state(status="live")
    assert place.front.streams == 1
    await leader.page.evaluate("void setTimeout(() => { for (const end = Date.now() + 45_000; Date.now() < end; ); })")
    version = await place.world.pay(count=39)
    await tab.until_version(version, seconds=30)
    await leader.until_version(version, seconds=60)
    version = await place.world.pay(count=40)
    for each in (tab, leader):
        await each.until_version(version)
    await until("one of them leads", lambda: equal(streams(place), 1))


def streams(place):
    async def ask():
        return place.front.streams

    return ask

"""What the operations page says, by what a monitor of a whole deployment once said. That it says so of a deployment itself: test_whole.py."""

import copy
import json
import re
import time

import pytest
from playwright.async_api import expect

from stream_app.health.advice import ADVICE, SILENT, STAGES
from stream_app.local.ports import free_port
from tests.dashboard.ops.viewing import OPS, api_on, chromium_on
from tests.dashboard.places import DRESSES, SOON_S, SOURCES
from tests.support.api import token
from tests.support.monitor_stub import monitor_that_says, recorded
from tests.support.waiting import until

WELL, REDIS, INGEST = (recorded(name) for name in ("well", "redis", "ingest"))


def strings(language, name="strings"):
    return json.loads((SOURCES / "ops" / f"{name}.{language}.json").read_text())


def changed(said, change):
    made = copy.deepcopy(said)
    change(made)
    return made


@pytest.fixture
def monitor():
    with monitor_that_says(WELL) as monitor:
        yield monitor


@pytest.fixture
async def base(monitor):
    async with api_on(monitor.url) as base:
        yield base


@pytest.fixture
async def ops(base):
    async with chromium_on(base) as page:
        yield page
        assert page.errors == []


async def test_all_is_well_in_one_line_and_at_each_stage(ops):
    await (await ops.open()).until(trust="live")
    assert await ops.text("h1") == "All results are current: 1.1 s old"
    assert await ops.page.title() == "✓ All results are current: 1.1 s old"
    assert await ops.node("sources") == "Sources Well just now last record 6 topics"
    assert await ops.node("ingest") == "Ingest Well 0.0 s behind 0 records unread"
    assert await ops.node("redis") == "Redis Well 0.4 s old"
    assert await ops.blamed() == []
    assert await ops.text("#behind .nothing") == "Nothing is behind."
    assert [row[:3] for row in await ops.rows("groups")] == [
        ["crm-stats-ingest", "OK Nothing is unread", "0"],
        ["crm-stats-ledger-1", "OK Nothing is unread", "0"],
    ]
    assert [row[:2] for row in await ops.rows("letters")] == [
        ["unknown_currency", "48"],
        ["too_late", "20"],
        ["out_of_range", "5"],
    ]
    assert (await ops.rows("letters"))[2][
        -1
    ] == "amount_refunded is 500, must not be above amount_received, 100 charging.payments/4/490"
    assert not await ops.page.locator("#worst, details.bad").filter(visible=True).count()
    assert "token" not in ops.page.url


async def test_a_sink_that_is_not_written_is_to_blame_and_nobody_else(monitor, ops):
    monitor.says = REDIS
    await (await ops.open()).until(trust="live")
    assert await ops.text("h1") == "Results of all 8 operators are 40 s old"
    since = "17:03:48"  # Redis' as-of, in Berlin
    assert await ops.text(".verdict .detail") == f"Redis is not written, since {since}."
    assert await ops.text(".verdict .todo") == "See whether Redis answers, has memory left and takes writes."
    assert await ops.blamed() == ["redis"]
    assert await ops.node("redis") == "Redis To blame 40 s old Does not answer"
    assert await ops.node("clickhouse") == "ClickHouse Well 3.9 s old"
    ((what, by, when, why, todo),) = await ops.rows("behind")
    assert what == "Redis Results of all 8 operators, partitions 0, 1, 2, 3, 4, 5, 6, 7"
    assert (by, when) == ("40 s", f"{since} 41 s ago")
    assert why == "Redis is not written; it does not answer the monitor"
    assert todo == "See whether Redis answers, has memory left and takes writes"


async def test_a_stage_before_the_sinks_is_named_with_its_group_and_operators(monitor, ops):
    monitor.says = INGEST
    await (await ops.open()).until(trust="live")
    assert await ops.text("h1") == "Results of all 8 operators are 40 s old"
    assert (await ops.text(".verdict .detail")).endswith("And 2 more below.")
    assert await ops.blamed() == ["ingest"]
    assert await ops.node("ledger") == "Ledger Not well 0.0 s behind nobody is there"
    assert [row[0].split()[0] for row in await ops.rows("behind")] == [
        "Ingest",
        "crm-stats-ingest",
        "crm-stats-ledger-1",
    ]
    assert [row[1] for row in await ops.rows("behind")] == ["40 s", "39 s, 7,800 records", "nothing unread"]
    first = (await ops.rows("groups"))[0]
    assert first[:7] == [
        "crm-stats-ingest",
        "ERR Nobody is there",
        "7,800",
        "39 s",
        "never, at this pace",
        "in 19 d 19 h",
        "0",
    ]
    await expect(ops.page.locator("#worst tbody tr")).to_have_count(8)
    assert (await ops.rows("worst"))[-1] == ["NL-ALF", "42 s", "Ingest"]
    await ops.page.locator("details.bad summary").click()
    bad = await ops.page.locator("details.bad tbody tr").all_inner_texts()
    assert len(bad) == sum(row["status"] != "OK" for group in INGEST["groups"] for row in group["partitions"])
    assert bad[0].split()[:3] == ["charging.payments/0", "crm-stats-ingest", "STOP"]


AWAY = {"broker": 2, "address": "kafka-2:9092", "topics": []}


async def test_a_broker_that_is_away_is_named_with_what_stands_still(monitor, ops):
    await (await ops.open()).until()
    for topics, why in (
        ([], "It does not answer; others lead its partitions, nothing stands still"),
        (["charging.payments"], "It does not answer; partitions of charging.payments stand still"),
    ):
        row = AWAY | {"since_ms": WELL["now_ms"] - 30_000, "topics": topics}
        monitor.says = changed(WELL, lambda said, row=row: said.update(brokers=[row]))
        await expect(ops.page.locator("#behind")).to_contain_text(why, timeout=SOON_S * 1000)
        said = await ops.text("#behind")
        assert "Broker 2" in said
        assert "kafka-2:9092" in said


BUILDING = {
    "generation": 2, "group": "crm-stats-ledger-2", "events_partitions": 8, "members": 1, "lag_records": 240_000, "records": 1_000_000,
    "rate": 12_345.6, "catch_up_seconds": 200.0,
}  # fmt: skip


async def test_a_rebuild_is_drawn_with_its_share_rate_and_time_left(monitor, ops):
    await (await ops.open()).until()
    await expect(ops.page.locator("#rebuild")).to_be_hidden()
    monitor.says = changed(WELL, lambda said: said.update(generation=1, rebuild=dict(BUILDING)))
    await expect(ops.page.locator("#rebuild")).to_be_visible(timeout=SOON_S * 1000)
    assert await ops.text("#rebuild") == (
        "Generation 2 is being built beside 1, which serves 76% of the events topic is read, 240,000 records are left, 12,346 a second, 3 min to go"
    )
    assert await ops.page.locator("#rebuild progress").evaluate("bar => bar.value") == 0.76
    assert await ops.text("h1") == "All results are current: 1.1 s old"
    monitor.says = changed(
        WELL, lambda said: said.update(generation=1, rebuild=BUILDING | {"members": 0, "rate": None})
    )
    await expect(ops.page.locator("#rebuild .todo")).to_have_text(
        "Start stream-app rebuild again, or drop it: stream-app rebuild --drop.", timeout=SOON_S * 1000
    )
    assert "it does not run" in await ops.text("#rebuild .figures")
    monitor.says = WELL
    await expect(ops.page.locator("#rebuild")).to_be_hidden(timeout=SOON_S * 1000)


async def test_a_group_that_is_well_is_not_told_that_it_never_catches_up(monitor, ops):
    """A record that is unread in the moment of a look, and no pace to speak of: as an hourly topic has it."""

    def one_unread(said):
        said["groups"][0].update(lag_records=1, lag_seconds=0.2, catch_up_seconds=None)

    monitor.says = changed(WELL, one_unread)
    await (await ops.open()).until()
    (row, *_) = await ops.rows("groups")
    assert row[1:5] == ["OK Nothing is unread", "1", "0.2 s", "keeps up"]
    monitor.says = changed(monitor.says, lambda said: said["groups"][0].update(status="WARN", reason="falling_behind"))
    await expect(ops.page.locator("#groups")).to_contain_text("never, at this pace", timeout=SOON_S * 1000)


async def test_a_source_that_is_silent_or_missing_does_not_look_fresh(monitor, ops):
    def silence(said):
        said["sources"][1] |= {"is_silent": True, "per_hour": 60.0, "missed": 180.2, "age_seconds": 10_800.0}
        said["sources"][1]["last_ms"] = said["now_ms"] - 10_800_000
        said["sources"][2]["exists"] = False

    monitor.says = changed(WELL, silence)
    await (await ops.open()).until()
    assert await ops.text("h1") == "Results are 1.1 s old, but not all is well"
    assert await ops.text(".verdict .detail") == (
        "charging.payments: nothing comes, where on days before it did. And 1 more below."
    )
    assert "Silent" in await ops.node("sources")
    rows = await ops.rows("behind")
    assert rows[0][:3] == ["charging.payments", "about 180 records missed", "14:03:49 3 h 0 min ago"]
    assert rows[0][-1] == "Ask the team that owns the topic"
    assert (rows[1][0], rows[1][3]) == ("ocpi.cdrs", "The topic is not there")
    assert (await ops.rows("sources"))[1][-2:] == ["60", "180"]


async def test_other_groups_kafka_and_what_is_left_out_are_said(monitor, ops):
    def other(said):
        said["groups"].append({**said["groups"][0], "group": "billing", "status": "WARN", "reason": "falling_behind"})
        said["groups"][-1] |= {"lag_records": 12_345, "lag_seconds": 600.0, "catch_up_seconds": None}
        said["left_out"] = 7

    monitor.says = changed(WELL, other)
    await (await ops.open()).until()
    assert (await ops.text(".verdict .detail")).startswith("billing: reads slower than records come.")
    assert [row[0] for row in await ops.rows("behind")] == ["billing", "7 partitions"]
    assert (await ops.rows("behind"))[0][1] == "10 min, 12,345 records"
    assert await ops.blamed() == []

    monitor.says = changed(WELL, lambda said: said["kafka"].update(is_seen=False, failure="no brokers"))
    await expect(ops.page.locator("h1")).to_have_text("Kafka does not answer the monitor")
    assert (await ops.text(".verdict .detail")).endswith("no brokers")
    assert "Not known" in await ops.node("ingest")
    monitor.says = changed(WELL, lambda said: said.update(results=[]))
    await expect(ops.page.locator("h1")).to_have_text("The monitor has just begun")


def probed(last_seconds, **told):
    """What the monitor says of its probes, with those to viewers like that."""
    row = {
        "failure": None,
        "last_seconds": 0.31,
        "last_ms": WELL["now_ms"],
        "lost": 0,
        "p50": 0.3,
        "p99": 0.9,
        "count": 40,
    }
    push = {**row, "stage": "push", "last_seconds": last_seconds, **told}
    return [{**row, "stage": "redis"}, {**row, "stage": "clickhouse", "last_seconds": 1.4}, push]


async def test_the_probe_tells_from_end_to_end_and_blames_the_push(monitor, ops):
    monitor.says = changed(WELL, lambda said: said.update(probes=probed(0.4), is_push_to_blame=False))
    await (await ops.open()).until()
    assert await ops.node("push") == "Push to viewers Well 0.4 s from append"
    assert await ops.rows("probe") == [
        ["Redis", "0.3 s", "0.3 s", "0.9 s", "40", "0", ""],
        ["ClickHouse", "1.4 s", "0.3 s", "0.9 s", "40", "0", ""],
        ["Push to viewers", "0.4 s", "0.3 s", "0.9 s", "40", "0", ""],
    ]
    monitor.says = changed(WELL, lambda said: said.update(probes=probed(None, lost=2), is_push_to_blame=True))
    await expect(ops.page.locator("[data-stage=push]")).to_have_class(re.compile("blame"))
    assert await ops.text("h1") == "Results are 1.1 s old, but not all is well"
    assert await ops.text(".verdict .todo") == "See whether the API runs and hears Redis."
    assert (await ops.rows("probe"))[2][1] == "Lost"
    monitor.says = changed(
        WELL, lambda said: said.update(probes=probed(None, count=0, failure="no jwt_secret to sign a token with"))
    )
    await expect(ops.page.locator("[data-stage=push]")).to_contain_text("Not measured")
    assert "no jwt_secret" in await ops.node("push")


async def test_as_of_that_is_held_is_a_stage_of_its_own(monitor, ops):
    monitor.says = changed(INGEST, lambda said: [row.update(stage="as_of") for row in said["results"]])
    await (await ops.open()).until()
    assert await ops.blamed() == ["as_of"]
    assert (await ops.text(".verdict .detail")).startswith("All is read, and as-of stands still, since")


async def test_an_open_transaction_that_holds_as_of_is_named(monitor, ops):
    held = {
        "topic": "charging.payments",
        "partition": 3,
        "start_offset": 99,
        "since_ms": INGEST["now_ms"] - 60_000,
        "producer_id": 4711,
    }

    def change(said):
        said["held"] = [held, held | {"partition": 4, "producer_id": None}]
        for row in said["results"]:
            row["stage"] = "as_of"

    monitor.says = changed(INGEST, change)
    await (await ops.open()).until()
    words = await ops.text("#behind")
    assert re.search(
        r"An open transaction of a producer keeps records from being read: charging\.payments/3 since [0-9:]+ by producer id 4711, charging\.payments/4 since [0-9:]+",
        words,
    )
    abort = "kafka-transactions.sh abort --topic charging.payments --partition 3 --start-offset 99"
    assert abort in words
    assert abort in await ops.text(".verdict .todo")
    assert "restart" not in words


async def test_results_that_were_never_there_are_missing_not_old(monitor, ops):
    def never(said):
        for row in said["results"][:2]:
            row |= {"stage": "clickhouse", "oldest_seconds": None, "operators": 1}
            row["as_of_ms"]["clickhouse"] = row["age_seconds"]["clickhouse"] = None

    monitor.says = changed(WELL, never)
    await (await ops.open()).until()
    assert await ops.text("h1") == "Results of 2 operators are not there yet"
    assert await ops.text(".verdict .detail") == "ClickHouse is not written."


async def test_a_monitor_that_is_away_leaves_what_it_said_and_nothing_is_called_current(monitor, ops):
    await (await ops.open()).until(trust="live")
    before = await ops.rows("groups")
    monitor.status = 500
    await ops.until(trust="away")
    assert await ops.text("h1") == "The monitor does not answer"
    words = await ops.text(".verdict .detail")
    assert re.match(
        r"What it answers can't be read\. All below is what it said last, at 17:03:49, \d\.\d s ago\.", words
    )
    assert "current is not known" in words
    assert await ops.text(".top .status") == "Monitor away"
    assert await ops.rows("groups") == before
    assert "current" not in await ops.page.title()
    assert await ops.violations() == []
    monitor.status = 200
    await ops.until(trust="live")
    assert await ops.text("h1") == "All results are current: 1.1 s old"


async def test_a_monitor_that_was_never_there_is_told_so(monitor, ops):
    monitor.status = 500
    await (await ops.open()).until(trust="away")
    assert "It has not answered since this service began to ask" in await ops.text(".verdict .detail")
    assert "make up starts it" in await ops.text(".verdict .todo")
    assert not await ops.page.locator(".tables").is_visible()
    assert await ops.violations() == []


async def test_while_the_api_is_away_it_says_so_and_goes_on_by_itself(monitor):
    port = free_port()
    async with chromium_on(f"http://127.0.0.1:{port}") as ops:
        async with api_on(monitor.url, port):
            await (await ops.open()).until(trust="live")
            before = await ops.rows("groups")
        await ops.until(trust="lost")
        assert await ops.text("h1") == "Not connected"
        assert await ops.text(".top .status") == "Disconnected"
        assert await ops.rows("groups") == before
        assert await ops.violations() == []
        async with api_on(monitor.url, port):
            await ops.until(trust="live")
            assert await ops.text("h1") == "All results are current: 1.1 s old"


async def test_without_a_token_it_asks_for_one_and_takes_it(ops):
    await (await ops.open("")).until("token")
    assert await ops.text(".command code") == 'make token ARGS="--ops"'
    assert await ops.violations() == []
    await ops.page.get_by_label("Token").fill(token(**OPS))
    await ops.page.get_by_role("button", name="Use it").click()
    await ops.until("shown", "live")
    assert "token" not in ops.page.url


async def test_a_token_of_the_dashboard_is_not_enough(base):
    async with chromium_on(base) as ops:
        await (await ops.open(scope="crm:read", operators=["*"])).until("denied")
        assert await ops.text("h1") == "The token does not allow this"
        assert await ops.text(".command code") == 'make token ARGS="--ops"'
        assert not await ops.page.locator(".whole").is_visible()
        assert await ops.violations() == []
        await ops.page.get_by_label("Token").fill(token(**OPS))
        await ops.page.get_by_role("button", name="Use it").click()
        await ops.until("shown", "live")


async def test_a_token_that_expires_leaves_what_was_seen_and_a_new_one_goes_on(monitor, base):
    async with chromium_on(base) as ops:
        await (await ops.open(exp=time.time() + SOON_S)).until("shown", "live")
        await ops.until("shown", "lost")
        assert "Paste a new token to go on" in await ops.text("[data-trouble=expired]")
        assert await ops.text(".top .status") == "Token expired"
        assert len(await ops.rows("groups")) == 2
        assert await ops.violations() == []
        asked = monitor.asked
        await ops.page.get_by_label("Token").fill(token(**OPS))
        await ops.page.get_by_role("button", name="Use it").click()
        await ops.until("shown", "live")  # one answer a second serves all viewers: perhaps one of before
        await until("the monitor is asked again", lambda: monitor.asked > asked)
        await expect(ops.page.locator("[data-trouble]")).to_have_count(0)


async def test_an_expired_token_is_told_before_anything_was_seen(base):
    async with chromium_on(base) as ops:
        await (await ops.open(exp=1)).until("expired")
        assert await ops.text("h1") == "The token has expired"
        assert await ops.violations() == []


@pytest.mark.parametrize("dress", DRESSES)
async def test_axe_finds_nothing_and_nothing_is_cut_off(monitor, base, dress):
    async with chromium_on(base, **DRESSES[dress]) as ops:
        for said in (INGEST, WELL):
            monitor.says = said
            await (await ops.open()).until()
            await expect(ops.page.locator(".verdict")).to_have_attribute(
                "data-level", "bad" if said is INGEST else "good"
            )
            for summary in await ops.page.locator("summary:visible").all():
                await summary.click()
            assert await ops.violations() == []
            wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert await ops.page.evaluate(wide) <= 0
        assert ops.errors == []


async def test_what_is_open_and_focused_stays_and_the_curve_grows(monitor, ops):
    monitor.says = INGEST
    await (await ops.open()).until()
    summary = ops.page.locator("details.bad summary")
    await summary.focus()
    await ops.page.keyboard.press("Enter")
    asked = monitor.asked
    monitor.says = changed(INGEST, lambda said: said["groups"][0].update(lag_records=9_000))
    await expect(ops.page.locator("#groups tbody tr").first).to_contain_text("9,000")
    assert monitor.asked > asked
    assert await ops.page.locator("details.bad").get_attribute("open") is not None
    assert await summary.evaluate("element => element === document.activeElement")
    curve = ops.page.locator("#groups .curve").first
    await expect(curve).to_have_attribute("aria-label", "Unread since this page was opened: now 9,000, at most 9,000")
    assert (await curve.locator(".line").get_attribute("d")).startswith("M0 ")
    assert re.match(r"since \d\d:\d\d:\d\d, at most 40 s", await ops.text(".caption"))


async def test_nobody_is_asked_while_nobody_looks(monitor, ops):
    await (await ops.open()).until()
    hide = "value => { Object.defineProperty(document, 'visibilityState', {value, configurable: true}); document.dispatchEvent(new Event('visibilitychange')); }"
    await ops.page.evaluate(hide, "hidden")
    asked = monitor.asked
    await ops.page.wait_for_timeout(3_000)  # longer than its period
    assert monitor.asked == asked
    await ops.page.evaluate(hide, "visible")
    monitor.says = REDIS
    await expect(ops.page.locator("h1")).to_contain_text("40 s old")


async def test_the_language_is_the_browsers_and_can_be_switched(monitor, base):
    monitor.says = REDIS
    async with chromium_on(base, locale="zh-CN") as ops:
        await (await ops.open()).until()
        assert await ops.text("h1") == "全部 8 个运营商的结果已落后 40 秒"
        assert await ops.text(".verdict .todo") == strings("zh", "advice")["redis"]["todo"] + "。"
        assert await ops.page.evaluate("document.documentElement.lang") == "zh-Hans"
        await ops.page.get_by_role("button", name="English").click()
        assert "lang=en" in ops.page.url
        assert await ops.page.evaluate("document.activeElement.innerText") == "English"
        assert await ops.text("h1") == "Results of all 8 operators are 40 s old"


async def test_controls_are_reached_by_tab_in_the_order_of_the_page(ops):
    await (await ops.open()).until()
    seen = []
    for _ in range(6):
        await ops.page.keyboard.press("Tab")
        name = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText"
        seen.append(await ops.page.evaluate(name))
    assert seen[:5] == ["Skip to the verdict", "Dashboard", "English", "中文", "Colours"]


def test_both_languages_say_the_same_things_with_the_same_values():
    english, chinese = strings("en"), strings("zh")
    assert list(english) == list(chinese)
    for key, text in english.items():
        assert sorted(re.findall(r"{(\w+)}", text)) == sorted(re.findall(r"{(\w+)}", chinese[key])), key
        assert chinese[key], key


def test_every_text_is_used():
    code = "".join(path.read_text() for path in [*SOURCES.glob("ops/*.js"), SOURCES / "ops.js"])
    for key in strings("en"):
        assert f"'{key.split('.')[0]}'" in code, key


def test_chinese_knows_every_reason_of_the_monitor_and_what_to_do():
    words = {word.value: advice for word, advice in (*ADVICE.items(), *STAGES.items())} | {"silent": SILENT}
    chinese = strings("zh", "advice")
    assert set(chinese) == set(words)
    for reason, advice in words.items():
        assert chinese[reason]["means"], reason
        assert bool(chinese[reason]["todo"]) == bool(advice.todo), reason

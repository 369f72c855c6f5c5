"""What the address says, and in which language: both survive a reload, and both can be sent to somebody else."""

import json
import re

import pytest
from playwright.async_api import expect

from tests.dashboard.page.viewing import chromium_on
from tests.dashboard.places import SOURCES
from tests.support.waiting import until

ENGLISH, CHINESE = (json.loads((SOURCES / f"strings.{language}.json").read_text()) for language in ("en", "zh"))


def placeholders(text):
    return sorted({part.split("}")[0] for part in text.split("{")[1:]})


def test_both_languages_say_the_same_things_with_the_same_values():
    assert list(ENGLISH) == list(CHINESE)
    for key, text in ENGLISH.items():
        assert text, key
        assert CHINESE[key], key
        assert placeholders(text) == placeholders(CHINESE[key]), key


def test_every_text_is_used():
    code = "".join(path.read_text() for path in SOURCES.glob("*.js"))
    layout = (SOURCES / "layout.json").read_text()
    figures = json.loads((SOURCES / "figures.json").read_text())
    named = {figure["name"] for figure in figures} | {f"unit.{figure['unit']}" for figure in figures}
    made = {"Is", "Title", "Text"}  # ends of keys that are put together
    for key in ENGLISH:
        stem = key.split(".")[0]
        base = next((stem.removesuffix(end) for end in made if stem.endswith(end)), stem)
        base = base.removeprefix("reading") or base
        assert named & {key, stem, base} or f'"{key}"' in layout or f"'{stem}'" in code or f"'{base}'" in code, key


@pytest.mark.parametrize(
    ("locale", "query", "title"),
    [
        ("en-GB", {}, "CRM statistics"),
        ("zh-CN", {}, "CRM 统计"),
        ("zh-TW", {}, "CRM 统计"),
        ("de-DE", {}, "CRM statistics"),
        ("zh-CN", {"lang": "en"}, "CRM statistics"),
        ("en-GB", {"lang": "zh"}, "CRM 统计"),
    ],
)
async def test_the_language_is_the_addresss_else_the_browsers(stack, locale, query, title):
    async with chromium_on(stack.api, locale=locale) as dashboard:
        await dashboard.open(stack.everything, operatorId="M2", **query)
        await dashboard.until()
        assert await dashboard.texts(".brand") == [title]
        assert await dashboard.page.evaluate("document.documentElement.lang") == (
            "zh-Hans" if "统计" in title else "en"
        )
        (value, _, _) = (await dashboard.tile("receivedAmount"))[0]
        assert value.startswith("CNY ")  # ¥ is of two currencies


async def test_the_language_is_switched_in_the_page_and_numbers_stay(stack, dashboard):
    await dashboard.open(stack.everything, operatorId="M1")
    await dashboard.until()
    before = [value for value, _, _ in await dashboard.tile("receivedAmount")]
    await dashboard.page.get_by_role("button", name="中文").click()
    assert "lang=zh" in dashboard.page.url
    assert await dashboard.page.evaluate("document.activeElement.textContent") == "中文"
    assert await dashboard.texts("[data-tile=receivedAmount] h3") == [CHINESE["receivedAmount"]]
    assert [value for value, _, _ in await dashboard.tile("receivedAmount")] == before
    words = await dashboard.page.locator("main").inner_text()
    for text in (ENGLISH["reading"], ENGLISH["table"], ENGLISH["trends"], "Hatched"):
        assert text not in words
    await dashboard.page.go_back()
    await expect(dashboard.page.locator(".brand")).to_have_text("CRM statistics")


async def test_each_choice_is_in_the_address_and_a_reload_keeps_it(stack, dashboard):
    await dashboard.open(stack.everything, operatorId="M1")
    await dashboard.until()
    page = dashboard.page
    await page.get_by_label("Group", exact=True).select_option("vip")
    await page.get_by_label("Beside it").select_option("fleet")
    await page.get_by_label("Months", exact=True).select_option("13")
    await page.get_by_label("Days", exact=True).select_option("7")
    await page.get_by_label("Currency").select_option("CHF")
    assert page.url.split("?")[1] == "operatorId=M1&groupId=vip&compare=fleet&currency=CHF&months=13&days=7"
    await expect(page.locator("#per-capita-payment tbody tr")).to_have_count(26)
    await expect(page.locator("[data-tile=receivedAmount] .value", has_text="CHF")).to_have_count(
        2
    )  # it is asked for last
    shown = await dashboard.tile("receivedAmount")
    await page.reload()
    await dashboard.until()
    await expect(page.locator("#per-capita-payment tbody tr")).to_have_count(26)

    async def is_as_before():
        return await dashboard.tile("receivedAmount") == shown

    await until("the tile is as it was", is_as_before)  # first it may be drawn from what was asked for first
    assert await page.get_by_label("Beside it").input_value() == "fleet"
    await page.get_by_label("Operator").select_option("M2")
    await expect(page.locator("h1")).to_have_text("虹桥充电")
    assert page.url.split("?")[1] == "operatorId=M2&months=13&days=7"
    await page.go_back()
    await expect(page.locator("h1")).to_have_text("Stadtwerke Musterstadt")
    await expect(page.locator(".tile.two").first).to_be_visible()


async def test_pickers_name_who_can_be_picked(stack, dashboard):
    await dashboard.open(stack.everything, operatorId="M1", groupId="vip")
    await dashboard.until()

    async def options(label):
        return await dashboard.page.get_by_label(label, exact=True).evaluate(
            "select => [...select.options].map(o => o.text)"
        )

    operators = stack.ask("operators")["operators"]
    assert await options("Operator") == [
        f"{each['name']} · {each['operatorId']}" if each["name"] else each["operatorId"] for each in operators
    ]
    groups = stack.ask("groups", operatorId="M1")["groups"][1:]
    named = [f"{group['name']} · {group['groupId']}" if group["name"] else group["groupId"] for group in groups]
    assert await options("Group") == ["All customers", *named]
    assert await options("Beside it") == [
        "No other group",
        "All customers",
        *(name for name in named if "vip" not in name),
    ]
    assert await options("Currency") == stack.ask("monthlyIndex", operatorId="M1", groupId="vip")["currencies"]


async def test_the_current_month_in_the_address_is_the_one_that_is_chosen(stack, dashboard):
    current = stack.ask("monthlyIndex", operatorId="M1")["months"][-1]["month"]
    await dashboard.open(stack.everything, operatorId="M1", endMonth=current)
    await dashboard.until()
    chosen = dashboard.page.get_by_label("Until", exact=True).locator("option:checked")  # of the month, not of the day
    await expect(chosen).to_have_text(re.compile(r" \(now\)$"))


async def test_what_the_address_says_wrongly_is_the_default(stack, dashboard):
    wrong = {
        "months": "99",
        "days": "x",
        "endMonth": "2026-13",
        "currency": "eur",
        "lang": "xx",
        "compare": "ALL",
        "theme": "pink",
    }
    await dashboard.open(stack.everything, operatorId="M1", **wrong)
    await dashboard.until()
    _, *rows = await dashboard.table("per-capita-payment")
    assert len(rows) == 6
    assert await dashboard.page.locator(".tile.two").count() == 0


@pytest.mark.parametrize("group", ["大客户", 'a|b{}:%+"c', "🚗 'x' <b>"])
async def test_a_group_of_any_name_is_shown_as_it_is(stack, dashboard, group):
    stack.command("pay", "--operator", "新 |{1}", "--amount", "150", "--currency", "JPY", "--group", group)
    await dashboard.open(stack.everything, operatorId="新 |{1}", groupId=group)
    await dashboard.until()
    assert (await dashboard.tile("receivedAmount"))[0][0] == "JPY 150"
    assert group in (await dashboard.texts(".scope"))[0]


async def test_groups_whose_answers_come_apart_are_shown_when_both_are_there(stack, dashboard):
    held = []

    async def hold(route):
        held.append(route) if "groupId=fleet" in route.request.url else await route.continue_()

    await dashboard.open(stack.everything, operatorId="M1", groupId="vip", compare="fleet")
    await dashboard.until()
    await dashboard.page.context.route("**/monthlyIndex?*", hold)
    async with dashboard.page.expect_response(lambda answer: "groupId=vip" in answer.url and "months=13" in answer.url):
        await dashboard.page.get_by_label("Months", exact=True).select_option("13")
    rows = dashboard.page.locator("#per-capita-payment tbody tr")
    await expect(rows).to_have_count(12)
    await held[0].continue_()
    await expect(rows).to_have_count(26)

"""The page for everybody: axe in every dress, keyboard, motion, forced colours, small and wide screens, paper."""

import re

import pytest
from playwright.async_api import expect

from tests.dashboard.page.viewing import DASH, SIDE, chromium_on
from tests.dashboard.places import DRESSES as COMMON_DRESSES

DRESSES = COMMON_DRESSES | {"wide": {"viewport": {"width": 2560, "height": 1300}}}


@pytest.mark.parametrize("dress", DRESSES)
async def test_axe_finds_nothing_and_nothing_is_cut_off(stack, dress):
    async with chromium_on(stack.api, **DRESSES[dress]) as dashboard:
        for query in ({}, SIDE):
            await dashboard.open(stack.everything, operatorId="M1", **query)
            await dashboard.until()
            for summary in await dashboard.page.locator("summary").all():
                await summary.click()
            assert await dashboard.violations() == []
            wide = await dashboard.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert wide <= 0
        assert dashboard.errors == []


async def test_axe_would_find_something(stack, dashboard):
    await dashboard.open(stack.everything, operatorId="M1")
    await dashboard.until()
    await dashboard.page.evaluate("""() => {
      document.querySelector('.picker label').remove();
      document.querySelector('.tile .is').style.color = 'rgb(200, 200, 200)';
    }""")
    assert {rule for rule, _, _ in await dashboard.violations()} == {"color-contrast", "select-name"}


async def test_a_theme_of_the_address_is_stronger_than_the_system(stack):
    async with chromium_on(stack.api, color_scheme="dark") as dashboard:
        await dashboard.open(stack.everything, operatorId="M1", theme="light")
        await dashboard.until()
        assert await dashboard.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(246, 247, 249)"
        await dashboard.page.get_by_label("Colours").select_option("dark")
        assert "theme=dark" in dashboard.page.url
        assert await dashboard.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 16, 21)"
        assert await dashboard.violations() == []


async def test_every_control_is_reached_by_tab_and_shows_that_it_is(stack, dashboard):
    await dashboard.open(stack.everything, operatorId="M1")
    await dashboard.until()
    seen = []
    for _ in range(60):
        await dashboard.page.keyboard.press("Tab")
        here = await dashboard.page.evaluate(
            """() => {
                 const element = document.activeElement;
                 const style = getComputedStyle(element);
                 const name = element.getAttribute('aria-label') ?? element.labels?.[0]?.innerText ?? element.innerText;
                 return [element.tagName, name.split('\\n')[0], style.outlineStyle !== 'none' || element.matches('.skip')];
               }"""
        )
        if here[0] == "BODY":
            break
        seen.append(here)
    assert all(visible for _, _, visible in seen)
    names = [name for _, name, _ in seen]
    assert names[0] == "Skip to the numbers"
    for name in ("Operator", "Group", "Beside it", "Currency", "Months", "Days", "English", "中文", "Colours"):
        assert name in names
    assert sum(name.startswith("Save ") for name in names) == 10
    assert sum(name == "Numbers" for name in names) == 5


async def test_a_chart_is_read_point_by_point_with_the_arrow_keys(stack, dashboard):
    await dashboard.open(stack.everything, operatorId="M1")
    await dashboard.until()
    months = stack.ask("monthlyIndex", operatorId="M1")["months"]
    plot = dashboard.page.locator("#per-capita-payment .plot")
    assert "Left and right arrow keys" in await plot.get_attribute("aria-label")
    await plot.focus()
    live, read = dashboard.page.locator("[aria-live]"), dashboard.page.locator("#per-capita-payment .readout b")
    for key, month in (
        ("ArrowLeft", months[-1]),
        ("ArrowLeft", months[-2]),
        ("Home", months[0]),
        ("ArrowRight", months[1]),
    ):
        await dashboard.page.keyboard.press(key)
        await expect(read).to_have_text(f"€{month['perCapitaPayment']}")
        await expect(live).to_have_text(re.compile(rf": €{re.escape(month['perCapitaPayment'])}$"))
    await dashboard.page.keyboard.press("Escape")
    await expect(read).to_have_text(f"€{months[-1]['perCapitaPayment']}")


async def test_the_pointer_reads_a_column_too(stack, dashboard):
    await dashboard.open(stack.everything, operatorId="M1")
    await dashboard.until()
    slots = stack.ask("chargingDistribute", operatorId="M1")["slots"]
    drawing = dashboard.page.locator("#half-hours svg")
    box = await drawing.bounding_box()
    await drawing.hover(position={"x": box["width"] - 2, "y": box["height"] / 2})
    await expect(dashboard.page.locator("#half-hours .when")).to_have_text(f"23:30{DASH}24:00")
    (words,) = await dashboard.texts("#half-hours .readout b")
    assert words.startswith(f"{slots[47]['chargeCount']:,} session")


async def test_nothing_moves_for_those_who_asked_for_that(stack):
    async with chromium_on(stack.api, reduced_motion="reduce") as dashboard:
        await dashboard.open(stack.everything, operatorId="M1")
        await dashboard.until()
        await dashboard.page.evaluate("document.querySelector('.tile .value').classList.add('moved')")
        assert await dashboard.page.evaluate("document.getAnimations().length") == 0


async def test_on_paper_there_are_numbers_and_charts_and_no_controls(stack, dashboard):
    await dashboard.open(stack.everything, operatorId="M1")
    await dashboard.until()
    await dashboard.page.emulate_media(media="print")
    for gone in (".top", ".pickers", ".actions", "summary"):
        for element in await dashboard.page.locator(gone).all():
            assert not await element.is_visible(), gone
    for there in ("h1", ".scope", ".zone", ".tile .value", ".chart svg", ".reading dd"):
        for element in await dashboard.page.locator(there).all():
            assert await element.is_visible(), there
    paper = await dashboard.page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 1

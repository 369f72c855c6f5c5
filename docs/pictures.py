"""Writes docs/img/dashboard-*.png from an invented network of a fixed seed, up to today, and ops.png while its Redis is frozen. `make pictures`; look at each afterwards.

They look the same everywhere if the fonts Inter and Noto Sans CJK are there (Debian: fonts-inter, fonts-noto-cjk).
"""

import asyncio
import io
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from PIL import Image
from playwright.async_api import Page, expect

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.dashboard.ops.viewing import chromium_on as operations_on  # noqa: E402  # after the path that they are found on
from tests.dashboard.page.viewing import Stack, chromium_on  # noqa: E402
from tests.support.pages import blocks  # noqa: E402

BYTES_MAX = 200_000
COLOURS = 256
WIDTH, PHONE_WIDTH = 1360, 390
PAPER, MARGIN = (794, 1123), 38  # A4 and 10 mm in CSS pixels
PICTURES = {
    "light": ({"operatorId": "M1"}, {}),
    "dark": ({"operatorId": "M1"}, {"color_scheme": "dark"}),
    "zh": ({"operatorId": "M2"}, {"locale": "zh-CN"}),
    "compare": ({"operatorId": "M1", "groupId": "vip", "compare": "fleet"}, {}),
    "phone": ({"operatorId": "M1"}, {"viewport": {"width": PHONE_WIDTH, "height": 1500}}),
    "tour": ({"operatorId": "HARBOUR"}, {}),
    "print": ({"operatorId": "M1"}, {"viewport": {"width": PAPER[0] - 2 * MARGIN, "height": PAPER[1] - 2 * MARGIN}}),
}


async def picture(stack: Stack, name: str) -> bytes:
    """A PNG of the page, down to the end of its charts."""
    query, context = PICTURES[name]
    async with chromium_on(stack.api, **context) as dashboard:
        await dashboard.open(stack.everything, **query)
        await dashboard.until()
        page = dashboard.page
        await page.evaluate("document.fonts.ready")
        if name == "print":
            return await paper(page)
        if name == "phone":
            return await page.screenshot()
        end = await page.evaluate("document.querySelector('.charts').getBoundingClientRect().bottom")
        await page.set_viewport_size({"width": WIDTH, "height": round(end) + 24})
        return await page.screenshot()


async def operations(stack: Stack) -> bytes:
    """A PNG of the operations page, down to the consumer groups, some time after Redis has stopped to answer."""
    stack.start("monitor", "monitor")
    async with operations_on(stack.api) as ops:
        await ops.open(stack.token("--ops"))
        await expect(ops.page.locator(".verdict")).to_have_attribute("data-level", "good", timeout=60_000)
        await ops.page.wait_for_timeout(20_000)  # for a curve of healthy times
        with stack.frozen("redis"):
            await expect(ops.page.locator(".node.blame")).to_have_attribute("data-stage", "redis", timeout=60_000)
            await ops.page.wait_for_timeout(25_000)
            end = await ops.page.evaluate("document.querySelector('#groups').getBoundingClientRect().bottom")
            await ops.page.set_viewport_size({"width": WIDTH, "height": round(end) + 24})
            return await ops.page.screenshot()


async def paper(page: Page) -> bytes:
    """As it is printed, with the margins that a browser leaves."""
    await page.emulate_media(media="print")
    await page.evaluate("dispatchEvent(new Event('beforeprint'))")
    whole, made = Image.new("RGB", PAPER, "white"), io.BytesIO()
    whole.paste(Image.open(io.BytesIO(await page.screenshot())), (MARGIN, MARGIN))
    whole.save(made, "PNG")
    return made.getvalue()


def small(png: bytes) -> bytes:
    """The same with fewer colours: text and flat charts lose nothing that is seen."""
    made = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(
        made, "PNG", optimize=True
    )
    return made.getvalue()


def import_tour(stack: Stack, folder: Path) -> None:
    """Have the stack show the file of docs/tour.md, of today, by the page's map."""
    rows, map_ = folder / "my.csv", folder / "my.toml"
    rows.write_text((ROOT / "docs" / "tour.csv").read_text().replace("TODAY", f"{datetime.now():%d.%m.%Y}"))  # noqa: DTZ005  # as the page says it
    map_.write_text("".join(blocks(ROOT / "docs" / "tour.md", "toml")))
    stack.command("import", str(rows), "--map", str(map_))
    stack.wait_as_of(stack.now_ms())


def write(name: str, png: bytes) -> None:
    """Into docs/img."""
    content = small(png)
    path = ROOT / "docs" / "img" / f"{name}.png"
    path.write_bytes(content)
    print(f"{path.relative_to(ROOT)}: {len(content):,} bytes")
    assert len(content) <= BYTES_MAX, name


def main() -> None:
    """Write all of them."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "run", months=13, customers=400)
        try:
            import_tour(stack, Path(folder))
            for name in PICTURES:
                write(f"dashboard-{name}", asyncio.run(picture(stack, name)))
            write("ops", asyncio.run(operations(stack)))
        finally:
            stack.close()


if __name__ == "__main__":
    main()

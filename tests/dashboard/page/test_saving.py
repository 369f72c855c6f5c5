"""CSV and PNG of each chart, as a person saves them."""

import csv
import io
import re
import struct
import zlib

import pytest

from tests.dashboard.page.viewing import DRAWN, SIDE, chromium_on, columns

CHARTS = [*DRAWN, "half-hours"]


async def saved(dashboard, chart, name):
    """(file name, bytes) of what a button saves."""
    async with dashboard.page.expect_download() as started:
        await dashboard.page.locator(f"#{chart} .actions button", has_text=name).click()
    download = await started.value
    return download.suggested_filename, (await download.path()).read_bytes()


@pytest.mark.parametrize("chart", CHARTS)
async def test_csv_holds_the_values_of_the_api_as_they_are(stack, dashboard, chart):
    await dashboard.open(stack.everything, operatorId="M3", **{**SIDE, **groups_of(stack, "M3")})
    await dashboard.until()
    name, content = await saved(dashboard, chart, "CSV")
    assert re.fullmatch(rf"crm-M3-[^/]+-\d{{4}}-\d\d-\d\d-{chart}\.csv", name)
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    groups = groups_of(stack, "M3").values()
    monthly = [stack.ask("monthlyIndex", operatorId="M3", groupId=group) for group in groups]
    days = [stack.ask("chargingDistribute", operatorId="M3", groupId=group) for group in groups]
    if chart == "half-hours":
        expected = [
            (str(data["slots"][slot][key]), data) for slot in range(48) for data in days for key in ("chargeCount",)
        ]
        assert [row["chargeCount"] for row in rows] == [value for value, _ in expected]
        assert [row["groupId"] for row in rows] == [data["groupId"] for _, data in expected]
        assert {(row["from"], row["to"], row["timezone"]) for row in rows} == {
            (days[0]["from"], days[0]["to"], "Asia/Tokyo")
        }
        return
    assert len(rows) == 12
    for number, row in enumerate(rows):
        data = monthly[number % 2]
        month = data["months"][number // 2]
        fields = ["month", *columns(DRAWN[chart])]
        assert list(row) == ["month", "whole", "operatorId", "groupId", "currency", *fields[1:], "timezone", "asOf"]
        assert [row[field] for field in fields] == [str(month[field]) for field in fields]
        assert (row["groupId"], row["currency"], row["whole"]) == (data["groupId"], "JPY", str(number < 10).lower())


def groups_of(stack, operator):
    one, other = [group["groupId"] for group in stack.ask("groups", operatorId=operator)["groups"]][1:3]
    return {"groupId": one, "compare": other}


def pixels(content):
    """Width, height, and how many different rows a PNG has."""
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    data, at = b"", 8
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        if content[at + 4 : at + 8] == b"IDAT":
            data += content[at + 8 : at + 8 + length]
        at += 12 + length
    raw = zlib.decompress(data)
    line = len(raw) // height
    return width, height, len({raw[number * line : (number + 1) * line] for number in range(height)})


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_png_is_a_picture_of_the_chart_at_twice_its_size(stack, scheme):
    async with chromium_on(stack.api, color_scheme=scheme) as dashboard:
        await dashboard.open(stack.everything, operatorId="M1")
        await dashboard.until()
        for chart in CHARTS:
            name, content = await saved(dashboard, chart, "PNG")
            assert name.endswith(f"-{chart}.png")
            width, height, different = pixels(content)
            shown = await dashboard.page.locator(f"#{chart} svg").bounding_box()
            assert width >= 2 * shown["width"]
            assert height >= 2 * shown["height"]
            assert different > 100
        assert dashboard.errors == []


async def test_a_name_that_a_spreadsheet_would_run_is_made_text(stack, dashboard):
    stack.command("pay", "--operator", "=1+1", "--amount", "3.00", "--currency", "EUR")
    await dashboard.open(stack.everything, operatorId="=1+1")
    await dashboard.until()
    _, content = await saved(dashboard, CHARTS[0], "CSV")
    assert {row["operatorId"] for row in csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))} == {
        "'=1+1"
    }

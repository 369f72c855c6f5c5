"""What the page shows is what the API answers: tiles, tables of charts, other windows and currencies, two groups."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from stream_app.domain.figures import FIGURES, KWH
from tests.dashboard.page.viewing import DASH, DRAWN, MINUS, SIDE, columns, counted, energy, money

BY_MONTH = {chart: columns(drawn) for chart, drawn in DRAWN.items()}
FREQUENCY = "perCapitaFrequency"


def shown(month, field, currency):
    """A value of the API as English shows it."""
    value = month[field]
    if isinstance(value, int):
        return f"{value:,}"
    if field in {figure.name for figure in FIGURES if figure.unit is KWH}:
        return energy(value)
    return value if field == FREQUENCY else money(value, currency)


def rows_of(data, fields):
    return [[shown(month, field, data["currency"]) for field in fields] for month in data["months"]]


def month_name(month):
    return f"{date.fromisoformat(month + '-01'):%B %Y}"


async def check_tables(dashboard, monthly, distribution):
    for chart, fields in BY_MONTH.items():
        head, *rows = await dashboard.table(chart)
        assert len(head) == 1 + len(fields)
        assert [row[1:] for row in rows] == rows_of(monthly, fields), chart
        names = [month_name(month["month"]) for month in monthly["months"]]
        assert [row[0] for row in rows[:-1]] == names[:-1]
        assert rows[-1][0].startswith(names[-1])
    _, *rows = await dashboard.table("half-hours")
    slots = [[f"{slot['start']}{DASH}{slot['end']}", f"{slot['chargeCount']:,}"] for slot in distribution["slots"]]
    assert [row[:2] for row in rows] == slots


@pytest.mark.parametrize("operator", ["M1", "M2", "M3", "M4", "M5", "M6"])
async def test_tiles_and_tables_are_the_answers_of_the_api(stack, dashboard, operator):
    await dashboard.open(stack.everything, operatorId=operator)
    await dashboard.until()
    monthly, distribution = (
        stack.ask(question, operatorId=operator) for question in ("monthlyIndex", "chargingDistribute")
    )
    await check_tables(dashboard, monthly, distribution)
    *_, before, month = monthly["months"]
    currency = monthly["currency"]

    def amount(value):
        return money(value, currency)

    received, refunded = Decimal(month["receivedAmount"]), Decimal(month["refundedAmount"])
    known = received - Decimal(month["anonymousAmount"])
    assert await dashboard.tile("receivedAmount") == [
        (
            amount(received),
            f"{amount(received + refunded)} paid {MINUS} {amount(refunded)} refunded",
            f"{month_name(before['month']).split()[0]}, whole: {amount(before['receivedAmount'])}",
        )
    ]
    payers = counted(month["payingCustomers"], "paying customer", "paying customers")
    assert (await dashboard.tile("perCapitaPayment"))[0][:2] == (
        amount(month["perCapitaPayment"]),
        f"{amount(known)} ÷ {payers}",
    )
    sessions = counted(month["sessionCount"] - month["anonymousSessionCount"], "session", "sessions")
    chargers = counted(month["chargingCustomers"], "charging customer", "charging customers")
    assert (await dashboard.tile("perCapitaFrequency"))[0][:2] == (month[FREQUENCY], f"{sessions} ÷ {chargers}")
    known_energy = energy(Decimal(month["energyKwh"]) - Decimal(month["anonymousEnergyKwh"]))
    assert (await dashboard.tile("energyKwh"))[0][:2] == (
        energy(month["energyKwh"]),
        f"{energy(month['perCapitaEnergy'])} per customer: {known_energy} ÷ {chargers}",
    )
    assert (await dashboard.tile("discountAmount"))[0][0] == amount(month["discountAmount"])
    assert (await dashboard.tile("refundedAmount"))[0][0] == amount(month["refundedAmount"])
    said, of, _ = (await dashboard.tile("anonymousAmount"))[0]
    if received:
        share = Decimal(month["anonymousAmount"]) / received * 100
        assert abs(Decimal(said.rstrip("%")) - share) <= Decimal("0.05")
    else:  # so it is in the first hours of a month
        assert said == DASH
    assert of == f"{amount(month['anonymousAmount'])} of {amount(received)} received"
    assert (await dashboard.tile("paymentCount"))[0][0] == f"{month['paymentCount']:,}"


async def test_the_current_month_says_its_days_is_hatched_and_compared_with_nothing(stack, dashboard):
    await dashboard.open(stack.everything, operatorId="M1")
    await dashboard.until()
    today = date.fromisoformat(stack.ask("chargingDistribute", operatorId="M1")["to"])
    month = stack.ask("monthlyIndex", operatorId="M1")["months"][-1]
    name = f"{today:%B %Y}"
    assert await dashboard.texts(".now h2") == [f"{name} so far"]
    (progress,) = await dashboard.texts(".progress")
    assert progress.startswith(f"1{DASH}{today.day} {today:%B}, day {today.day} of ")
    for tile in ("receivedAmount", "perCapitaPayment", "perCapitaFrequency", "discountAmount"):
        ((_, _, beside),) = await dashboard.tile(tile)
        assert "whole: " in beside
        assert "%" not in beside
    for chart, figures in DRAWN.items():
        hatched = await dashboard.page.locator(f"#{chart} .bar.partial").all()
        filled = [figure for figure in figures if Decimal(month[figure] or 0)]  # few in the first hours of a month
        assert len(hatched) == len(filled)
        for bar in hatched:
            assert await bar.get_attribute("fill") == f"url(#hatch-{chart}-0)"
        assert "Hatched: the month is not over" in await dashboard.texts(f"#{chart} .notes p")


async def test_a_whole_month_is_compared_with_the_one_before(stack, dashboard):
    monthly = stack.ask("monthlyIndex", operatorId="M1")
    one, other = monthly["months"][-3:-1]
    await dashboard.open(stack.everything, operatorId="M1", endMonth=other["month"], months="3")
    await dashboard.until()
    assert await dashboard.texts(".now h2") == [f"{month_name(other['month'])}, whole"]
    ((value, _, beside),) = await dashboard.tile("receivedAmount")
    assert value == money(other["receivedAmount"], "EUR")
    change = (Decimal(other["receivedAmount"]) / Decimal(one["receivedAmount"]) - 1) * 100
    assert abs(Decimal(beside.split("%")[0].replace(MINUS, "-")) - change) <= Decimal("0.05")
    assert await dashboard.page.locator(".bar.partial").count() == 0


async def test_other_months_days_and_currencies_are_asked_for(stack, dashboard):
    end = stack.ask("chargingDistribute", operatorId="M1", days=3)["from"]
    await dashboard.open(stack.everything, operatorId="M1", months="13", currency="CHF", days="7", endDate=end)
    await dashboard.until()
    monthly = stack.ask("monthlyIndex", operatorId="M1", months=13, currency="CHF")
    distribution = stack.ask("chargingDistribute", operatorId="M1", days=7, endDate=end)
    await check_tables(dashboard, monthly, distribution)
    assert (await dashboard.tile("receivedAmount"))[0][0].startswith("CHF ")
    assert (
        await dashboard.page.locator(".picker select").nth(3).evaluate("select => select.selectedOptions[0].text")
        == "CHF"
    )


async def test_two_groups_stand_side_by_side(stack, dashboard):
    await dashboard.open(stack.everything, operatorId="M1", **SIDE)
    await dashboard.until()
    both = [stack.ask("monthlyIndex", operatorId="M1", groupId=group) for group in SIDE.values()]
    tile = await dashboard.tile("perCapitaPayment")
    assert [value for value, _, _ in tile] == [money(data["months"][-1]["perCapitaPayment"], "EUR") for data in both]
    for chart, fields in BY_MONTH.items():
        _, *rows = await dashboard.table(chart)
        assert [row[2:] for row in rows[::2]] == rows_of(both[0], fields)
        assert [row[2:] for row in rows[1::2]] == rows_of(both[1], fields)
        assert {row[1] for row in rows[::2]} == {"大客户 · vip"}
    counts = [stack.ask("chargingDistribute", operatorId="M1", groupId=group) for group in SIDE.values()]
    _, *rows = await dashboard.table("half-hours")
    for side, data in enumerate(counts):
        assert [row[2] for row in rows[side::2]] == [f"{slot['chargeCount']:,}" for slot in data["slots"]]
    peaks = [max(data["slots"], key=lambda slot: slot["chargeCount"]) for data in counts]
    notes = await dashboard.texts("#half-hours .notes p")
    for note, peak in zip(notes, peaks, strict=False):
        assert f"peak {peak['start']}{DASH}{peak['end']}, {peak['chargeCount']} session" in note
    assert await dashboard.page.locator("[data-tile=anonymousAmount]").count() == 0


async def test_the_peak_is_named_and_a_day_of_changed_clocks_is_noted(stack, dashboard):
    await dashboard.open(stack.everything, operatorId="M1", days="92")
    await dashboard.until()
    data = stack.ask("chargingDistribute", operatorId="M1", days=92)
    peak = max(data["slots"], key=lambda slot: slot["chargeCount"])
    assert await dashboard.texts("#half-hours svg .value") == [f"Peak {peak['start']}{DASH}{peak['end']}"]
    assert f"{peak['chargeCount']:,} sessions" in (await dashboard.texts("#half-hours .readout"))[0]
    notes = " ".join(await dashboard.texts("#half-hours .notes p"))
    changes = [day for day in clock_changes(data["timezone"]) if data["from"] <= day.isoformat() <= data["to"]]
    assert len(changes) == notes.count("clocks went")
    for day in changes:
        assert f"On {day.day} " in notes


def clock_changes(zone):
    """Dates of three years on which a zone's clocks change."""
    noons = [datetime(2025, 1, 1, 12, tzinfo=ZoneInfo(zone)) + timedelta(days=number) for number in range(3 * 365)]
    return [later.date() for earlier, later in pairwise(noons) if earlier.utcoffset() != later.utcoffset()]


async def test_zone_and_as_of_are_printed_and_the_seconds_counted(stack, dashboard):
    await dashboard.open(stack.everything, operatorId="M4")
    await dashboard.until()
    zone, paper = await dashboard.texts(".zone")
    assert zone == "Months, days and half-hours of Asia/Kuwait (UTC+3)"
    assert paper.startswith("As of ")
    as_of = await dashboard.page.locator(".as-of").get_attribute("datetime")
    assert as_of <= max(stack.as_of().values())
    await dashboard.page.wait_for_function("before => document.querySelector('.as-of').dateTime > before", arg=as_of)
    assert (await dashboard.texts(".ago"))[0].endswith(" s ago")


async def test_every_digit_is_kept_beyond_what_a_float_holds(stack, dashboard):
    for amount in ("90071992547409.91", "0.02"):
        stack.command("pay", "--operator", "BIG", "--amount", amount, "--currency", "EUR")
    await dashboard.open(stack.everything, operatorId="BIG")
    await dashboard.until()
    assert (await dashboard.tile("receivedAmount"))[0][0] == "€90,071,992,547,409.93"
    assert (await dashboard.table("received-and-discount"))[-1][1] == "€90,071,992,547,409.93"

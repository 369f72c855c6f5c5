"""Tiles, tables and CSV of documents that the domain composed, by the page's modules in the browser; no module names a figure."""

import json
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import product

from stream_app.domain.cells import FigureCell
from stream_app.domain.figures import COUNT, FIGURES
from stream_app.domain.report import figure_row
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS
from stream_app.domain.tables import MONTHLY
from tests.dashboard.page.viewing import DRAWN, chromium_on, columns
from tests.dashboard.places import SOURCES

HOME = "http://sources.test/"
MADE = """async ([home, language, documents]) => {
  const names = ['text', 'charts_view', 'tiles_view'];
  const [{ Text }, { chartsOf }, { tilesOf }] = await Promise.all(names.map(name => import(`${home}${name}.js`)));
  const distribution = { from: '2026-11-01', to: '2026-11-02', timezone: 'UTC', total: 0, slots: [] };
  const text = new Text(language, [language === 'zh' ? 'zh-CN' : 'en-GB']);
  const sides = documents.map(monthly => ({ name: monthly.groupId, monthly, distribution }));
  const tiles = tilesOf(text, sides, null).map(tile => [tile.id, tile.figures.map(({ value, from, beside }) => [value, from, beside])]);
  const charts = chartsOf(text, sides, null).map(({ id, table, csv }) => [id, { table, csv }]);
  return { tiles: Object.fromEntries(tiles), charts: Object.fromEntries(charts) };
}"""
FIRST = MONTHLY.period.parse("2026-09")
BIG = 90_071_992_547_409_931  # more than a float holds


@asynccontextmanager
async def page_of(**changed):
    """What the modules make of documents: `made(language, *documents)`; `changed`: texts in place of files, by name."""

    async def serve(route):
        name = route.request.url.removeprefix(HOME)
        stem, _, kind = name.partition(".json")
        body = changed[stem] if stem in changed else (SOURCES / name).read_text() if name else ""
        media_type = (
            "text/html" if not name else "application/json" if kind or name.endswith("json") else "text/javascript"
        )
        await route.fulfill(body=body, content_type=f"{media_type}; charset=utf-8")

    async with chromium_on("about:blank") as browser:
        await browser.page.route(f"{HOME}**", serve)
        await browser.page.goto(HOME)

        async def made(language, *documents):
            return await browser.page.evaluate(MADE, [HOME, language, documents])

        yield made


def document(*months, group="ALL", currency="EUR"):
    """As far as the modules look at it."""
    return {"operatorId": "M1", "groupId": group, "currency": currency, "timezone": "UTC", "asOf": "", "months": months}


def row(period, currency="EUR", start=0):
    """A month in which each stored figure has another value; what is no whole number is more than a float holds."""
    payments, sessions = (
        [number if figure.unit is COUNT else BIG // (number + 1) for number, figure in enumerate(layout.figures, start)]
        for layout in (PAYMENT_SUMS, SESSION_SUMS)
    )
    return figure_row(MONTHLY, FigureCell(1, 0, {currency: payments}, sessions), period, currency)


def grouped(value):
    """A number with the digits it has, as English and Chinese group them."""
    whole, point, fraction = str(value).partition(".")
    return f"{int(whole):,}{point}{fraction}"


async def test_every_figure_of_a_document_is_in_table_and_csv_with_all_its_digits():
    assert {name for drawn in DRAWN.values() for name in columns(drawn)} == {figure.name for figure in FIGURES}
    async with page_of() as made:
        for language, currency in product(("en", "zh"), ("JPY", "EUR", "KWD")):
            months = [row(FIRST + number, currency, number) for number in range(3)]
            charts = (await made(language, document(*months, currency=currency)))["charts"]
            for chart, drawn in DRAWN.items():
                check(charts[chart], columns(drawn), months)


def check(chart, names, months):
    """Are these the figures of its table and its CSV, with all digits of these months?"""
    head, rows = chart["csv"]["head"], chart["csv"]["rows"]
    assert head[5:-2] == names
    assert [line[5:-2] for line in rows] == [[month[name] for name in names] for month in months]
    assert [line[0] for line in rows] == [month["month"] for month in months]
    for line, month in zip(chart["table"]["rows"], months, strict=True):
        for cell, name in zip(line[1:], names, strict=True):
            assert grouped(month[name]) in cell
            assert cell.endswith(" kWh") == ("nergy" in name)


async def test_the_tile_of_energy_says_what_the_figure_per_customer_is_made_of():
    month = row(FIRST, start=2)
    known = grouped(Decimal(month["energyKwh"]) - Decimal(month["anonymousEnergyKwh"]))
    customers = month["chargingCustomers"]
    async with page_of() as made:
        (english,) = (await made("en", document(month)))["tiles"]["energyKwh"]
        (chinese,) = (await made("zh", document(month)))["tiles"]["energyKwh"]
    value, average = f"{grouped(month['energyKwh'])} kWh", f"{grouped(month['perCapitaEnergy'])} kWh"
    assert english[:2] == [value, f"{average} per customer: {known} kWh ÷ {customers} charging customers"]
    assert chinese[:2] == [value, f"人均 {average}\uff1a{known} kWh ÷ {customers} 位充电客户"]


async def test_a_document_of_before_a_figure_shows_zero():
    month = {name: value for name, value in row(FIRST).items() if "nergy" not in name}
    async with page_of() as made:
        found = await made("en", document(month))
    assert found["tiles"]["energyKwh"][0][0] == "0.000 kWh"
    assert found["charts"]["energy"]["csv"]["rows"][0][5] == "0.000"


async def test_an_added_figure_is_a_column_of_tables_and_csv():
    figures = json.loads((SOURCES / "figures.json").read_text())
    texts = json.loads((SOURCES / "strings.en.json").read_text()) | {"chargedMinutes": "Minutes charged"}
    added = {"name": "chargedMinutes", "kind": "sum", "unit": "count", "digits": 0, "perCurrency": False}
    changed = {"figures": json.dumps([*figures, added]), "strings.en": json.dumps(texts)}
    async with page_of(**changed) as made:
        found = await made(
            "en", document(row(FIRST) | {"chargedMinutes": 1234}, row(FIRST + 1) | {"chargedMinutes": 5})
        )
    for chart in ("per-capita-frequency", "energy"):
        table, csv = found["charts"][chart]["table"], found["charts"][chart]["csv"]
        assert [line[table["head"].index("Minutes charged")] for line in table["rows"]] == ["1,234", "5"]
        assert [line[csv["head"].index("chargedMinutes")] for line in csv["rows"]] == [1234, 5]
    assert "chargedMinutes" not in found["charts"]["per-capita-payment"]["csv"]["head"]

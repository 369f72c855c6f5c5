"""A figure that is only in the table of figures and in the texts is a column of tables and CSV: no module names it."""

import json

from tests.dashboard.page.viewing import chromium_on
from tests.dashboard.places import SOURCES

HOME = "http://sources.test/"
MADE = """async ([home, shown]) => {
  const [{ Text }, { chartsOf }] = await Promise.all(['text', 'charts_view'].map(name => import(`${home}${name}.js`)));
  return chartsOf(new Text('en', ['en-GB']), shown, null).map(({ id, table, csv }) => [id, table, csv]);
}"""


async def test_an_added_figure_is_a_column_of_tables_and_csv():
    figures = json.loads((SOURCES / "figures.json").read_text())
    added = {"name": "chargedMinutes", "kind": "sum", "unit": "count", "digits": 0, "perCurrency": False}
    texts = json.loads((SOURCES / "strings.en.json").read_text()) | {"chargedMinutes": "Minutes charged"}
    changed = {"/": "", "/figures.json": json.dumps([*figures, added]), "/strings.en.json": json.dumps(texts)}

    async def serve(route):
        name = route.request.url.removeprefix(HOME.rstrip("/"))
        kind = "application/json" if name.endswith(".json") else "text/javascript" if name != "/" else "text/html"
        body = changed[name] if name in changed else (SOURCES / name[1:]).read_text()
        await route.fulfill(body=body, content_type=f"{kind}; charset=utf-8")

    async with chromium_on("about:blank") as browser:
        await browser.page.route(f"{HOME}**", serve)
        await browser.page.goto(HOME)
        months = [{"month": "2026-10", "chargedMinutes": 1234}, {"month": "2026-11", "chargedMinutes": 5}]
        monthly = {"operatorId": "M1", "groupId": "ALL", "currency": "EUR", "months": months, "timezone": "UTC"}
        distribution = {"from": "2026-11-01", "to": "2026-11-02", "timezone": "UTC", "total": 0, "slots": []}
        shown = [{"name": "All", "monthly": monthly, "distribution": distribution}]
        charts = {id_: (table, csv) for id_, table, csv in await browser.page.evaluate(MADE, [HOME, shown])}
    for chart in ("per-capita-frequency", "energy"):
        table, csv = charts[chart]
        assert [row[table["head"].index("Minutes charged")] for row in table["rows"]] == ["1,234", "5"]
        assert [row[csv["head"].index("chargedMinutes")] for row in csv["rows"]] == [1234, 5]
    assert "chargedMinutes" not in charts["per-capita-payment"][1]["head"]

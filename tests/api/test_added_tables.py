"""A table of results that is added, or a figure, is asked for, described and streamed without a change of the interface."""

import asyncio
import json
import subprocess
import sys
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi.openapi.models import OpenAPI

from config.settings import ROOT
from stream_app.api.app import Stores, create_app
from stream_app.api.asking.windows import Retention
from stream_app.api.description import models
from stream_app.api.description.reference import document
from stream_app.api.description.table_models import data_model
from stream_app.api.guard.rate_window import LocalWindow
from stream_app.api.live.watched import event_id, read_event_id
from stream_app.domain.cells import CellKey, CountCell, FigureCell
from stream_app.domain.events import ALL
from stream_app.domain.local_time import month_add
from stream_app.domain.report import iso_ms
from stream_app.domain.sums import SESSION_SUMS, filled
from stream_app.domain.tables import TABLES
from tests.support.added_tables import DAILY, WEEKDAY, WEEKDAYS
from tests.support.api import PREFIX, FakeCells, FakeDocuments, api, bearer, settings
from tests.support.fake_view import MONTH, TODAY, example
from tests.support.serving import listening

ADDED = (*TABLES, WEEKDAY, DAILY)
RETENTION = Retention(13, 92)
LIVE, STORED = iso_ms(1_795_500_009_000), iso_ms(1_795_500_004_000)


def world():
    """Stores that hold the example, and cells of the added tables."""
    view = example()
    view.stored |= {WEEKDAY.name: {}, DAILY.name: {}}
    for back in range(13):
        counts = CountCell(700 - back, 0, [back, 0, 0, 0, 0, 0, 1])
        view.stored[WEEKDAY.name][CellKey("M1", ALL, month_add(MONTH, -back))] = counts
    for back in range(92):
        cell = FigureCell(700 - back, 0, {}, filled([back, 1, 0, back * 1000], SESSION_SUMS.size))
        view.stored[DAILY.name][CellKey("M1", ALL, TODAY - back)] = cell
    return FakeDocuments(view, tables=ADDED), FakeCells(view)


@asynccontextmanager
async def asking():
    """A question to an interface that has the added tables: (path, parameters) -> answer."""
    documents, cells = world()
    async with api(documents, cells, tables=ADDED) as client:

        async def ask(path, **asked):
            got = await client.get(f"{PREFIX}/{path}", params={"operatorId": "M1", **asked}, headers=bearer("*"))
            body = {"operatorId": "M1", **asked}
            posted = await client.post(f"{PREFIX}/{path}", json=body, headers=bearer("*"))
            assert got.content == posted.content
            return got.json()

        yield ask, documents, cells


async def test_a_table_of_weekdays_by_month_is_asked_for_by_months():
    async with asking() as (ask, _, cells):
        plain = (await ask("chargingWeekdays"))["data"]
        assert (plain["from"], plain["to"], plain["asOf"]) == ("2026-10", "2026-11", LIVE)
        assert [slot["weekday"] for slot in plain["slots"]] == WEEKDAYS
        assert [slot["chargeCount"] for slot in plain["slots"]] == [1, 0, 0, 0, 0, 0, 2]
        assert (await ask("chargingWeekdays", months=2, endMonth="2026-11"))["data"] == plain
        assert cells.asked == 0
        far = (await ask("chargingWeekdays", months=13))["data"]
        assert (far["from"], far["total"], far["asOf"]) == ("2025-11", 78 + 13, STORED)


async def test_a_table_of_figures_by_day_is_asked_for_by_days():
    async with asking() as (ask, _, _):
        plain = (await ask("dailyIndex"))["data"]
        assert [(day["date"], day["energyKwh"]) for day in plain["days"]] == [
            ("2026-11-23", "1.000"),
            ("2026-11-24", "0.000"),
        ]
        assert plain["currency"] == "EUR"
        asked = (await ask("dailyIndex", days=1, endDate="2026-11-03", currency="USD"))["data"]
        assert (asked["currency"], asked["days"][0]["date"], asked["days"][0]["sessionCount"]) == (
            "USD",
            "2026-11-03",
            21,
        )
        past = (await ask("dailyIndex", days=40, endDate="2026-06-01"))["data"]["days"]
        assert (len(past), {day["sessionCount"] for day in past}) == (40, {0})


@pytest.mark.parametrize(
    ("path", "asked", "message"),
    [
        ("chargingWeekdays", {"months": 14}, "months: must be an integer from 1 to 13"),
        ("chargingWeekdays", {"endMonth": "2026-11-01"}, "endMonth: must be a month like 2026-11"),
        ("chargingWeekdays", {"endMonth": "2026-12"}, "endMonth: must be a month from 2025-11 to 2026-11, those kept"),
        (
            "chargingWeekdays",
            {"endMonth": "2025-11"},
            "months: begins before 2025-11, the first month that is kept",
        ),
        ("dailyIndex", {"days": 41}, "days: must be an integer from 1 to 40"),
        ("dailyIndex", {"endDate": "2026-11"}, "endDate: must be a date like 2026-11-24"),
        (
            "dailyIndex",
            {"endDate": "2026-11-25"},
            "endDate: must not be after the operator's current date, 2026-11-24",
        ),
        ("dailyIndex", {"endDate": "1969-12-31"}, "endDate: must not be before 1970-01-01"),
        ("dailyIndex", {"endDate": "1970-01-01"}, "endDate: the days asked for begin before 1970-01-01"),
        ("monthlyIndex", {"months": 26}, "months: must be an integer from 1 to 25"),
        ("monthlyIndex", {"endMonth": "1969-12"}, "endMonth: must not be before 1970-01"),
        ("monthlyIndex", {"endMonth": "1970-01"}, "endMonth: the months asked for begin before 1970-01"),
        (
            "monthlyIndex",
            {"endMonth": "2026-12"},
            "endMonth: must not be after the operator's current month, 2026-11",
        ),
        ("chargingDistribute", {"days": 93}, "days: must be an integer from 1 to 92"),
        (
            "chargingDistribute",
            {"endDate": "2026-11-25"},
            "endDate: must be a date from 2026-08-25 to 2026-11-24, those kept",
        ),
    ],
)
async def test_what_can_not_be_asked_for_is_an_error_that_says_why(path, asked, message):
    async with asking() as (ask, _, _):
        answer = await ask(path, **asked)
    assert answer["code"] == 40001
    assert answer["message"] == message


async def test_with_one_store_down_the_other_answers_for_an_added_table():
    async with asking() as (ask, documents, _):
        from_redis = {path: (await ask(path))["data"] for path in ("chargingWeekdays", "dailyIndex")}
        documents.down = True
        for path, expected in from_redis.items():
            found = (await ask(path))["data"]
            assert found == expected | {"asOf": STORED, "version": 700}
    async with asking() as (ask, _, cells):
        cells.down = True
        nobody = {path: (await ask(path, groupId="nobody's"))["data"] for path in from_redis}
    assert (nobody["chargingWeekdays"]["total"], len(nobody["chargingWeekdays"]["slots"])) == (0, 7)
    assert [day["sessionCount"] for day in nobody["dailyIndex"]["days"]] == [0, 0]


async def test_an_added_table_is_an_event_of_the_stream():
    documents, cells = world()

    async def nothing():
        return None

    stores = Stores(documents, cells, LocalWindow(), nothing)
    ending = asyncio.Event()
    app = create_app(settings(), stores, ending=ending, tables=ADDED)
    async with listening(app, lifespan="on") as base, httpx.AsyncClient() as client:

        async def events(count, **headers):
            """The first events of the stream: name, id, data."""
            url = f"{base}{PREFIX}/stream?operatorId=M1"
            async with client.stream("GET", url, headers=bearer("*") | headers) as answer:
                body = ""
                async for piece in answer.aiter_text():
                    body += piece
                    if body.count("event: ") >= count and body.endswith("\n\n"):
                        break
            found = [dict(line.split(": ", 1) for line in event.split("\n")) for event in body.split("\n\n")[1:-1]]
            return [(one["event"], one.get("id"), json.loads(one["data"])) for one in found]

        first = (await events(4))[:4]
        assert [name for name, _, _ in first] == [table.document for table in ADDED]
        assert first[2][2]["slots"][6] == {"slot": 6, "weekday": "Sunday", "chargeCount": 2}
        versions = [data["version"] for _, _, data in first]
        assert first[-1][1] == "-".join(map(str, versions))
        # An id of before there were these tables: they are sent, what it names is not.
        known = "-".join(map(str, versions[:2]))
        assert [name for name, _, _ in await events(2, **{"Last-Event-ID": known})][:2] == ["by-weekday", "daily"]
        ending.set()


def test_ids_of_events_name_the_versions_by_kind():
    kinds = [table.document for table in ADDED]
    assert event_id([5, 0, 7, 2**53]) == b"5-0-7-9007199254740992"
    assert read_event_id("5-0-7-8", kinds) == dict(zip(kinds, [5, 0, 7, 8], strict=True))
    assert read_event_id("5-6", kinds) == {"monthly": 5, "distribution": 6}
    for strange in ("", "x", "5-", "-5", "1-2-3-4-5", "5-6\n", "\u0665-6", "9" * 20):
        assert read_event_id(strange, kinds) == {}


def described(tables):
    return json.loads(document("0", RETENTION, tables))


async def test_added_tables_are_described_as_they_answer():
    openapi = described(ADDED)
    OpenAPI.model_validate(openapi)
    async with asking() as (ask, _, _):
        for table in ADDED:
            for operation in openapi["paths"][f"{PREFIX}/{table.path}"].values():
                content = operation["responses"]["200"]["content"]["application/json"]
                for said in (content["example"], await ask(table.path)):
                    assert models.Envelope[data_model(table)].model_validate(said).model_dump(by_alias=True) == said
    names = {
        path: {entry["name"] for entry in openapi["paths"][f"{PREFIX}/{path}"]["get"]["parameters"]}
        for path in ("chargingWeekdays", "dailyIndex")
    }
    assert names == {
        "chargingWeekdays": {"operatorId", "groupId", "months", "endMonth"},
        "dailyIndex": {"operatorId", "groupId", "days", "endDate", "currency"},
    }
    stream = openapi["paths"][f"{PREFIX}/stream"]["get"]
    assert "`by-weekday`: the `data` of the default answer of chargingWeekdays" in stream["description"]
    events = stream["responses"]["200"]["content"]["text/event-stream"]["itemSchema"]["oneOf"]
    assert [event["properties"]["event"]["const"] for event in events[:4]] == [table.document for table in ADDED]
    schemas = openapi["components"]["schemas"]
    assert schemas["ByWeekdaySlot"]["properties"]["weekday"]["enum"] == WEEKDAYS


def test_the_interface_without_them_does_not_know_them():
    assert not [path for path in described(TABLES)["paths"] if "Weekday" in path or "daily" in path]


ADD_A_FIGURE = """
from stream_app.domain import figures
minutes = figures.Sum(
    "minutesCharged", figures.Unit("min", 1), figures.SESSIONS, "Minutes of the counted sessions.", lambda row: 10, since=figures.VERSION + 1
)
figures.FIGURES = (*figures.FIGURES, minutes)
figures.VERSION += 1
import sys
from stream_app.api.asking.windows import Retention
from stream_app.api.description import models
from stream_app.api.description.reference import document
from stream_app.api.description.table_models import data_model
from stream_app.domain.tables import TABLES
sys.stdout.buffer.write(document("0", Retention(13, 92), TABLES))
"""


def test_an_added_figure_is_described():
    """In a process of its own, since the figures are read once."""
    done = subprocess.run([sys.executable, "-c", ADD_A_FIGURE], cwd=ROOT, check=True, capture_output=True, timeout=120)
    openapi = json.loads(done.stdout)
    row = openapi["components"]["schemas"]["MonthlyRow"]
    assert row["properties"]["minutesCharged"] == {
        "type": "string",
        "pattern": r"^[0-9]+\.[0-9]{1}$",
        "title": "minutesCharged",
        "description": "Minutes of the counted sessions.",
    }
    assert "minutesCharged" in row["required"]
    question = openapi["paths"][f"{PREFIX}/monthlyIndex"]["get"]["responses"]["200"]["content"]["application/json"]
    assert question["example"]["data"]["months"][0]["minutesCharged"] == "0.0"

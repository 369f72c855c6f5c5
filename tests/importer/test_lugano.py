"""A year of charging sessions through the shipped map: every row is taken, and the results are those of the CSV.

Results of the importer's records by the oracle against the computation from the CSV: neither shares code with the other, or with the importer.
"""

import csv
import io
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from stream_app.importer.mapping import Mapping
from stream_app.importer.read import CsvReader
from stream_app.importer.run import run
from stream_app.importer.send import Nowhere
from stream_app.sources.maps.map_load import load
from tests.oracle import Record
from tests.oracle import truth as oracle
from tests.support import lugano_year
from tests.support.lugano_truth import truth
from tests.support.lugano_year import ROWS, ROWS_UNKNOWN, ROWS_UNPAID, SESSIONS_BY_MONTH

MAP = Path(__file__).resolve().parents[2] / "config" / "maps" / "lugano.toml"
TOPICS = {
    "operators": "crm.operators",
    "customer_groups": "crm.customer-groups",
    "sessions": "charging.sessions",
    "payments": "charging.payments",
}


@pytest.fixture(scope="module")
def csv_path(tmp_path_factory):
    return lugano_year.write(tmp_path_factory.mktemp("lugano") / "sessions.csv")


@pytest.fixture(scope="module")
def lugano(csv_path):
    return truth(csv_path)


class Kept:
    """A sender that keeps what it is given."""

    def __init__(self):
        self.records = []

    async def send(self, records):
        self.records += records


async def imported(csv_path, sender):
    loaded = load(MAP.read_bytes())
    with CsvReader(csv_path, loaded.file) as reader:
        return await run(reader, Mapping(loaded, reader.header), sender)


async def test_every_row_is_taken(csv_path):
    tally = await imported(csv_path, Nowhere())
    assert (tally.read, tally.taken, tally.refused) == (ROWS, ROWS, {})
    assert {topic.name: count for topic, count in tally.records.items()} == {
        "operators": 1,
        "customer_groups": ROWS - ROWS_UNKNOWN,
        "sessions": ROWS,
        "payments": ROWS - ROWS_UNPAID,
    }


async def test_months_and_slots_are_those_of_the_csv(csv_path, lugano):
    sender = Kept()
    await imported(csv_path, sender)
    shown = oracle(
        Record(TOPICS[topic.name], 0, offset, offset, key, value)
        for offset, (topic, key, value) in enumerate(sender.records)
    )
    assert shown.bad == {}
    assert shown.operators["AIL"] == {
        "operatorId": "AIL",
        "name": "AIL Lugano",
        "timezone": "Europe/Zurich",
        "currency": "CHF",
    }
    assert [each["groupId"] for each in shown.groups("AIL")["groups"]] == lugano.groups
    months = {
        (group, figures.pop("month")): figures
        for group in lugano.groups
        for figures in shown.monthly_index("AIL", group, 13)["months"]
    }
    assert months == lugano.months
    for group in lugano.groups:
        last_days = shown.charging_distribute("AIL", group, 92)
        slots = [slot["chargeCount"] for slot in last_days["slots"]]
        assert sum(slots) > 0
        assert slots == lugano.slots(group, last_days["from"], last_days["to"])


def test_the_computation_adds_up(lugano):
    """Against what the year was made of, so that both sides can't be wrong in the same way."""
    everything = {month: figures for (group, month), figures in lugano.months.items() if group == "ALL"}
    by_month = {f"2017-{month:02d}": count for month, count in enumerate(SESSIONS_BY_MONTH, 1)} | {"2018-01": 0}
    assert {month: figures["sessionCount"] for month, figures in everything.items()} == by_month
    assert sum(figures["paymentCount"] for figures in everything.values()) == ROWS - ROWS_UNPAID
    assert sum(figures["anonymousSessionCount"] for figures in everything.values()) == ROWS_UNKNOWN
    assert sum(lugano.slots("ALL", date(2017, 1, 1), "2017-12-31")) == ROWS


def test_the_year_has_what_an_importer_may_trip_over(csv_path, lugano):
    """Each line is a trait of the utility's file, counted in the text by other means than the generator's."""
    text = csv_path.read_bytes().decode()
    assert text.count("\r\n") == text.count("\n") == ROWS + 1
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert {(row["BeginDate"][2], int(row["BeginDate"][3:5]) > 12) for row in rows} == {(".", False), ("/", True)}
    assert {row["UserOperatorName"] == "" for row in rows if row["UserId"] == "Sconosciuto"} == {True}
    assert {len(row["Debit"].partition(".")[2]) for row in rows} == {0, 1, 2}
    assert sum(row["Debit"] == "" for row in rows) == ROWS_UNPAID
    ids = [int(row["ChargeLogId"]) for row in rows]
    assert len({*ids}) == ROWS
    assert ids != sorted(ids)
    assert lugano.rows["start"].is_sorted()
    assert lugano.rows["end"].max().year == 2018
    assert (lugano.rows["end"] - lugano.rows["start"]).max() > timedelta(days=1)
    assert lugano.rows.drop_nulls("customer").select("customer", "start").is_duplicated().any()
    assert lugano.rows.filter(pl.col("group").is_not_null() & (pl.col("group") != pl.col("shown_group"))).height > 0


def test_the_year_is_the_same_at_every_run(csv_path, tmp_path):
    assert lugano_year.write(tmp_path / "again.csv").read_bytes() == csv_path.read_bytes()

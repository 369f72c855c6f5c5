"""The Lugano year through the shipped map: every row is taken, and what it says is what the CSV says.

Results of the importer's records by the oracle against the computation from the CSV: neither shares code with the other, or with the importer.
"""

from datetime import date
from pathlib import Path

import pytest

from stream_app.importer.map_load import load
from stream_app.importer.mapping import Mapping
from stream_app.importer.read import CsvReader
from stream_app.importer.run import run
from stream_app.importer.send import Nowhere
from tests.importer.lugano_truth import CSV, truth
from tests.oracle import Record
from tests.oracle import truth as oracle

MAP = Path(__file__).resolve().parents[2] / "config" / "maps" / "lugano.toml"
TOPICS = {
    "operators": "crm.operators",
    "customer_groups": "crm.customer-groups",
    "sessions": "charging.sessions",
    "payments": "charging.payments",
}


@pytest.fixture(scope="module")
def lugano():
    return truth()


class Kept:
    """A sender that keeps what it is given."""

    def __init__(self):
        self.records = []

    async def send(self, records):
        self.records += records


async def imported(sender):
    loaded = load(MAP.read_bytes())
    with CsvReader(CSV, loaded.file) as reader:
        return await run(reader, Mapping(loaded, reader.header), sender)


async def test_every_row_is_taken():
    tally = await imported(Nowhere())
    assert (tally.read, tally.taken, tally.refused) == (5729, 5729, {})
    assert tally.records == {"operators": 1, "customer_groups": 5194, "sessions": 5729, "payments": 5079}


async def test_months_and_slots_are_those_of_the_csv(lugano):
    sender = Kept()
    await imported(sender)
    shown = oracle(
        Record(TOPICS[topic], 0, offset, offset, key, value)
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
    """Against figures counted by eye and by other tools, so that both sides can't be wrong in the same way."""
    everything = [month for (group, _), month in lugano.months.items() if group == "ALL"]
    assert sum(month["sessionCount"] for month in everything) == 5729
    assert sum(month["paymentCount"] for month in everything) == 5729 - 650
    assert sum(month["anonymousSessionCount"] for month in everything) == 535
    assert sum(lugano.slots("ALL", date(2017, 1, 1), "2017-12-31")) == 5729
    assert lugano.months["ALL", "2017-01"]["sessionCount"] == 171

"""Records of the results topics: CloudEvents, the contract's keys and values, and keys that come back."""

import json
from datetime import UTC, date, datetime

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain.cells import CellKey, CountCell, FigureCell, Operator
from stream_app.domain.local_time import day_of
from stream_app.domain.report import figure_row
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS, filled
from stream_app.domain.tables import HALF_HOUR, MONTHLY, TABLES
from stream_app.sinks.topics import ResultRecords, read_key

RECORDS = ResultRecords("com.example.crm-stats", "/crm-stats")
OPERATOR = Operator(timezone="Europe/Berlin", currency="EUR")
AS_OF = 1_795_507_200_000
MONTH = CellKey("M1", "ALL", 202611)
DAY = CellKey("M1", "ALL", day_of(date(2026, 11, 24)))
CELL = FigureCell(
    1234,
    AS_OF,
    {"EUR": filled([123450, 1200, 0, 101, 40, 0], PAYMENT_SUMS.size), "JPY": PAYMENT_SUMS.zeros()},
    filled([120, 44, 0, 1450125], SESSION_SUMS.size),
)
COUNTS = CountCell(7, AS_OF, [1, *[0] * 46, 2])


def event_of(record):
    """The event as the public package reads it, which refuses a bad one."""
    message = KafkaMessage(headers=dict(record.headers), key=record.key, value=record.value or b"null")
    return from_binary(message, JSONFormat())


def test_a_monthly_cell_is_a_record_a_currency():
    euro, yen = RECORDS.of(MONTHLY, OPERATOR, MONTH, CELL, 3)
    assert (euro.key, yen.key) == (b"M1|ALL|2026-11|EUR", b"M1|ALL|2026-11|JPY")
    assert json.loads(euro.value) == figure_row(MONTHLY, CELL, 202611, "EUR") | {
        "operatorId": "M1",
        "groupId": "ALL",
        "currency": "EUR",
        "timezone": "Europe/Berlin",
        "partition": 3,
        "asOf": "2026-11-24T08:00:00.000Z",
        "version": 1234,
    }
    assert json.loads(yen.value)["sessionCount"] == 120
    assert [json.loads(record.value)["energyKwh"] for record in (euro, yen)] == ["1450.125", "1450.125"]


def test_a_monthly_record_is_the_contract_s():
    euro, _ = RECORDS.of(MONTHLY, OPERATOR, CellKey("M1", "ALL", 202606), CELL, 3)
    assert euro.value.decode() == (
        '{"month":"2026-06","receivedAmount":"1234.50","discountAmount":"12.00","refundedAmount":"0.00","paymentCount":101,'
        '"payingCustomers":40,"perCapitaPayment":"30.86","sessionCount":120,"chargingCustomers":44,"perCapitaFrequency":"2.73",'
        '"energyKwh":"1450.125","perCapitaEnergy":"32.957",'
        '"anonymousAmount":"0.00","anonymousSessionCount":0,"anonymousEnergyKwh":"0.000",'
        '"operatorId":"M1","groupId":"ALL","currency":"EUR","timezone":"Europe/Berlin",'
        '"partition":3,"asOf":"2026-11-24T08:00:00.000Z","version":1234}'
    )


def test_a_half_hour_cell():
    (record,) = RECORDS.of(HALF_HOUR, OPERATOR, DAY, COUNTS, 3)
    assert record.key == b"M1|ALL|2026-11-24"
    assert record.value.decode() == (
        '{"operatorId":"M1","groupId":"ALL","date":"2026-11-24","timezone":"Europe/Berlin",'
        f'"slots":[1,{"0," * 46}2],"total":3,"partition":3,"asOf":"2026-11-24T08:00:00.000Z","version":7}}'
    )


def test_as_of():
    record = RECORDS.as_of(3, AS_OF)
    assert (record.key, record.value) == (b"3", b'{"partition":3,"asOf":"2026-11-24T08:00:00.000Z"}')
    assert event_of(record).get_id() == "3@2026-11-24T08:00:00.000Z"


@pytest.mark.parametrize(
    ("record", "kind", "version"),
    [
        (RECORDS.of(MONTHLY, OPERATOR, CellKey("大|客", "{+}%", 202611), CELL, 3)[0], "monthly.v1", "1234"),
        (RECORDS.of(HALF_HOUR, OPERATOR, DAY, COUNTS, 3)[0], "half-hour.v1", "7"),
        (RECORDS.as_of(3, AS_OF), "as-of.v1", "2026-11-24T08:00:00.000Z"),
        (RECORDS.tombstones(MONTHLY, MONTH, CELL, 1235, AS_OF)[0], "monthly.v1", "1235"),
        (RECORDS.tombstones(HALF_HOUR, DAY, COUNTS, 8, AS_OF)[0], "half-hour.v1", "8"),
    ],
)
def test_headers_are_cloudevents(record, kind, version):
    event, key = event_of(record), record.key.decode()
    assert event.get_specversion() == "1.0"
    assert event.get_type() == f"com.example.crm-stats.{kind}"
    assert event.get_source() == "/crm-stats"
    assert event.get_id() == f"{key}@{version}"
    assert event.get_subject() == key
    assert event.get_time() == datetime.fromtimestamp(AS_OF / 1000, UTC)
    assert event.get_datacontenttype() == "application/json"
    assert event.get_dataschema().endswith(kind)
    assert event.get_data() == (None if record.value is None else json.loads(record.value))


def test_a_cell_that_left_retention_is_a_null_for_each_currency():
    records = RECORDS.tombstones(MONTHLY, MONTH, CELL, 1235, AS_OF)
    assert [(record.key, record.value) for record in records] == [
        (b"M1|ALL|2026-11|EUR", None),
        (b"M1|ALL|2026-11|JPY", None),
    ]
    (record,) = RECORDS.tombstones(HALF_HOUR, DAY, COUNTS, 8, AS_OF)
    assert (record.key, record.value) == (b"M1|ALL|2026-11-24", None)


IDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=20) | st.text(
    "%|{}+257BCD", min_size=1
)


@pytest.mark.parametrize(("table", "cell", "currencies"), [(MONTHLY, CELL, ["EUR", "JPY"]), (HALF_HOUR, COUNTS, [""])])
@given(IDS, IDS, st.dates(date(1970, 1, 1)))
def test_keys_come_back(table, cell, currencies, operator, group, when):
    key = CellKey(operator, group, table.period.of_day(day_of(when)))
    for records in (RECORDS.of(table, OPERATOR, key, cell, 3), RECORDS.tombstones(table, key, cell, 9, AS_OF)):
        assert [read_key(table, record.key) for record in records] == [(key, currency) for currency in currencies]


def test_each_table_has_a_topic_of_its_own():
    assert len({table.topic for table in TABLES}) == len(TABLES)

"""Records of the results topics: CloudEvents, the contract's keys and values, and keys that come back."""

import json
from datetime import UTC, date, datetime

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain.cells import HalfHour, HalfHourKey, Monthly, MonthlyKey, Operator
from stream_app.domain.local_time import day_of
from stream_app.domain.report import monthly_row
from stream_app.sinks.topics import ResultRecords, half_hour_key_of, monthly_key_of

RECORDS = ResultRecords("com.example.crm-stats", "/crm-stats")
OPERATOR = Operator(timezone="Europe/Berlin", currency="EUR")
AS_OF = 1_795_507_200_000
DAY = day_of(date(2026, 11, 24))
CELL = Monthly(1234, AS_OF, {"EUR": [123450, 1200, 0, 101, 40, 0], "JPY": [0] * 6}, [120, 44, 0])


def event_of(record):
    """The event as the public package reads it, which refuses a bad one."""
    message = KafkaMessage(headers=dict(record.headers), key=record.key, value=record.value or b"null")
    return from_binary(message, JSONFormat())


def test_a_monthly_cell_is_a_record_a_currency():
    euro, yen = RECORDS.monthly(OPERATOR, MonthlyKey("M1", "ALL", 202611), CELL, 3)
    assert (euro.key, yen.key) == (b"M1|ALL|2026-11|EUR", b"M1|ALL|2026-11|JPY")
    assert json.loads(euro.value) == monthly_row(CELL, 202611, "EUR") | {
        "operatorId": "M1",
        "groupId": "ALL",
        "currency": "EUR",
        "timezone": "Europe/Berlin",
        "partition": 3,
        "asOf": "2026-11-24T08:00:00.000Z",
        "version": 1234,
    }
    assert json.loads(yen.value)["sessionCount"] == 120


def test_a_half_hour_cell():
    record = RECORDS.half_hour(OPERATOR, HalfHourKey("M1", "ALL", DAY), HalfHour(7, AS_OF, [1, *[0] * 46, 2]), 3)
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
        (RECORDS.monthly(OPERATOR, MonthlyKey("大|客", "{+}%", 202611), CELL, 3)[0], "monthly.v1", "1234"),
        (RECORDS.half_hour(OPERATOR, HalfHourKey("M1", "ALL", DAY), HalfHour(7, AS_OF), 3), "half-hour.v1", "7"),
        (RECORDS.as_of(3, AS_OF), "as-of.v1", "2026-11-24T08:00:00.000Z"),
        (RECORDS.monthly_tombstones(MonthlyKey("M1", "ALL", 202611), ["EUR"], 1235, AS_OF)[0], "monthly.v1", "1235"),
        (RECORDS.half_hour_tombstone(HalfHourKey("M1", "ALL", DAY), 8, AS_OF), "half-hour.v1", "8"),
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
    records = RECORDS.monthly_tombstones(MonthlyKey("M1", "ALL", 202611), CELL.money, 1235, AS_OF)
    assert [(record.key, record.value) for record in records] == [
        (b"M1|ALL|2026-11|EUR", None),
        (b"M1|ALL|2026-11|JPY", None),
    ]
    record = RECORDS.half_hour_tombstone(HalfHourKey("M1", "ALL", DAY), 8, AS_OF)
    assert (record.key, record.value) == (b"M1|ALL|2026-11-24", None)


IDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=20) | st.text(
    "%|{}+257BCD", min_size=1
)


@given(IDS, IDS, st.integers(2000, 2100), st.integers(1, 12))
def test_keys_come_back(operator, group, year, month):
    key = MonthlyKey(operator, group, year * 100 + month)
    (record,) = RECORDS.monthly_tombstones(key, ["EUR"], 1, AS_OF)
    assert monthly_key_of(record.key) == (key, "EUR")
    day = HalfHourKey(operator, group, day_of(date(year, month, 1)))
    assert half_hour_key_of(RECORDS.half_hour_tombstone(day, 1, AS_OF).key) == day

"""The JSON Schemas of results and dead letters against what the writers make."""

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, ValidationError

from docs.contract_files import FOLDER
from stream_app.contracts.results import AS_OF_KEY, LETTER_KEY, headers_schema, key_schema, record_schema
from stream_app.domain.cells import CellKey, CountCell, FigureCell, Operator
from stream_app.domain.errors import Reason, Rejection
from stream_app.domain.local_time import day_of
from stream_app.domain.money import DIGITS
from stream_app.domain.report import count_record
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS
from stream_app.domain.tables import HALF_HOUR, MONTHLY, TABLES
from stream_app.sinks.dead_letters import dead_letter, dropped, read_dead_letter, redriven
from stream_app.sinks.topics import ResultRecords
from tests.support.added_tables import WEEKDAY

RECORDS = ResultRecords("com.example.crm-stats", "/crm-stats")
OPERATOR = Operator(timezone="Europe/Berlin", currency="EUR")
AS_OF = 1_795_507_200_000
IDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=20) | st.text(
    "%|{}+257BCD", min_size=1
)
SUMS = st.integers(0, 2**70)


def schema(name):
    """The validator of a file of docs/contracts."""
    return Draft7Validator(
        json.loads((FOLDER / f"{name}.json").read_text()), format_checker=Draft7Validator.FORMAT_CHECKER
    )


MONTH, HALF_HOURS, AS_OFS = (
    schema("crm-stats.monthly.v1"),
    schema("crm-stats.half-hour.v1"),
    schema("crm-stats.as-of.v1"),
)
LETTERS = schema("crm-stats.dead-letters")
KEYS = {table.name: Draft7Validator(key_schema(table)) for table in TABLES}


def headers_of(record):
    return {name: None if value is None else value.decode() for name, value in record.headers}


def check_headers(record, kind):
    """All headers are described, and no others are required."""
    validator, headers = Draft7Validator(headers_schema(kind, traced=False)), headers_of(record)
    validator.validate(headers)
    assert set(headers) == set(validator.schema["properties"]) == set(validator.schema["required"])
    traced = Draft7Validator(headers_schema(kind))
    own = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "tracestate": "a=1"}
    traced.validate(headers)
    traced.validate(headers | own)
    assert not traced.is_valid(headers | {"traceparent": "nonsense"})
    assert set(traced.schema["properties"]) == set(headers) | set(own)


def cell(payments, sessions):
    """A cell with a currency for each list of sums; customers are no more than events, and parts than wholes."""
    return FigureCell(7, AS_OF, payments, sessions)


CELLS = st.builds(
    cell,
    st.dictionaries(
        st.sampled_from(sorted(DIGITS)), SUMS.map(lambda sum_: [sum_] * PAYMENT_SUMS.size), min_size=1, max_size=3
    ),
    SUMS.map(lambda sum_: [sum_] * SESSION_SUMS.size),
)


@given(IDS, IDS, st.dates(date(1970, 1, 1)), CELLS)
def test_records_of_key_figures_are_valid(operator, group, day, figures):
    key = CellKey(operator, group, MONTHLY.period.of_day(day_of(day)))
    for record in RECORDS.of(MONTHLY, OPERATOR, key, figures, 3):
        value = json.loads(record.value)
        MONTH.validate(value)
        assert list(value) == MONTH.schema["required"] == list(MONTH.schema["properties"])
        KEYS["monthly"].validate(record.key.decode())
        check_headers(record, MONTHLY.topic)


@given(IDS, IDS, st.dates(date(1970, 1, 1)), st.lists(SUMS, min_size=48, max_size=48))
def test_records_of_counts_are_valid(operator, group, day, slots):
    key = CellKey(operator, group, day_of(day))
    (record,) = RECORDS.of(HALF_HOUR, OPERATOR, key, CountCell(7, AS_OF, slots), 3)
    value = json.loads(record.value)
    HALF_HOURS.validate(value)
    assert list(value) == HALF_HOURS.schema["required"] == list(HALF_HOURS.schema["properties"])
    KEYS["half_hour"].validate(record.key.decode())
    check_headers(record, HALF_HOUR.topic)


def test_as_of_is_valid():
    record = RECORDS.as_of(3, AS_OF)
    value = json.loads(record.value)
    AS_OFS.validate(value)
    assert list(value) == AS_OFS.schema["required"]
    Draft7Validator(AS_OF_KEY).validate(record.key.decode())
    check_headers(record, "as-of.v1")


def test_tombstones_have_the_headers_and_keys_of_records():
    gone = CellKey("M1", "ALL", 202611)
    (record,) = RECORDS.tombstones(MONTHLY, gone, FigureCell(7, AS_OF, {"EUR": PAYMENT_SUMS.zeros()}), 8, AS_OF)
    KEYS["monthly"].validate(record.key.decode())
    check_headers(record, MONTHLY.topic)


def test_the_dataschema_of_a_record_is_the_id_of_its_schema():
    (record,) = RECORDS.of(HALF_HOUR, OPERATOR, CellKey("M1", "ALL", 20_000), CountCell(7, AS_OF, [0] * 48), 3)
    assert headers_of(record)["ce_dataschema"] == HALF_HOURS.schema["$id"]
    assert headers_of(RECORDS.as_of(3, AS_OF))["ce_dataschema"] == AS_OFS.schema["$id"]


@pytest.mark.parametrize("field", MONTH.schema["required"])
def test_a_record_that_lacks_a_field_is_not_valid(field):
    key = CellKey("M1", "ALL", 202611)
    (record,) = RECORDS.of(MONTHLY, OPERATOR, key, cell({"EUR": PAYMENT_SUMS.zeros()}, SESSION_SUMS.zeros()), 3)
    value = json.loads(record.value)
    del value[field]
    with pytest.raises(ValidationError, match=field):
        MONTH.validate(value)


@pytest.mark.parametrize(
    "key",
    [
        "M1|ALL|2026-11",
        "M1|ALL|2026-13|EUR",
        "M1|ALL|2026-11|eur",
        "M1||2026-11|EUR",
        "M{1|ALL|2026-11|EUR",
        "x|M1|ALL|2026-11|EUR",
    ],
)
def test_what_is_no_key_is_not_valid(key):
    assert not KEYS["monthly"].is_valid(key)


def test_a_table_that_is_added_is_described():
    key = CellKey("M1", "ALL", WEEKDAY.period.of_day(20_000))
    value = count_record(WEEKDAY, OPERATOR, key, CountCell(7, AS_OF, [1] * WEEKDAY.width), 3)
    made = Draft7Validator(record_schema(WEEKDAY))
    made.validate(value)
    assert list(value) == made.schema["required"]
    assert not made.is_valid(value | {"slots": [*value["slots"], 0]})


@pytest.mark.parametrize("reason", Reason)
def test_dead_letters_are_valid_whatever_became_of_them(reason):
    for key, value in ((None, None), (b"k" * (1 << 20), b"x" * (3 << 20)), (b"", b"{")):
        record = dead_letter("charging.sessions", 2, 17, key, value, Rejection(reason, "why"), AS_OF)
        Draft7Validator(LETTER_KEY).validate(record.key.decode())
        sent = redriven(record.headers, AS_OF, "charging.sessions/0/8", edited=True)
        again = redriven(record.headers, AS_OF, "charging.sessions/0/8", edited=False)
        for headers in (record.headers, sent, again, dropped(record.headers, AS_OF)):
            found = headers_of(record._replace(headers=headers))
            LETTERS.validate(found)
            assert set(found) <= set(LETTERS.schema["properties"])


@pytest.mark.parametrize("name", [name for name in LETTERS.schema["required"] if name != "source-key"])
def test_what_lacks_a_required_header_is_no_letter_to_anybody(name):
    record = dead_letter("t", 0, 0, b"k", b"x", Rejection(Reason.NOT_JSON, ""), AS_OF)
    headers = [header for header in record.headers if header[0] != name]
    assert read_dead_letter(record.value, headers) is None
    assert not LETTERS.is_valid(headers_of(record._replace(headers=headers)))

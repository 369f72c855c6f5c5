"""Rows to records."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.importer.mapping import Mapping
from stream_app.sources import decode
from stream_app.sources.maps.map_file import MapError
from stream_app.sources.maps.map_load import load
from tests.importer.maps import HEADER, MAP, ROW, mapped, refusal, values


def accepted(topic, value):
    """Whether ingest takes a record (in a time when nothing lies in the future)."""
    decoded = decode(topic, [value], [0], [0], 0, now_ms=253_000_000_000_000, ocpi_operators={})
    return not decoded.rejections


def test_a_row_becomes_a_session_a_payment_and_groups():
    assert values() == {
        "customer_groups": {
            "operator_id": "M1",
            "customer_id": "c-9",
            "group_ids": ["vip", "fleet"],
            "version": 1793690940000,
        },
        "sessions": {
            "session_id": "s-1",
            "operator_id": "M1",
            "customer_id": "c-9",
            "status": "COMPLETED",
            "started_at": "2026-11-03T08:29:00+01:00",
            "ended_at": "2026-11-03T09:11:00+01:00",
            "energy_kwh": "12.40",
            "version": 0,
        },
        "payments": {
            "payment_id": "s-1",
            "session_id": "s-1",
            "operator_id": "M1",
            "customer_id": "c-9",
            "status": "SUCCEEDED",
            "amount_received": 1250,
            "amount_discount": 150,
            "amount_refunded": 0,
            "currency": "CHF",
            "paid_at": "2026-11-03T09:11:00+01:00",
            "version": 0,
        },
    }


def test_records_are_keyed_by_operator_and_the_same_each_time():
    first, again = mapped(), mapped()
    assert first == again
    assert {record.key for record in first} == {b"M1"}


@pytest.mark.parametrize("who", ["-", "unknown", "", "  "])
def test_an_anonymous_row_has_no_customer_and_no_groups(who):
    made = values({"who": who})
    assert set(made) == {"sessions", "payments"}
    assert "customer_id" not in made["sessions"]
    assert "customer_id" not in made["payments"]


def test_no_amount_is_no_payment_but_zero_is_one():
    assert set(values({"paid": " "})) == {"customer_groups", "sessions"}
    assert values({"paid": "0", "off": ""})["payments"]["amount_received"] == 0


def test_an_empty_group_cell_says_nothing_about_groups():
    assert set(values({"club": ""})) == {"sessions", "payments"}


def test_without_separator_a_cell_is_one_group_and_doubled_names_count_once():
    one = MAP.replace(', separator = ";"', "")
    assert values({"club": "vip; fleet"}, one)["customer_groups"]["group_ids"] == ["vip; fleet"]
    assert values({"club": "a;b;a;;"})["customer_groups"]["group_ids"] == ["a", "b"]


def test_the_later_row_has_the_higher_group_version():
    early = values({"when": "03.11.2026 08:29"})["customer_groups"]["version"]
    late = values({"when": "03.11.2026 08:30"})["customer_groups"]["version"]
    assert late - early == 60_000


@pytest.mark.parametrize(
    ("when", "instant"),
    [
        ("01.07.2026 00:00", "2026-07-01T00:00:00+02:00"),
        ("2026-07-01T00:00:00Z", "2026-07-01T00:00:00+00:00"),  # an offset of its own counts, not the zone
        ("2026-07-01 00:00", "2026-07-01T00:00:00+02:00"),
        ("25.10.2026 02:30", "2026-10-25T02:30:00+02:00"),  # twice on that day: the earlier one
        ("29.03.2026 02:30", "2026-03-29T02:30:00+01:00"),  # never on that day: shown as 03:30
    ],
)
def test_local_times(when, instant):
    assert values({"when": when, "until": ""} | {"paid": ""})["sessions"]["started_at"] == instant


def test_an_end_in_the_repeated_hour_is_the_one_after_the_start():
    made = values({"when": "25.10.2026 02:50", "until": "25.10.2026 02:10"})
    assert made["sessions"]["started_at"] == "2026-10-25T02:50:00+02:00"
    assert made["sessions"]["ended_at"] == made["payments"]["paid_at"] == "2026-10-25T02:10:00+01:00"


def test_an_end_before_the_start_is_taken_as_it_stands():
    made = values({"when": "03.11.2026 08:29", "until": "03.11.2026 08:10"})
    assert made["sessions"]["ended_at"] == "2026-11-03T08:10:00+01:00"


def test_the_first_format_that_fits_counts():
    american = MAP.replace('"%d.%m.%Y %H:%M"', '"%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M"')
    times = {"until": "", "paid": ""}
    assert values({"when": "02/03/2026 10:00"} | times, american)["sessions"]["started_at"][:10] == "2026-02-03"
    assert values({"when": "13/03/2026 10:00"} | times, american)["sessions"]["started_at"][:10] == "2026-03-13"


@pytest.mark.parametrize("form", ["epoch_s", "epoch_ms"])
def test_epoch_times(form):
    number = {"epoch_s": "1793690940", "epoch_ms": "1793690940000"}[form]
    made = values({"when": number, "until": ""} | {"paid": ""}, MAP.replace('"iso8601"', f'"{form}"'))
    assert made["sessions"]["started_at"] == "2026-11-03T07:29:00+00:00"


def test_date_and_time_in_two_columns():
    two = MAP.replace('{ column = "when" }', '{ date = "when", time = "off" }')
    made = values({"when": "03.11.2026", "off": "08:29", "paid": ""}, two)
    assert made["sessions"]["started_at"] == "2026-11-03T08:29:00+01:00"


def zoned(form, zones=""):
    """MAP with times of this format, which hold their zone."""
    return MAP.replace('["%d.%m.%Y %H:%M", "iso8601"]', f'["{form}"]\nzones = {{ {zones} }}')


@pytest.mark.parametrize(
    ("when", "zones", "instant"),
    [
        ("Wed, 25 Apr 2018 11:08:04 GMT", "", "2018-04-25T11:08:04+00:00"),
        ("Tue, 01 May 2018 06:30:00 GMT", "", "2018-05-01T06:30:00+00:00"),
        ("Tue, 01 May 2018 06:30:00 UTC", 'CET = "+01:00"', "2018-05-01T06:30:00+00:00"),
        ("Sun, 06 Nov 2016 01:30:00 PST", 'PST = "-08:00", PDT = "-07:00"', "2016-11-06T01:30:00-08:00"),
        ("Sun, 06 Nov 2016 01:30:00 PDT", 'PST = "-08:00", PDT = "-07:00"', "2016-11-06T01:30:00-07:00"),
        ("Sun, 06 Nov 2016 12:30:00 Pacific", 'Pacific = "America/Los_Angeles"', "2016-11-06T12:30:00-08:00"),
    ],
)
@pytest.mark.parametrize("machine", ["America/Los_Angeles", "Europe/London", "UTC"])
def test_the_name_of_a_zone_means_the_same_on_each_machine(monkeypatch, machine, when, zones, instant):
    monkeypatch.setenv("TZ", machine)
    time.tzset()
    try:
        made = values({"when": when, "until": "", "paid": ""}, zoned("%a, %d %b %Y %H:%M:%S %Z", zones))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert made["sessions"]["started_at"] == instant


@pytest.mark.parametrize("name", ["PST", "EST", "CET", "Local", *time.tzname])
def test_the_name_of_a_zone_that_the_map_does_not_know_is_refused(name):
    if name not in ("UTC", "GMT"):
        changes = {"when": f"06.11.2016 01:30 {name}"}
        assert refusal(changes, zoned("%d.%m.%Y %H:%M %Z")) == ("not a time", "session.started_at")


@pytest.mark.parametrize(
    ("when", "zone", "instant"),
    [
        ("06.11.2016 01:30", "PDT", "2016-11-06T01:30:00-07:00"),
        ("06.11.2016 01:30", "PST", "2016-11-06T01:30:00-08:00"),
        ("06.11.2016 01:30", "GMT", "2016-11-06T01:30:00+00:00"),
        ("06.11.2016 01:30", "-0730", "2016-11-06T01:30:00-07:30"),
        ("06.11.2016 01:30", "America/Los_Angeles", "2016-11-06T01:30:00-07:00"),
        ("06.11.2016 01:30", "", "2016-11-06T01:30:00+01:00"),  # the map's own
        ("2016-11-06T01:30:00+05:00", "PST", "2016-11-06T01:30:00+05:00"),
    ],
)
def test_a_column_may_name_the_zone_of_a_time(when, zone, instant):
    by_column = MAP.replace('started_at = { column = "when"', 'started_at = { column = "when", zone = "club"').replace(
        "[row]", 'zones = { PST = "-08:00", PDT = "-07:00" }\n[row]'
    )
    by_column = by_column[: by_column.index("[groups]")]
    made = values({"when": when, "until": "", "paid": "", "club": zone}, by_column)
    assert made["sessions"]["started_at"] == instant
    assert refusal({"when": "06.11.2016 01:30", "club": "EST"}, by_column) == ("not a time", "session.started_at")


def test_what_the_map_lists_as_nothing_is_an_empty_cell():
    nothing = '[file]\nnothing = ["NA", "n/a", "-"]\n' + MAP
    cells = {"until": "NA", "kwh": "n/a", "paid": " - ", "who": "NA", "club": "NA"}
    assert values(cells, nothing) == values({"until": "", "kwh": "", "paid": "", "who": "", "club": ""})
    assert refusal({"when": "NA"}, nothing) == ("empty cell", "session.started_at")
    assert values({"who": "na"}, nothing)["sessions"]["customer_id"] == "na"


@pytest.mark.parametrize("kwh", ["12.40", "NA", "much", "1 234,5"])
def test_a_session_counts_without_an_energy_that_cannot_be_used(kwh):
    mapping = Mapping(load(MAP.encode()), HEADER)
    (_, session, _) = mapping.records([(ROW | {"kwh": kwh})[name] for name in HEADER])
    assert "energy_kwh" not in json.loads(session.value)
    assert mapping.left_out == [("not a number", "session.energy_kwh", repr(kwh))]
    mapping.records([ROW[name] for name in HEADER])
    assert mapping.left_out == []


def test_groups_of_an_energy_are_read_by_its_sign():
    grouped = MAP.replace('decimal = ","', 'decimal = ",", thousands = " "')
    assert values({"kwh": "1\u00a0234,5"}, grouped)["sessions"]["energy_kwh"] == "1234.5"


@pytest.mark.parametrize(
    ("currency", "money", "text", "minor"),
    [
        ("CHF", "", "0.1", 10),
        ("CHF", "", "12.3400", 1234),
        ("CHF", "", "0.29", 29),  # 28.999… as a float
        ("JPY", "", "1200", 1200),
        ("KWD", "", "1.234", 1234),
        ("EUR", 'decimal = ","\nthousands = "."', "1.234,50", 123450),
        ("EUR", 'decimal = ","\nthousands = " "', "1\u202f234,50\u00a0€", 123450),
        ("CHF", 'thousands = "’"', "1’234.5", 123450),  # noqa: RUF001
        ("CHF", 'more_digits = "half-up"', "0.125", 13),
        ("CHF", 'more_digits = "half-up"', "0.1249", 12),
        ("CHF", "", "90071992547409.91", 2**53 - 1),
    ],
)
def test_money_is_exact(currency, money, text, minor):
    map_text = MAP.replace('"CHF"', f'"{currency}"') + f"[money]\n{money}\n"
    assert values({"paid": text, "off": ""}, map_text)["payments"]["amount_received"] == minor


@pytest.mark.parametrize(
    ("changes", "reason", "key"),
    [
        ({"id": ""}, "empty cell", "session.session_id"),
        ({"id": "x" * 201}, "not an id", "session.session_id"),
        ({"id": "a\tb"}, "not an id", "session.session_id"),
        ({"who": "caf\udce9"}, "bytes that are not of the encoding", "row.customer_id"),
        ({"when": ""}, "empty cell", "session.started_at"),
        ({"when": "31.02.2026 10:00"}, "not a time", "session.started_at"),
        ({"until": "soon"}, "not a time", "session.ended_at"),
        ({"until": ""}, "empty cell", "payment.paid_at"),
        ({"when": "31.12.1969 10:00"}, "out of range", "session.started_at"),
        ({"state": "paused"}, "unknown status", "session.status"),
        ({"paid": "12,50"}, "not a number", "payment.amount_received"),
        ({"paid": "1e3"}, "not a number", "payment.amount_received"),
        ({"paid": "NaN"}, "not a number", "payment.amount_received"),
        ({"paid": "٣"}, "not a number", "payment.amount_received"),
        ({"paid": "-1"}, "out of range", "payment.amount_received"),
        ({"paid": "90071992547409.92"}, "out of range", "payment.amount_received"),
        ({"paid": "9" * 500}, "out of range", "payment.amount_received"),
        ({"paid": "1.005"}, "more digits than the currency has", "payment.amount_received"),
        ({"back": "12.51"}, "out of range", "payment.amount_refunded"),
        ({"off": "x"}, "not a number", "payment.amount_discount"),
        ({"paid": "€ 12.50"}, "sign of another currency", "payment.amount_received"),
        ({"club": "vip;ALL"}, "the group ALL", "groups.group_ids"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_whole(changes, reason, key):
    assert refusal(changes) == (reason, key)


def test_an_unknown_currency_of_the_file_is_refused():
    by_column = MAP.replace('currency = { value = "CHF" }', 'currency = { column = "club" }')
    assert refusal({"club": "XXQ"}, by_column) == ("unknown currency", "payment.currency")


def test_a_short_row_is_refused():
    result = Mapping(load(MAP.encode()), HEADER).records(["s-1"])
    assert result == ("not as many cells as the header", "", "1 instead of 10")


def test_doubled_columns_that_the_map_does_not_name_do_no_harm():
    header = [*HEADER, "note", "note"]
    records = Mapping(load(MAP.encode()), header).records([*(ROW[name] for name in HEADER), "a", "b"])
    assert isinstance(records, list)
    assert records == mapped()


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (HEADER[:-1], "`groups.group_ids` names the column 'club', which the file does not have; it has id, who"),
        ([*HEADER, "club"], "`groups.group_ids` names the column 'club', which the file has more than once"),
    ],
)
def test_a_header_without_a_named_column_is_an_error_of_the_map(header, sentence):
    with pytest.raises(MapError) as error:
        Mapping(load(MAP.encode()), header)
    assert str(error.value).startswith(sentence)


def test_operators_are_announced():
    text = MAP + '[[operators]]\noperator_id = "M1"\ntimezone = "Europe/Zurich"\ncurrency = "CHF"\n'
    (record,) = Mapping(load(text.encode()), HEADER).announcements()
    assert (record.topic.name, record.key) == ("operators", b"M1")
    assert json.loads(record.value) == {
        "operator_id": "M1",
        "timezone": "Europe/Zurich",
        "currency": "CHF",
        "version": 0,
    }
    assert accepted(record.topic, record.value)


ODD = st.text(st.characters(), max_size=12) | st.text(st.characters(), min_size=195, max_size=205)
CELLS = st.fixed_dictionaries(
    {
        "id": ODD,
        "who": ODD,
        "when": st.sampled_from([ROW["when"], "2026-11-03T08:29:00.123456+05:30", "1960-01-01", "9999-12-31T23:59"])
        | ODD,
        "until": st.sampled_from([ROW["until"], "0001-01-01", ""]) | ODD,
        "paid": st.decimals(-1, 2**47, places=2).map(str) | ODD,
        "off": st.decimals(0, 2**47, places=2).map(str) | st.just(""),
        "back": st.decimals(0, 9, places=2).map(str) | st.just(""),
        "state": st.sampled_from(["done", "void", "ACTIVE"]),
        "kwh": st.sampled_from(["", "1", "0,000001"]),
        "club": ODD | st.sampled_from(["", "ALL", "大客户;a|b", ";"]),
    }
)


@given(CELLS)
def test_whatever_is_taken_ingest_takes_too(cells):
    """No cell makes an exception, and no record of an import is a dead letter but by its time."""
    records = mapped(cells)
    if isinstance(records, list):
        for record in records:
            assert accepted(record.topic, record.value), record

"""The documents are the contract's: names, order, forms, defaults."""

from datetime import date, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain.cells import Group, HalfHour, Monthly, Operator
from stream_app.domain.local_time import day_of, month_of_day
from stream_app.domain.report import (
    currencies_of,
    default_days,
    default_months,
    distribution_data,
    groups_data,
    has_documents,
    iso_ms,
    monthly_data,
    monthly_row,
    operator_entry,
    shown_groups,
    sum_slots,
)

OPERATOR = Operator(timezone="Europe/Berlin", currency="EUR", today=day_of(date(2026, 11, 24)))


def test_the_monthly_answer_is_the_contract_s_example():
    cells = {202606: Monthly(1234, 0, {"EUR": [123450, 1200, 0, 101, 40, 0]}, [120, 44, 0])}
    found = monthly_data("M1", "ALL", OPERATOR, cells, [202606], "EUR", 3, 1795507200000, 1234)
    assert orjson.dumps(found).decode() == (
        '{"operatorId":"M1","groupId":"ALL","timezone":"Europe/Berlin","currency":"EUR","currencies":["EUR"],'
        '"partition":3,"asOf":"2026-11-24T08:00:00.000Z","version":1234,'
        '"months":[{"month":"2026-06","receivedAmount":"1234.50","discountAmount":"12.00","refundedAmount":"0.00","paymentCount":101,'
        '"payingCustomers":40,"perCapitaPayment":"30.86","sessionCount":120,"chargingCustomers":44,"perCapitaFrequency":"2.73",'
        '"anonymousAmount":"0.00","anonymousSessionCount":0}]}'
    )


def test_the_distribution_answer_has_every_slot():
    counts = [12, *[0] * 46, 5]
    found = distribution_data("M1", "ALL", OPERATOR, counts, default_days(OPERATOR), 3, 1795507200000, 1234)
    assert orjson.dumps(found | {"slots": found["slots"][:1]}).decode() == (
        '{"operatorId":"M1","groupId":"ALL","timezone":"Europe/Berlin","partition":3,"asOf":"2026-11-24T08:00:00.000Z","version":1234,'
        '"from":"2026-10-26","to":"2026-11-24","total":17,"slots":[{"slot":0,"start":"00:00","end":"00:30","chargeCount":12}]}'
    )
    assert [slot["slot"] for slot in found["slots"]] == list(range(48))
    assert found["slots"][1] == {"slot": 1, "start": "00:30", "end": "01:00", "chargeCount": 0}
    assert found["slots"][47] == {"slot": 47, "start": "23:30", "end": "24:00", "chargeCount": 5}


def test_received_is_after_refunds_and_averages_leave_the_anonymous_out():
    row = monthly_row(Monthly(1, 1, {"EUR": [1000, 0, 100, 4, 2, 399]}, [7, 2, 4]), 202611, "EUR")
    assert row["receivedAmount"] == "9.00"
    assert row["refundedAmount"] == "1.00"
    assert row["anonymousAmount"] == "3.99"
    assert row["perCapitaPayment"] == "2.51"  # (900 - 399) / 2 = 250.5
    assert row["perCapitaFrequency"] == "1.50"


@pytest.mark.parametrize(("currency", "zero"), [("EUR", "0.00"), ("JPY", "0"), ("KWD", "0.000")])
def test_no_data_is_zeros_with_the_digits_of_the_currency(currency, zero):
    row = monthly_row(None, 202601, currency)
    assert row["month"] == "2026-01"
    assert {
        row[name]
        for name in ("receivedAmount", "discountAmount", "refundedAmount", "perCapitaPayment", "anonymousAmount")
    } == {zero}
    assert row["perCapitaFrequency"] == "0.00"
    assert row["paymentCount"] == row["sessionCount"] == row["payingCustomers"] == row["chargingCustomers"] == 0


def test_sessions_count_in_a_currency_without_an_entry():
    row = monthly_row(Monthly(1, 1, {"EUR": [1, 0, 0, 1, 1, 0]}, [5, 2, 1]), 202611, "USD")
    assert (row["sessionCount"], row["chargingCustomers"], row["perCapitaFrequency"], row["receivedAmount"]) == (
        5,
        2,
        "2.00",
        "0.00",
    )


def test_currencies_are_those_with_a_payment_and_the_operator_s():
    cell = Monthly(1, 1, {"USD": [0, 0, 0, 1, 0, 0], "SEK": [0] * 6}, [0, 0, 0])
    assert currencies_of([cell, None], "EUR") == ["EUR", "USD"]


def test_the_default_windows_end_today():
    assert default_months(OPERATOR) == [202606, 202607, 202608, 202609, 202610, 202611]
    assert len(default_days(OPERATOR)) == 30
    assert default_days(OPERATOR)[-1] == OPERATOR.today


def test_groups_are_all_then_by_code_points_and_only_those_that_count_or_have_a_name():
    groups = {
        "😀": Group(name="later than 大 by code point"),
        "大": Group(months={202611: True}),
        "B": Group(months={202611: False, 202510: True}),
        "a": Group(name="大客户"),
        "zeros": Group(months={202611: False}),
        "ALL": Group(months={202611: True}),
    }
    found = groups_data(shown_groups(groups))["groups"]
    assert [group["groupId"] for group in found] == ["ALL", "B", "a", "大", "😀"]
    assert found[0] == {"groupId": "ALL", "name": None}
    assert found[2] == {"groupId": "a", "name": "大客户"}
    assert groups_data({})["groups"] == [{"groupId": "ALL", "name": None}]


def test_a_group_of_zeros_has_documents_and_one_of_a_name_only_has_none():
    assert has_documents(OPERATOR, "zeros", Group(months={month_of_day(OPERATOR.today): False}))
    assert not has_documents(OPERATOR, "named", Group(name="x"))
    assert not has_documents(OPERATOR, "past", Group(months={202510: False}))
    assert has_documents(OPERATOR, "ALL", Group())


def test_an_operator_s_entry():
    assert list(operator_entry("M1", OPERATOR).items()) == [
        ("operatorId", "M1"),
        ("name", None),
        ("timezone", "Europe/Berlin"),
        ("currency", "EUR"),
    ]


@given(st.integers(0, 4_102_444_800_000))
def test_times_are_exact_to_the_millisecond(ms):
    text = iso_ms(ms)
    assert len(text) == 24
    when = datetime.fromisoformat(text)
    assert (when - datetime.fromisoformat("1970-01-01T00:00:00Z")).total_seconds() * 1000 == pytest.approx(ms, abs=0.01)


def test_slots_add_up_over_days():
    days = [HalfHour(1, 1, list(range(48))), None, HalfHour(2, 2, [1] * 48)]
    assert sum_slots(days) == [slot + 1 for slot in range(48)]
    assert sum_slots([None]) == [0] * 48

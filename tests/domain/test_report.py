"""The documents are the contract's: names, order, forms, defaults."""

import re
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain.cells import CellKey, CountCell, FigureCell, Group, Operator
from stream_app.domain.figures import FIGURES, MONEY, Average, Figure
from stream_app.domain.local_time import day_of, month_of_day
from stream_app.domain.report import (
    Place,
    count_document,
    count_record,
    currencies_of,
    default_document,
    figure_document,
    figure_record,
    figure_row,
    groups_data,
    has_documents,
    iso_ms,
    operator_entry,
    shown_groups,
    sum_slots,
)
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS
from stream_app.domain.tables import DAY, HALF_HOUR, MONTH, MONTHLY, TABLES
from tests.support.added_tables import DAILY, WEEKDAY, WEEKDAYS

OPERATOR = Operator(timezone="Europe/Berlin", currency="EUR", today=day_of(date(2026, 11, 24)))
PLACE = Place("M1", OPERATOR, "ALL", 3, 1795507200000, 1234)
FORMS = {figure.name: figure for figure in FIGURES}


def sums(layout, **values):
    """A list of a cell by names of figures; the others are zero."""
    assert values.keys() <= {figure.name for figure in layout.figures}
    return [values.get(figure.name, 0) for figure in layout.figures]


def payments(**values):
    return sums(PAYMENT_SUMS, **values)


def sessions(**values):
    return sums(SESSION_SUMS, **values)


CELL = FigureCell(
    1234,
    0,
    {"EUR": payments(receivedAmount=123450, discountAmount=1200, paymentCount=101, payingCustomers=40)},
    sessions(sessionCount=120, chargingCustomers=44, energyKwh=1450125),
)


def test_the_monthly_answer_is_the_contract_s_example():
    found = figure_document(MONTHLY, PLACE, [CELL], [202606], "EUR")
    assert orjson.dumps(found).decode() == (
        '{"operatorId":"M1","groupId":"ALL","timezone":"Europe/Berlin","currency":"EUR","currencies":["EUR"],'
        '"partition":3,"asOf":"2026-11-24T08:00:00.000Z","version":1234,'
        '"months":[{"month":"2026-06","receivedAmount":"1234.50","discountAmount":"12.00","refundedAmount":"0.00","paymentCount":101,'
        '"payingCustomers":40,"perCapitaPayment":"30.86","sessionCount":120,"chargingCustomers":44,"perCapitaFrequency":"2.73",'
        '"energyKwh":"1450.125","perCapitaEnergy":"32.957",'
        '"anonymousAmount":"0.00","anonymousSessionCount":0,"anonymousEnergyKwh":"0.000"}]}'
    )


def test_the_distribution_answer_has_every_slot():
    counts = [12, *[0] * 46, 5]
    found = count_document(HALF_HOUR, PLACE, counts, HALF_HOUR.default_periods(OPERATOR))
    assert orjson.dumps(found | {"slots": found["slots"][:1]}).decode() == (
        '{"operatorId":"M1","groupId":"ALL","timezone":"Europe/Berlin","partition":3,"asOf":"2026-11-24T08:00:00.000Z","version":1234,'
        '"from":"2026-10-26","to":"2026-11-24","total":17,"slots":[{"slot":0,"start":"00:00","end":"00:30","chargeCount":12}]}'
    )
    assert [slot["slot"] for slot in found["slots"]] == list(range(48))
    assert found["slots"][1] == {"slot": 1, "start": "00:30", "end": "01:00", "chargeCount": 0}
    assert found["slots"][47] == {"slot": 47, "start": "23:30", "end": "24:00", "chargeCount": 5}


def test_averages_leave_the_anonymous_out():
    cell = FigureCell(
        1,
        1,
        {
            "EUR": payments(
                receivedAmount=900, refundedAmount=100, paymentCount=4, payingCustomers=2, anonymousAmount=399
            )
        },
        sessions(
            sessionCount=7, chargingCustomers=2, anonymousSessionCount=4, energyKwh=10_001, anonymousEnergyKwh=5_000
        ),
    )
    row = figure_row(MONTHLY, cell, 202611, "EUR")
    assert (row["receivedAmount"], row["refundedAmount"], row["anonymousAmount"]) == ("9.00", "1.00", "3.99")
    assert row["perCapitaPayment"] == "2.51"  # (900 - 399) / 2 = 250.5
    assert row["perCapitaFrequency"] == "1.50"
    assert (row["energyKwh"], row["anonymousEnergyKwh"]) == ("10.001", "5.000")
    assert row["perCapitaEnergy"] == "2.501"  # (10001 - 5000) / 2 = 2500.5


@pytest.mark.parametrize(("currency", "zero"), [("EUR", "0.00"), ("JPY", "0"), ("KWD", "0.000")])
@pytest.mark.parametrize("cell", [None, FigureCell()])
def test_no_data_is_zeros_with_the_digits_of_the_unit_or_of_the_currency(cell, currency, zero):
    row = figure_row(MONTHLY, cell, 202601, currency)
    assert list(row) == ["month", *FORMS]
    assert row.pop("month") == "2026-01"
    zeros = {"money": zero, "count": 0, "ratio": "0.00", "kWh": "0.000"}
    assert row == {name: zeros[figure.unit.name] for name, figure in FORMS.items()}


@given(
    st.lists(st.integers(0, 2**80), min_size=PAYMENT_SUMS.size, max_size=PAYMENT_SUMS.size),
    st.lists(st.integers(0, 2**80), min_size=SESSION_SUMS.size, max_size=SESSION_SUMS.size),
)
def test_every_figure_is_shown_exactly_with_its_digits(money, other):
    """Sums as they lie in the cell; averages by decimal arithmetic that shares no code with the product."""
    row = figure_row(MONTHLY, FigureCell(1, 1, {"KWD": money}, other), 202611, "KWD")
    held = {
        figure.name: Decimal(value).scaleb(-(3 if figure.unit is MONEY else figure.unit.digits))
        for layout, values in ((PAYMENT_SUMS, money), (SESSION_SUMS, other))
        for figure, value in zip(layout.figures, values, strict=True)
    }
    anonymous = {
        "receivedAmount": "anonymousAmount",
        "sessionCount": "anonymousSessionCount",
        "energyKwh": "anonymousEnergyKwh",
    }
    with localcontext(prec=100):
        for name, figure in FORMS.items():
            digits = 3 if figure.unit is MONEY else figure.unit.digits
            if isinstance(figure, Average):
                by = held[figure.by.name]
                of = held[figure.of.name] - held[anonymous[figure.of.name]]
                if of < 0:  # a part is never more than the whole
                    continue
                exact = of / by if by else Decimal(0)
            else:
                exact = held[name]
            rounded = exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
            assert str(row[name]) == f"{rounded:f}", name
            assert isinstance(row[name], str) == (digits > 0), name


def test_sessions_count_in_a_currency_without_an_entry():
    row = figure_row(MONTHLY, CELL, 202611, "USD")
    assert (row["sessionCount"], row["chargingCustomers"], row["perCapitaFrequency"], row["receivedAmount"]) == (
        120,
        44,
        "2.73",
        "0.00",
    )
    assert row["energyKwh"] == "1450.125"


def test_currencies_are_those_with_a_payment_and_the_operator_s():
    cell = FigureCell(1, 1, {"USD": payments(paymentCount=1), "SEK": payments()})
    assert currencies_of([cell, None], "EUR") == ["EUR", "USD"]


def test_the_default_windows_end_today():
    assert MONTHLY.default_periods(OPERATOR) == [202606, 202607, 202608, 202609, 202610, 202611]
    days = HALF_HOUR.default_periods(OPERATOR)
    assert days == list(range(OPERATOR.today - 29, OPERATOR.today + 1))


def test_default_documents_show_the_cells_of_the_default_periods():
    months = default_document(MONTHLY, PLACE, [None] * 5 + [CELL])
    assert [month["month"] for month in months["months"]] == [f"2026-{month:02d}" for month in range(6, 12)]
    assert [month["sessionCount"] for month in months["months"]] == [0] * 5 + [120]
    days = default_document(HALF_HOUR, PLACE, [None] * 28 + [CountCell(1, 1, [1] * 48), CountCell(2, 1, [2] * 48)])
    assert (days["from"], days["to"], days["total"]) == ("2026-10-26", "2026-11-24", 144)


def test_a_table_of_other_periods_and_slots_has_documents_of_the_same_form():
    found = default_document(WEEKDAY, PLACE, [CountCell(1, 1, [1] * 7), None])
    assert (found["from"], found["to"], found["total"]) == ("2026-10", "2026-11", 7)
    assert found["slots"][0] == {"slot": 0, "weekday": "Monday", "chargeCount": 1}
    assert [slot["weekday"] for slot in found["slots"]] == WEEKDAYS
    found = default_document(DAILY, PLACE, [None, CELL])
    assert [(day["date"], day["sessionCount"]) for day in found["days"]] == [("2026-11-23", 0), ("2026-11-24", 120)]
    assert "months" not in found


@pytest.mark.parametrize("period", [MONTH, DAY], ids=lambda period: period.name)
@given(day=st.integers(0, day_of(date(9000, 1, 1))), by=st.integers(0, 1000))
def test_periods_come_back_from_their_text_and_are_counted_with_both_ends(period, day, by):
    first = period.of_day(day)
    text = period.text(first)
    assert period.parse(text) == first
    assert re.fullmatch(period.schema["pattern"], text)
    assert period.span(first, period.add(first, by)) == by + 1
    assert period.of_day(period.first_day(first)) == first


@pytest.mark.parametrize(
    "text", ["", "x", "2026-13", "2026-1", "2026-11\n", "2026-02-30", "\uff12\uff10\uff12\uff16-11"]
)
@pytest.mark.parametrize("period", [MONTH, DAY], ids=lambda period: period.name)
def test_what_no_period_reads_like_is_refused(period, text):
    with pytest.raises(ValueError):  # the message is of no interest
        period.parse(text)


def test_as_many_periods_may_be_asked_for_as_the_contract_says():
    operator = Operator(today=OPERATOR.today, first_month=202511, first_day=OPERATOR.today - 91)
    assert [table.asked_max(operator) for table in (*TABLES, WEEKDAY, DAILY)] == [25, 92, 13, 40]


def test_a_record_is_the_row_and_what_a_document_says_once():
    cell = FigureCell(7, 1795507200000, CELL.payments, CELL.sessions)
    value = figure_record(MONTHLY, OPERATOR, CellKey("M1", "vip", 202611), cell, "EUR", 3)
    common = {"timezone": "Europe/Berlin", "partition": 3, "asOf": "2026-11-24T08:00:00.000Z", "version": 7}
    ids = {"operatorId": "M1", "groupId": "vip"}
    assert value == figure_row(MONTHLY, cell, 202611, "EUR") | ids | {"currency": "EUR"} | common
    value = count_record(WEEKDAY, OPERATOR, CellKey("M1", "vip", 202611), CountCell(7, 1795507200000, [1] * 7), 3)
    assert value == ids | {"month": "2026-11", "slots": [1] * 7, "total": 7} | common


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


def test_slots_add_up_over_periods():
    days = [CountCell(1, 1, list(range(48))), None, CountCell(2, 2, [1] * 48)]
    assert sum_slots(HALF_HOUR, days) == [slot + 1 for slot in range(48)]
    assert sum_slots(HALF_HOUR, [None]) == [0] * 48


def test_figures_have_names_of_their_own():
    columns = {figure.column for figure in FIGURES}
    assert len(columns) == len(FORMS) == len(FIGURES)
    assert all(isinstance(figure, Figure) and figure.meaning.endswith(".") for figure in FIGURES)

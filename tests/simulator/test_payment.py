"""What can be paid by hand: amounts exact to the minor unit, ids that the results take."""

import json

import pytest

from stream_app.simulator.payment import PaymentError, check_ids, minor_units, paid_now
from stream_app.sources import decode
from tests.simulator.test_plan import NOW_MS


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("12.50", "EUR", 1250),
        ("12.5", "EUR", 1250),
        ("12", "EUR", 1200),
        ("0", "EUR", 0),
        ("0.01", "EUR", 1),
        ("12.500", "EUR", 1250),
        ("150", "JPY", 150),
        ("1.234", "KWD", 1234),
        ("90071992547409.91", "EUR", 2**53 - 1),
    ],
)
def test_amounts_are_exact(amount, currency, minor):
    assert minor_units(amount, currency) == minor


@pytest.mark.parametrize(
    ("amount", "currency", "why"),
    [
        ("12.505", "EUR", "12.505 can't be paid in EUR, which has 2 digits after the point"),
        ("1.5", "JPY", "1.5 can't be paid in JPY, which has no digits after the point"),
        ("1.2345", "KWD", "3 digits"),
        ("-1", "EUR", "is no amount"),
        ("1,50", "EUR", "is no amount"),
        ("1e3", "EUR", "is no amount"),
        ("NaN", "EUR", "is no amount"),
        ("", "EUR", "is no amount"),
        ("١٢", "EUR", "is no amount"),
        ("90071992547409.92", "EUR", "more than a record can hold"),
        ("1", "eur", "'eur' is no currency"),
        ("1", "XXQ", "'XXQ' is no currency"),
    ],
)
def test_what_can_not_be_paid_is_said(amount, currency, why):
    with pytest.raises(PaymentError, match=why):
        minor_units(amount, currency)


@pytest.mark.parametrize(
    ("operator", "customer", "group"),
    [("", "c", None), ("M1", "a\nb", None), ("M1", "c", "x" * 201), ("M1", "c", "ALL")],
)
def test_ids_that_the_results_would_refuse_are_refused(operator, customer, group):
    with pytest.raises(PaymentError):
        check_ids(operator, customer, group)


@pytest.mark.parametrize("group", [None, "大 客户|{x}"])
def test_a_payment_is_a_session_and_a_payment_of_now(group):
    check_ids("M|1 ⚡", "c'\"9", group)
    sent = paid_now("M|1 ⚡", "c'\"9", "v", 1250, "EUR", NOW_MS, group)
    for record in sent:
        assert decode(record.topic, [record.value], [0], [0], 0, now_ms=NOW_MS, ocpi_operators={}).rejections == []
    *groups, session, payment = [json.loads(record.value) for record in sent]
    assert [g["group_ids"] for g in groups] == ([[group]] if group else [])
    assert (payment["paid_at"], payment["amount_received"], payment["status"]) == (NOW_MS, 1250, "SUCCEEDED")
    assert (session["status"], session["customer_id"], session["operator_id"]) == ("COMPLETED", "c'\"9", "M|1 ⚡")

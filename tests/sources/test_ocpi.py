"""CDRs of OCPI 2.2.1 and 2.3.0: whose they are, what of them counts, and money to the last digit."""

import json
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.domain.errors import Reason, Rejection
from stream_app.domain.events import (
    AS_PAYMENT,
    AS_SESSION,
    CDR,
    COUNTED,
    CREDITED,
    CURRENCY,
    CUSTOMER,
    ENERGY,
    LASTED,
    RECEIVED,
    SESSION_ID,
    START,
)
from stream_app.domain.money import DIGITS
from tests.sources.samples import DROP, GOOD, STAMPED, exactly, one, sample, usable

BOTH = AS_SESSION | AS_PAYMENT
STARTED, END = 1793694599000 // 900_000, 1793697060000 // 900_000
REST_OF_END = 1793697060000 % 900_000
TOOK = 1793697060000 - 1793694599000
MOST = 2**53 - 1


def row(operators=None, **change):
    outcome = one(CDR, sample(CDR, **change), operators or {})
    assert usable(outcome), outcome
    return outcome[2]


def rejected(reason, word, **change):
    outcome = one(CDR, sample(CDR, **change))
    assert isinstance(outcome, Rejection), outcome
    assert outcome.reason == reason, outcome
    assert word in outcome.detail


def priced(written, currency="EUR", place="incl_vat"):
    """The outcome for a number exactly as written; by both ways."""
    raw = json.dumps(sample(CDR, currency=currency, total_cost={place: "@"})).encode().replace(b'"@"', written.encode())
    outcome = one(CDR, raw)
    assert outcome == exactly(CDR, raw)
    return outcome


def amount(written, currency="EUR"):
    outcome = priced(written, currency)
    assert usable(outcome), outcome
    return outcome[2][RECEIVED]


def test_a_row():
    assert one(CDR, GOOD[CDR]) == (
        "NL-ALF",
        "CDR-1",
        [0, *STAMPED, BOTH, END, 0, "NL-TST-C1", 15_342, REST_OF_END, TOOK, 1210, 0, 0, "EUR", "77", STARTED, None, {}],
    )


def test_rows_share_nothing():
    raw = json.dumps(GOOD[CDR]).encode()
    assert one(CDR, raw)[2][CREDITED] is not one(CDR, raw)[2][CREDITED]


def test_the_operator_is_named_by_country_and_party_or_by_the_setting():
    assert one(CDR, sample(CDR, country_code="nl", party_id="tnm"))[0] == "M1"
    assert one(CDR, sample(CDR, country_code="NL", party_id="TNM"))[0] == "M1"
    assert one(CDR, sample(CDR, country_code="DE", party_id="TNM"))[0] == "DE-TNM"
    assert one(CDR, sample(CDR, country_code="x" * 100, party_id="y" * 99))[0] == "X" * 100 + "-" + "Y" * 99
    rejected(Reason.BAD_ID, "party_id", country_code="x" * 100, party_id="y" * 100)
    assert one(CDR, sample(CDR, party_id="a\n"), {"NL-A\n": "M1"}).reason == Reason.BAD_ID


def test_only_ascii_letters_are_upper_cased():
    operator, id_, row_ = one(CDR, sample(CDR, party_id="straße", id="éaß大z", cdr_token__contract_id="\u0131i"))
    assert (operator, id_, row_[CUSTOMER]) == ("NL-STRAßE", "éAß大Z", "\u0131I")


def test_the_customer():
    assert row(cdr_token__type="AD_HOC_USER")[CUSTOMER] is None
    assert row(cdr_token__type="ad_hoc_user")[CUSTOMER] == "NL-TST-C1"
    assert row(cdr_token__type="APP_USER")[CUSTOMER] == "NL-TST-C1"
    assert row(cdr_token__type=DROP)[CUSTOMER] == "NL-TST-C1"
    assert row(cdr_token__type=None)[CUSTOMER] == "NL-TST-C1"
    rejected(Reason.WRONG_TYPE, "cdr_token.type", cdr_token__type=1)
    rejected(Reason.MISSING_FIELD, "cdr_token.contract_id", cdr_token={"type": "AD_HOC_USER"})
    rejected(Reason.BAD_ID, "cdr_token.contract_id", cdr_token={"type": "AD_HOC_USER", "contract_id": ""})
    rejected(Reason.BAD_ID, "cdr_token.contract_id", cdr_token={"type": "AD_HOC_USER", "contract_id": "a\nb"})
    for bad in (1, "x", [], True):
        rejected(Reason.WRONG_TYPE, "cdr_token", cdr_token=bad)


@pytest.mark.parametrize("session", ["1", DROP])
def test_its_energy_is_a_number_or_a_decimal_string(session):
    for energy in (15.342, "15.342", "15.3420"):
        assert row(session_id=session, total_energy=energy)[ENERGY] == 15_342
    for unknown in ("15,342", "15.342 kWh", "", None, [], -1, "-1", 10**6):
        assert row(session_id=session, total_energy=unknown)[ENERGY] is None


def test_what_of_it_counts():
    for energy in (0, 0.0):
        assert row(session_id=DROP, total_energy=energy)[COUNTED] == AS_PAYMENT
        assert row(session_id=None, total_energy=energy)[COUNTED] == AS_PAYMENT
        assert row(session_id="1", total_energy=energy)[COUNTED] == BOTH
    for written, counted in (
        ("0e99999999999999999999", AS_PAYMENT), ("-0", AS_PAYMENT), ("-0.00E+5", AS_PAYMENT), ("0.001", BOTH), ("10", BOTH), ("-1", BOTH), ("1e-999999999", BOTH),
    ):  # fmt: skip
        raw = json.dumps(sample(CDR, session_id=DROP, total_energy="@")).encode().replace(b'"@"', written.encode())
        assert one(CDR, raw)[2][COUNTED] == counted
    assert row(session_id=DROP, total_energy=DROP)[COUNTED] == BOTH
    assert row(session_id=DROP, total_energy=None)[COUNTED] == BOTH
    assert row(session_id=DROP, total_energy="0.000")[COUNTED] == AS_PAYMENT
    for unknown in ("", "none", True, [], {}):  # is not zero
        assert row(session_id=DROP, total_energy=unknown)[COUNTED] == BOTH
        assert row(total_energy=unknown)[COUNTED] == BOTH


def test_the_session_it_names():
    assert row(session_id="s-大")[SESSION_ID] == "S-大"  # OCPI compares ids without case
    for none in (DROP, None, "", "x" * 201, "a\nb", "\ud800", 5, True, [], {}):
        assert row(session_id=none)[SESSION_ID] is None


def test_times():
    assert row(start_date_time="2026-11-03T08:29:59", end_date_time=1793697060000)[START] == STARTED
    assert row(start_date_time="2026-11-03T09:29:59+01:00")[START] == STARTED
    assert row(start_date_time=0)[START] == 0
    assert row(start_date_time="2026-11-03T09:11:00")[LASTED] == 0
    for after in ("2026-11-03T09:11:01", "9999-12-31T23:59:59"):
        rejected(Reason.OUT_OF_RANGE, "start_date_time", start_date_time=after)
        assert (
            row(start_date_time=after, credit=True, credit_reference_id="x")[LASTED] < 0
        )  # times of credits are not compared
    assert row(start_date_time=-1)[START] == 0
    for bad in ("2026-11-03", 10**30, 253_402_300_800_000):
        rejected(Reason.BAD_TIME, "start_date_time", start_date_time=bad)
    rejected(Reason.WRONG_TYPE, "start_date_time", start_date_time=True)


@pytest.mark.parametrize(
    ("total_cost", "expected"),
    [
        ({"excl_vat": 1, "incl_vat": 1.21}, 121),
        ({"excl_vat": 1.5}, 150),
        ({"excl_vat": 1.5, "incl_vat": None}, 150),
        ({"excl_vat": "not looked at", "incl_vat": 1.21}, 121),
        ({"incl_vat": 1.21, "before_taxes": [], "taxes": 5}, 121),
        ({"incl_vat": 1.21, "taxes": [{"amount": {}}]}, 121),
        ({"excl_vat": 2, "before_taxes": 1, "taxes": [{"amount": 1}]}, 200),
        ({"before_taxes": 1}, 100),
        ({"before_taxes": 1, "taxes": None}, 100),
        ({"before_taxes": 1, "taxes": []}, 100),
        (
            {"before_taxes": 1.004, "taxes": [{"name": "VAT", "amount": 0.004}, {"amount": 0.004, "percentage": "x"}]},
            101,
        ),  # rounded once, at the end
        ({"before_taxes": -1, "taxes": [{"amount": 1}]}, 0),
        ({"incl_vat": 0}, 0),
        ({"incl_vat": -0.0}, 0),
    ],
)
def test_total_costs(total_cost, expected):
    raw = json.dumps(sample(CDR, total_cost=total_cost)).encode()
    assert one(CDR, raw)[2][RECEIVED : CURRENCY + 1] == [expected, 0, 0, "EUR"]
    assert one(CDR, raw) == exactly(CDR, raw)


@pytest.mark.parametrize(
    ("total_cost", "reason", "word"),
    [
        ({}, Reason.MISSING_FIELD, "total_cost"),
        ({"incl_vat": None, "taxes": []}, Reason.MISSING_FIELD, "total_cost"),
        (12.1, Reason.WRONG_TYPE, "total_cost"),
        ("12.1", Reason.WRONG_TYPE, "total_cost"),
        ([], Reason.WRONG_TYPE, "total_cost"),
        ({"incl_vat": "12.10"}, Reason.WRONG_TYPE, "total_cost.incl_vat"),
        ({"incl_vat": True}, Reason.WRONG_TYPE, "total_cost.incl_vat"),
        ({"incl_vat": "12.10", "excl_vat": 10}, Reason.WRONG_TYPE, "total_cost.incl_vat"),
        ({"excl_vat": []}, Reason.WRONG_TYPE, "total_cost.excl_vat"),
        ({"before_taxes": {}}, Reason.WRONG_TYPE, "total_cost.before_taxes"),
        ({"before_taxes": 1, "taxes": 5}, Reason.WRONG_TYPE, "total_cost.taxes"),
        ({"before_taxes": 1, "taxes": [5]}, Reason.WRONG_TYPE, "total_cost.taxes[0]"),
        (
            {"before_taxes": 1, "taxes": [{"amount": 1}, {"name": "VAT"}]},
            Reason.MISSING_FIELD,
            "total_cost.taxes[1].amount",
        ),
        ({"before_taxes": 1, "taxes": [{"amount": "1"}]}, Reason.WRONG_TYPE, "total_cost.taxes[0].amount"),
        ({"incl_vat": -0.001}, Reason.OUT_OF_RANGE, "total_cost.incl_vat"),
        ({"excl_vat": -5}, Reason.OUT_OF_RANGE, "total_cost.excl_vat"),
        ({"before_taxes": 1, "taxes": [{"amount": -1.01}]}, Reason.OUT_OF_RANGE, "total_cost.before_taxes"),
    ],
)
def test_bad_total_costs(total_cost, reason, word):
    rejected(reason, word, total_cost=total_cost)


@pytest.mark.parametrize(
    ("written", "currency", "expected"),
    [
        ("12.345", "EUR", 1235), ("12.344999999999999999999999999999999999999999", "EUR", 1234), ("12.345000000000000000000000000000000000000001", "EUR", 1235),
        ("1.005", "EUR", 101), ("2.675", "EUR", 268), ("0.5", "JPY", 1), ("1.5", "JPY", 2), ("2.5", "JPY", 3), ("0.4999999999999999999999", "JPY", 0),
        ("1.2345", "KWD", 1235), ("1.00005", "CLF", 10001), ("1e2", "EUR", 10_000), ("12345E-3", "EUR", 1235), ("1E+2", "JPY", 100), ("0e400", "EUR", 0),
        ("1e-400", "EUR", 0), ("-0", "EUR", 0), ("-0.0e1", "EUR", 0), ("90071992547409.91", "EUR", MOST), ("9007199254740991", "JPY", MOST),
        ("90071992547409.9149", "EUR", MOST), ("0." + "9" * 200, "EUR", 100), ("4.35", "EUR", 435), ("0.285", "EUR", 29), ("1e0", "EUR", 100),
    ],
)  # fmt: skip
def test_money_is_exact_and_rounded_half_up(written, currency, expected):
    assert amount(written, currency) == expected


@pytest.mark.parametrize(
    "written",
    [
        "1e400",
        "-1e400",
        "9" * 200,
        "9" * 5000,
        "90071992547409.92",
        "90071992547409.915",
        "-0.0000001",
        "1e999999999999999999999",
        "1e17",
    ],
)
def test_beyond_range(written):
    assert priced(written).reason == Reason.OUT_OF_RANGE


@pytest.mark.parametrize(
    "written",
    ["1" * 900_000, "0." + "1" * 900_000, "1e-999999", "1e999999", "1e" + "9" * 900_000, "1e-" + "9" * 900_000],
)
def test_no_number_takes_long(written):
    started = time.process_time()
    for place in ("incl_vat", "before_taxes"):
        priced(written, place=place)
    raw = (
        json.dumps(sample(CDR, total_cost={"before_taxes": 1, "taxes": [{"amount": "@"}] * 3}))
        .encode()
        .replace(b'"@"', written.encode(), 1)
        .replace(b'"@"', b"1")
    )
    one(CDR, raw)
    assert time.process_time() - started < 2


@settings(deadline=None)
@given(
    st.decimals(0, 10**12, allow_nan=False, allow_infinity=False, places=6)
    | st.decimals(0, 100, allow_nan=False, allow_infinity=False),
    st.lists(st.decimals(0, 10**4, allow_nan=False, allow_infinity=False, places=5), max_size=3),
    st.sampled_from(sorted(DIGITS)),
)
def test_money_against_fractions(before, taxes, currency):
    """The same by another arithmetic: floor(x + 1/2) of exact fractions."""
    total = (sum(map(Fraction, taxes)) + Fraction(before)) * 10 ** DIGITS[currency]
    expected = (2 * total + 1) // 2
    written = json.dumps(
        sample(
            CDR,
            currency=currency,
            total_cost={"before_taxes": "@", "taxes": [{"amount": f"@{i}"} for i in range(len(taxes))]},
        )
    )
    for i, tax in enumerate(taxes):
        written = written.replace(f'"@{i}"', str(tax))
    raw = written.replace('"@"', str(before).lower()).encode()
    assert one(CDR, raw)[2][RECEIVED] == expected
    assert one(CDR, raw) == exactly(CDR, raw)


def test_credits():
    credit = {"credit": True, "credit_reference_id": "cdr-0", "total_cost": {"incl_vat": -12.1}}
    assert row(**credit)[COUNTED : CUSTOMER + 1] == [0, END, 0, "NL-TST-C1"]
    assert row(**credit)[RECEIVED:] == [0, 0, 0, "", "77", STARTED, "CDR-0", {}]
    for junk in (-1, "x", [], False, {"incl_vat": "x"}):
        assert row(credit=True, credit_reference_id="é", currency=junk, total_cost=junk)[RECEIVED:] == [
            0,
            0,
            0,
            "",
            "77",
            STARTED,
            "é",
            {},
        ]
    for field in ("currency", "total_cost", "credit_reference_id"):
        rejected(Reason.MISSING_FIELD, field, **(credit | {field: None}))
        rejected(Reason.MISSING_FIELD, field, **(credit | {field: DROP}))
    rejected(Reason.WRONG_TYPE, "credit_reference_id", credit=True, credit_reference_id=5)
    rejected(Reason.BAD_ID, "credit_reference_id", credit=True, credit_reference_id="")
    rejected(Reason.MISSING_FIELD, "contract_id", **credit, cdr_token={})
    rejected(Reason.BAD_TIME, "start_date_time", **credit, start_date_time="x")


def test_no_credits():
    for no in (False, None, DROP):
        assert row(credit=no, credit_reference_id=5)[RECEIVED:] == [1210, 0, 0, "EUR", "77", STARTED, None, {}]
    for bad in (1, 0, "true", []):
        rejected(Reason.WRONG_TYPE, "credit", credit=bad)

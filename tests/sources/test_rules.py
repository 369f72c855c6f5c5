"""Every rule of the contract for the five canonical topics, a row each."""

import json

import pytest

from stream_app.domain.errors import Reason, Rejection
from stream_app.domain.events import (
    AS_PAYMENT,
    AS_SESSION,
    CDR,
    COUNTED,
    CURRENCY,
    CUSTOMER,
    DISCOUNT,
    FORMAT,
    GROUP,
    GROUP_IDS,
    MEMBERSHIP,
    NAME,
    OPERATOR,
    OPERATOR_CURRENCY,
    OPERATOR_NAME,
    PAYMENT,
    RECEIVED,
    REFUNDED,
    SESSION,
    SESSION_ID,
    TIME,
    TIMEZONE,
    VERSION,
)
from stream_app.domain.local_time import zone_names
from stream_app.domain.money import DIGITS
from stream_app.sources import decode
from stream_app.sources.registry import SESSIONS
from tests.sources.samples import DROP, GOOD, LATEST_MS, NOW_MS, STAMPED, one, outcomes, sample, usable

QUARTER = 1793693460000 // 900_000
SESSION_QUARTER = 1793690999000 // 900_000
TWO_53 = 2**53
IDS = {
    SESSION: ("session_id", "operator_id"), PAYMENT: ("payment_id", "operator_id"), MEMBERSHIP: ("operator_id", "customer_id"),
    GROUP: ("operator_id", "group_id"), OPERATOR: ("operator_id",), CDR: ("id", "country_code", "party_id", "cdr_token__contract_id"),
}  # fmt: skip
REQUIRED = {
    SESSION: ("session_id", "operator_id", "status", "started_at"),
    PAYMENT: ("payment_id", "operator_id", "status", "amount_received", "currency", "paid_at"),
    MEMBERSHIP: ("operator_id", "customer_id", "group_ids"),
    GROUP: ("operator_id", "group_id", "name"),
    OPERATOR: ("operator_id", "timezone", "currency"),
    CDR: (
        "country_code",
        "party_id",
        "id",
        "start_date_time",
        "end_date_time",
        "cdr_token",
        "cdr_token__contract_id",
        "currency",
        "total_cost",
    ),
}
ALL_IDS = [(kind, field) for kind, fields in IDS.items() for field in fields] + [
    (SESSION, "customer_id"),
    (PAYMENT, "customer_id"),
]


def rejected(kind, reason, **change):
    outcome = one(kind, sample(kind, **change))
    assert isinstance(outcome, Rejection), outcome
    assert outcome.reason == reason, outcome
    field = next(iter(change)).rpartition("__")[2]
    assert field in outcome.detail
    outcome.detail.encode()
    assert len(outcome.detail) < 400


def row(kind, **change):
    outcome = one(kind, sample(kind, **change))
    assert usable(outcome), outcome
    return outcome[2]


def test_rows_of_the_contracts_examples():
    assert one(SESSION, GOOD[SESSION]) == (
        "M1",
        "s-1",
        [2, *STAMPED, AS_SESSION, SESSION_QUARTER, 0, "c-9", 12_400, 899_000, 2_461_000],
    )
    assert one(PAYMENT, GOOD[PAYMENT]) == (
        "M1",
        "p-1",
        [1, *STAMPED, AS_PAYMENT, QUARTER, 0, "c-9", None, 660_000, None, 1250, 150, 0, "EUR", "s-1"],
    )
    assert one(MEMBERSHIP, GOOD[MEMBERSHIP]) == ("M1", "c-9", [7, *STAMPED, ["fleet", "vip"]])
    assert one(GROUP, GOOD[GROUP]) == ("M1", "vip", [1, *STAMPED, "大客户"])
    assert one(OPERATOR, GOOD[OPERATOR]) == ("M1", "", [1, *STAMPED, "Europe/Berlin", "EUR", "Stadtwerke"])


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind, fields in REQUIRED.items() for field in fields])
def test_a_required_field_that_is_missing_or_null(kind, field):
    rejected(kind, Reason.MISSING_FIELD, **{field: DROP})
    rejected(kind, Reason.MISSING_FIELD, **{field: None})


@pytest.mark.parametrize(("kind", "field"), ALL_IDS)
@pytest.mark.parametrize(
    "bad", ["", "x" * 201, "😀" * 201, "a\0b", "a\nb", "\x1f", "\x7f", "\x80", "\x9f", "\ud800", "a\udfff"]
)
def test_bad_ids(kind, field, bad):
    rejected(kind, Reason.BAD_ID, **{field: bad})
    raw = json.dumps(sample(kind, **{field: bad}), ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert not usable(one(kind, raw))


@pytest.mark.parametrize(("kind", "field"), ALL_IDS)
@pytest.mark.parametrize("bad", [1, 1.5, True, False, [], {}, ["x"]])
def test_ids_are_strings(kind, field, bad):
    rejected(kind, Reason.WRONG_TYPE, **{field: bad})


@pytest.mark.parametrize(
    "id_",
    ["x" * 200, "😀" * 200, " ", '"', "|", "{}", "%", "+", "大客户", "a b/c:d", "\u00a0", "ALL", "null", "\ufeff", "é"],
)
def test_ids_may_be_any_other_characters(id_):
    for ascii_only in (True, False):
        raw = json.dumps(
            sample(SESSION, session_id=id_, operator_id=id_, customer_id=id_), ensure_ascii=ascii_only
        ).encode()
        operator, id_found, row_ = one(SESSION, raw)
        assert (operator, id_found, row_[CUSTOMER]) == (id_, id_, id_)


def test_anonymous():
    for kind in (SESSION, PAYMENT):
        assert row(kind, customer_id=DROP)[CUSTOMER] is None
        assert row(kind, customer_id=None)[CUSTOMER] is None


@pytest.mark.parametrize("kind", GOOD)
def test_versions(kind):
    for version in (0, 1, TWO_53):
        assert row(kind, version=version)[VERSION] == version
    assert row(kind, version=DROP)[VERSION] == 0
    assert row(kind, version=None)[VERSION] == 0
    for bad in (-1, TWO_53 + 1, 2**63, 2**64, 10**30, -(10**30)):
        rejected(kind, Reason.OUT_OF_RANGE, version=bad)
    for bad in ("1", True, 1.0, [], {}):
        rejected(kind, Reason.WRONG_TYPE, version=bad)


@pytest.mark.parametrize("written", [b"1.0", b"1e3", b"1E0", b"0.0", b"-0.0"])
def test_integers_are_written_without_fraction_or_exponent(written):
    for kind, field in (
        (SESSION, "version"),
        (SESSION, "started_at"),
        (PAYMENT, "amount_received"),
        (PAYMENT, "amount_refunded"),
        (PAYMENT, "paid_at"),
    ):
        raw = json.dumps(sample(kind, **{field: "@"})).encode().replace(b'"@"', written)
        assert one(kind, raw).reason == Reason.WRONG_TYPE


def test_huge_numbers_are_rejected_not_raised():
    for digits in (b"9" * 5000, b"-" + b"9" * 5000):
        raw = json.dumps(sample(PAYMENT, amount_received="@")).encode().replace(b'"@"', digits)
        assert one(PAYMENT, raw).reason == Reason.OUT_OF_RANGE
    raw = json.dumps(sample(PAYMENT, whatever="@")).encode().replace(b'"@"', b"9" * 5000)
    assert usable(one(PAYMENT, raw))
    raw = json.dumps(sample(PAYMENT, whatever="@")).encode().replace(b'"@"', b"1e999999999999999999999")
    assert usable(one(PAYMENT, raw))
    raw = json.dumps(sample(SESSION, started_at="@")).encode().replace(b'"@"', b"9" * 5000)
    assert one(SESSION, raw).reason == Reason.IN_THE_FUTURE


def test_session_states():
    for status in ("ACTIVE", "PENDING", "RESERVATION", "COMPLETED", "INVALID"):
        assert row(SESSION, status=status)[COUNTED] == (AS_SESSION if status == "COMPLETED" else 0)
    for bad in ("completed", "SUCCEEDED", "", "COMPLETED ", "\ud800"):
        rejected(SESSION, Reason.UNKNOWN_STATUS, status=bad)
    for bad in (1, True, ["COMPLETED"], {}):
        rejected(SESSION, Reason.WRONG_TYPE, status=bad)


def test_payment_states():
    for status in ("PENDING", "SUCCEEDED", "FAILED", "CANCELED", "REFUNDED"):
        assert row(PAYMENT, status=status)[COUNTED] == (AS_PAYMENT if status == "SUCCEEDED" else 0)
    for bad in ("CANCELLED", "COMPLETED", "succeeded", ""):
        rejected(PAYMENT, Reason.UNKNOWN_STATUS, status=bad)


def test_amounts():
    assert row(PAYMENT, amount_discount=DROP, amount_refunded=None)[RECEIVED : CURRENCY + 1] == [1250, 0, 0, "EUR"]
    assert row(PAYMENT, amount_received=TWO_53 - 1, amount_discount=TWO_53 - 1, amount_refunded=1)[
        RECEIVED : REFUNDED + 1
    ] == [TWO_53 - 1, TWO_53 - 1, 1]
    assert row(PAYMENT, amount_discount=2000)[DISCOUNT] == 2000  # may exceed what was received
    for field in ("amount_received", "amount_discount", "amount_refunded"):
        for bad in (-1, TWO_53, 2**63, 2**64):
            rejected(PAYMENT, Reason.OUT_OF_RANGE, **{field: bad})
        for bad in ("1", 1.5, True, [], {}):
            rejected(PAYMENT, Reason.WRONG_TYPE, **{field: bad})
    rejected(PAYMENT, Reason.OUT_OF_RANGE, amount_refunded=1251)
    rejected(PAYMENT, Reason.OUT_OF_RANGE, amount_refunded=1251, status="FAILED")


def test_what_is_refunded_in_full_counts_nowhere():
    assert row(PAYMENT, amount_refunded=1249)[COUNTED] == AS_PAYMENT
    assert row(PAYMENT, amount_refunded=1250)[COUNTED] == 0
    assert row(PAYMENT, amount_received=0)[COUNTED] == AS_PAYMENT  # of nothing, nothing was refunded


def test_currencies():
    for currency in DIGITS:
        assert row(PAYMENT, currency=currency)[CURRENCY] == currency
        assert row(OPERATOR, currency=currency)[OPERATOR_CURRENCY] == currency
    for kind in (PAYMENT, OPERATOR, CDR):
        for bad in ("eur", "EURO", "XXX", "", "\ud800"):
            rejected(kind, Reason.UNKNOWN_CURRENCY, currency=bad)
        for bad in (978, True, [], {}):
            rejected(kind, Reason.WRONG_TYPE, currency=bad)


@pytest.mark.parametrize(("kind", "field"), [(SESSION, "started_at"), (PAYMENT, "paid_at"), (CDR, "end_date_time")])
def test_times(kind, field):
    def row(kind, **change):  # of a CDR that ends when it starts
        outcome = one(kind, sample(kind, **(change | {"start_date_time": 0} if kind == CDR else change)))
        assert usable(outcome), outcome
        return outcome[2]

    assert row(kind, **{field: 0})[TIME] == 0
    assert row(kind, **{field: 899_999})[TIME] == 0
    assert row(kind, **{field: 900_000})[TIME] == 1
    assert row(kind, **{field: LATEST_MS})[TIME] == LATEST_MS // 900_000
    assert row(kind, **{field: "1970-01-01T00:15:00Z"})[TIME] == 1
    rejected(kind, Reason.IN_THE_FUTURE, **{field: LATEST_MS + 1})
    rejected(kind, Reason.IN_THE_FUTURE, **{field: 10**30})
    rejected(kind, Reason.IN_THE_FUTURE, **{field: "9999-12-31T23:59:59Z"})
    for old in (-1, -(10**30), "1969-12-31T23:59:59Z"):  # past any retention, which is for the ledger to say
        assert row(kind, **{field: old})[TIME] == 0
    for bad in ("", "yesterday", "1793693460000", "2026-11-03", "\ud800"):
        rejected(kind, Reason.BAD_TIME, **{field: bad})
    for bad in (True, 1.5, [], {}):
        rejected(kind, Reason.WRONG_TYPE, **{field: bad})


def test_the_day_ahead_is_exact_in_text_too():
    def at(text):
        raw = json.dumps(sample(SESSION, started_at=text)).encode()
        found = decode(SESSIONS, [raw], [0], [0], 0, now_ms=0, ocpi_operators={})
        return found.rejections[0][1].reason if found.rejections else None

    assert at("1970-01-02T00:00:00.000Z") is None
    assert at("1970-01-02T00:00:00.0009Z") is None
    assert at("1970-01-02T00:00:00.001Z") == Reason.IN_THE_FUTURE


def test_a_time_without_zone_is_bad_but_for_ocpi():
    rejected(SESSION, Reason.BAD_TIME, started_at="2026-11-03T08:29:59")
    rejected(PAYMENT, Reason.BAD_TIME, paid_at="2026-11-03T08:29:59.000")


def test_memberships():
    assert row(MEMBERSHIP, group_ids=[])[GROUP_IDS] == []
    assert row(MEMBERSHIP, group_ids=["b", "a", "b", "大", "Z"])[GROUP_IDS] == ["Z", "a", "b", "大"]
    assert row(MEMBERSHIP, group_ids=["all", "ALL "])[GROUP_IDS] == ["ALL ", "all"]
    for group_ids in (["ALL"], ["vip", "ALL"]):
        rejected(MEMBERSHIP, Reason.RESERVED_GROUP, group_ids=group_ids)
    for bad in ("", "x" * 201, "a\x7f", "\x85", "\ud800"):
        rejected(MEMBERSHIP, Reason.BAD_ID, group_ids=["vip", bad])
    for bad in ("vip", {}, 1, True, [1], [None], [["vip"]]):
        rejected(MEMBERSHIP, Reason.WRONG_TYPE, group_ids=bad)
    most = [f"g{n:04d}" for n in range(2000)]
    assert row(MEMBERSHIP, group_ids=[*most, *most])[GROUP_IDS] == most
    rejected(MEMBERSHIP, Reason.OUT_OF_RANGE, group_ids=[*most, "vip"])


def test_groups():
    assert row(GROUP, name="")[NAME] == ""
    assert row(GROUP, name="line\nbreak\x7f")[NAME] == "line\nbreak\x7f"
    rejected(GROUP, Reason.RESERVED_GROUP, group_id="ALL")
    for bad in (1, [], "half \ud83d"):
        rejected(GROUP, Reason.WRONG_TYPE, name=bad)


def test_operators():
    assert row(OPERATOR, name=DROP)[OPERATOR_NAME] is None
    assert row(OPERATOR, name=None)[OPERATOR_NAME] is None
    for zone in zone_names():
        assert row(OPERATOR, timezone=zone)[TIMEZONE] == zone
    for bad in ("Europe/Atlantis", "europe/berlin", "", "../UTC", "+01:00"):
        rejected(OPERATOR, Reason.UNKNOWN_ZONE, timezone=bad)
    for bad in (1, [], {}):
        rejected(OPERATOR, Reason.WRONG_TYPE, timezone=bad)
    for bad in (1, [], "\udc00"):
        rejected(OPERATOR, Reason.WRONG_TYPE, name=bad)


def test_fields_that_no_result_uses_are_not_checked():
    for junk in (None, True, -1, 1.5, "\ud800", [], {"session_id": 5}):
        assert usable(one(SESSION, sample(SESSION, ended_at=junk, energy_kwh=junk, x=junk)))
        assert usable(one(PAYMENT, sample(PAYMENT, session_id=junk, **{"\ud800": junk})))


def test_the_session_of_a_payment():
    assert row(PAYMENT, session_id="大 s")[SESSION_ID] == "大 s"
    for none in (DROP, None, "", "x" * 201, "a\nb", "\x85", "\ud800", 5, True, [], {}):
        assert row(PAYMENT, session_id=none)[SESSION_ID] is None


def test_a_tombstone_and_the_closed_list():
    assert one(SESSION, None).reason == Reason.TOMBSTONE
    for raw in (b"", b" ", b"null", b"[]", b"1", b'"x"', b"[{}]", b"{}{}", b"\xff", b"\xef\xbb\xbf{}"):
        assert one(SESSION, raw).reason == Reason.NOT_JSON


def test_a_null_is_a_missing_field_and_of_doubled_keys_the_last_counts():
    def doubled(kind, field, first, last):
        raw = json.dumps(sample(kind, **{field: "@"})).replace(
            f'"{field}": "@"', f'"{field}": {first}, "{field}": {last}'
        )
        return one(kind, raw.encode())

    assert doubled(PAYMENT, "amount_received", "null", "7")[2][RECEIVED] == 7
    assert doubled(PAYMENT, "amount_received", '"x"', "7")[2][RECEIVED] == 7
    assert doubled(PAYMENT, "amount_received", "8", "7")[2][RECEIVED] == 7
    assert doubled(PAYMENT, "amount_received", "8", "null").reason == Reason.MISSING_FIELD
    assert doubled(PAYMENT, "version", "8", "null")[2][VERSION] == 0
    assert doubled(SESSION, "customer_id", '"a"', "null")[2][CUSTOMER] is None
    assert doubled(SESSION, "customer_id", "1", '"b"')[2][CUSTOMER] == "b"
    assert doubled(SESSION, "status", '"?"', '"COMPLETED"')[2][COUNTED] == AS_SESSION


def test_source_order_by_operator():
    values = [json.dumps(sample(SESSION, session_id=f"s-{i}", operator_id=f"M{i % 3}")).encode() for i in range(9)]
    values[4] = values[4].replace(b'"version"', b'"version": null, "version"')  # goes the exact way
    values[7] = b"?"
    found = decode(SESSIONS, values, range(50, 59), range(9), 6, now_ms=NOW_MS, ocpi_operators={})
    assert {operator: part.indexes for operator, part in found.parts.items()} == {
        "M0": [0, 3, 6],
        "M1": [1, 4],
        "M2": [2, 5, 8],
    }
    assert found.parts["M1"].ids == ["s-1", "s-4"]
    assert [row_[:FORMAT] for row_ in found.parts["M2"].rows] == [[2, 2, 52, 6], [2, 5, 55, 6], [2, 8, 58, 6]]
    assert [(index, why.reason) for index, why in found.rejections] == [(7, Reason.NOT_JSON)]


def test_an_empty_batch():
    assert outcomes(PAYMENT, []) == []


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        ({"operator_id": "M1"}, 'session_id is missing; there are "operator_id"'),
        ({"session_id": None}, "session_id is missing; there is no other"),
        (
            {"schema": {"type": "struct"}, "payload": {"session_id": "s"}},
            (
                'session_id is missing; there are "schema", "payload"; that is the envelope of Kafka Connect\'s JsonConverter: '
                "send the payload alone (schemas.enable=false)"
            ),
        ),
        (
            {"before": None, "after": {"session_id": "s"}, "source": {}, "op": "c", "ts_ms": 1},
            (
                'session_id is missing; there are "after", "source", "op", "ts_ms"; that is Debezium\'s envelope: '
                "send what is after alone (transform ExtractNewRecordState)"
            ),
        ),
        (
            {"sessionId": "s", "before": {}, "after": {}},
            'session_id is missing; there are "sessionId", "before", "after"',
        ),
    ],
)
def test_the_detail_of_a_missing_field_names_what_is_there(value, detail):
    """A new team sees at once what it sends instead."""
    assert one(SESSION, json.dumps(value).encode()) == Rejection(Reason.MISSING_FIELD, detail)


@pytest.mark.parametrize("kind", [SESSION, PAYMENT])
def test_an_empty_customer_is_told_to_be_left_out(kind):
    """It is no anonymous one: an id that went missing must not count as nobody."""
    outcome = one(kind, sample(kind, customer_id=""))
    assert outcome == Rejection(
        Reason.BAD_ID, 'customer_id is "", must have 1 character or more: leave it out, or null, where there is none'
    )


def test_details_are_short_and_show_what_was_found():
    assert one(SESSION, sample(SESSION, status="x" * 10_000)).detail.startswith(
        'status is "' + "x" * 100 + '" (cut), must be one of ACTIVE'
    )
    assert (
        one(PAYMENT, sample(PAYMENT, amount_received=-5)).detail
        == "amount_received is -5, must be from 0 to 9007199254740991"
    )
    assert one(SESSION, sample(SESSION, session_id="大\x85")).detail.startswith('session_id is "\\u5927\\u0085", ')
    assert one(SESSION, sample(SESSION, status="大客户")).detail.startswith('status is "大客户", ')

"""The JSON Schemas of source events against the decoder: what is read is valid, and what is not valid is not read."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from docs.contract_files import FOLDER
from stream_app.domain.errors import Reason
from stream_app.domain.events import CDR, GROUP, MEMBERSHIP, OPERATOR, PAYMENT, SESSION
from tests.oracle import TOPICS as NAMES
from tests.sources.samples import DROP, GOOD, TOPICS, one, sample, usable
from tests.sources.written import KINDS, written

FILES = {
    SESSION: "charging.sessions", PAYMENT: "charging.payments", MEMBERSHIP: "crm.customer-groups", GROUP: "crm.groups",
    OPERATOR: "crm.operators", CDR: "ocpi.cdrs",
}  # fmt: skip
SCHEMAS = {kind: Draft7Validator(json.loads((FOLDER / f"{name}.json").read_text())) for kind, name in FILES.items()}
CREDIT = {"credit": True, "credit_reference_id": "cdr-0"}
REQUIRED = [
    (SESSION, "session_id"), (SESSION, "operator_id"), (SESSION, "status"), (SESSION, "started_at"),
    (PAYMENT, "payment_id"), (PAYMENT, "operator_id"), (PAYMENT, "status"), (PAYMENT, "amount_received"), (PAYMENT, "currency"), (PAYMENT, "paid_at"),
    (MEMBERSHIP, "operator_id"), (MEMBERSHIP, "customer_id"), (MEMBERSHIP, "group_ids"),
    (GROUP, "operator_id"), (GROUP, "group_id"), (GROUP, "name"),
    (OPERATOR, "operator_id"), (OPERATOR, "timezone"), (OPERATOR, "currency"),
    *((CDR, field) for field in ("country_code", "party_id", "id", "start_date_time", "end_date_time", "cdr_token", "cdr_token__contract_id", "currency", "total_cost")),
]  # fmt: skip
BAD = [
    (SESSION, {"session_id": ""}), (SESSION, {"session_id": "x" * 201}), (SESSION, {"session_id": "a\0b"}), (SESSION, {"session_id": 7}),
    (SESSION, {"customer_id": ""}), (SESSION, {"customer_id": 7}), (SESSION, {"status": "completed"}), (SESSION, {"status": "SUCCEEDED"}),
    (SESSION, {"started_at": "2026-11-03T08:29:59"}), (SESSION, {"started_at": "yesterday"}), (SESSION, {"started_at": 1.5}),
    (SESSION, {"started_at": 2**53}), (SESSION, {"started_at": True}), (SESSION, {"version": -1}), (SESSION, {"version": 2**53 + 1}), (SESSION, {"version": "1"}),
    (PAYMENT, {"status": "COMPLETED"}), (PAYMENT, {"amount_received": -1}), (PAYMENT, {"amount_received": 2**53}), (PAYMENT, {"amount_received": "1250"}),
    (PAYMENT, {"amount_discount": 1.5}), (PAYMENT, {"amount_refunded": -1}), (PAYMENT, {"currency": "eur"}), (PAYMENT, {"currency": "XXX"}), (PAYMENT, {"paid_at": []}),
    (MEMBERSHIP, {"group_ids": "vip"}), (MEMBERSHIP, {"group_ids": ["vip", "ALL"]}), (MEMBERSHIP, {"group_ids": [""]}), (MEMBERSHIP, {"group_ids": [None]}),
    (GROUP, {"group_id": "ALL"}), (GROUP, {"name": 5}), (OPERATOR, {"currency": 978}), (OPERATOR, {"timezone": 1}), (OPERATOR, {"name": []}),
    (CDR, {"id": ""}), (CDR, {"cdr_token": []}), (CDR, {"cdr_token__contract_id": ""}), (CDR, {"cdr_token__type": 7}), (CDR, {"start_date_time": "2026-11-03"}),
    (CDR, {"currency": "eur"}), (CDR, {"total_cost": 12.1}), (CDR, {"total_cost": {}}), (CDR, {"total_cost": {"incl_vat": "12.10"}}), (CDR, {"total_cost": {"incl_vat": -1}}),
    (CDR, {"total_cost": {"before_taxes": 1, "taxes": [{}]}}), (CDR, {"credit": "yes"}), (CDR, {"credit": True}), (CDR, {**CREDIT, "credit_reference_id": ""}),
    (CDR, {**CREDIT, "total_cost": DROP}), (CDR, {**CREDIT, "currency": None}),
]  # fmt: skip
ODD = [
    (SESSION, {"customer_id": None, "version": None, "energy_kwh": [], "ended_at": "later", "unknown": 1}), (SESSION, {"started_at": "2026-11-03 08:29:59.5z"}),
    (SESSION, {"started_at": -1}), (PAYMENT, {"session_id": 7, "amount_discount": None, "amount_refunded": DROP}), (MEMBERSHIP, {"group_ids": []}),
    (MEMBERSHIP, {"group_ids": ["a", "a"]}), (GROUP, {"name": ""}), (OPERATOR, {"name": None}), (CDR, {"total_cost": {"excl_vat": 1, "incl_vat": None}}),
    (CDR, {"total_cost": {"before_taxes": 1}}), (CDR, {"total_cost": {"before_taxes": 1, "taxes": [{"amount": 0.5}]}}), (CDR, {"total_cost": {"incl_vat": 1, "taxes": 7}}),
    (CDR, {"session_id": [], "total_energy": "none", "credit_reference_id": 7}), (CDR, {"cdr_token__type": None}), (CDR, {"start_date_time": 0}),
    (CDR, {**CREDIT, "currency": 7, "total_cost": "nothing"}),
]  # fmt: skip


def test_each_topic_of_the_contract_has_a_schema_and_an_example_that_is_read():
    assert set(SCHEMAS) == set(GOOD)
    assert set(FILES.values()) == set(NAMES.values())
    for kind, validator in SCHEMAS.items():
        Draft7Validator.check_schema(validator.schema)
        assert validator.schema["$id"] == f"urn:crm-stats:schema:{FILES[kind]}"
        (example,) = validator.schema["examples"]
        assert validator.is_valid(example)
        assert usable(one(kind, example))


@pytest.mark.parametrize(("kind", "field"), REQUIRED)
@pytest.mark.parametrize("value", [DROP, None], ids=["missing", "null"])
def test_what_lacks_a_required_field_is_not_valid_and_not_read(kind, field, value):
    record = sample(kind, **{field: value})
    assert not SCHEMAS[kind].is_valid(record)
    assert one(kind, record).reason == Reason.MISSING_FIELD


def test_nothing_else_is_required():
    for kind, validator in SCHEMAS.items():
        named = {field for of, field in REQUIRED if of == kind and "__" not in field}
        assert set(validator.schema["required"]) == named


@pytest.mark.parametrize(("kind", "change"), BAD)
def test_a_field_that_is_not_valid_is_not_read(kind, change):
    record = sample(kind, **change)
    assert not SCHEMAS[kind].is_valid(record)
    assert not usable(one(kind, record))


@pytest.mark.parametrize(("kind", "change"), [*((kind, {}) for kind in GOOD), *ODD])
def test_what_is_read_is_valid(kind, change):
    record = sample(kind, **change)
    assert usable(one(kind, record))
    SCHEMAS[kind].validate(record)


@settings(max_examples=1000, deadline=None)
@given(st.data())
def test_what_is_read_of_generated_records_is_valid(data):
    kind = data.draw(KINDS)
    raw = data.draw(written(kind))
    if usable(one(kind, raw)):
        SCHEMAS[kind].validate(json.loads(raw))


def test_topics_of_the_contract_are_those_of_the_samples():
    """So that a kind that is added is looked at here."""
    assert set(TOPICS) == set(SCHEMAS)

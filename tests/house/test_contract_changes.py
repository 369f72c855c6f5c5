"""Contracts break nobody who relies on the last release; and what would is seen."""

import json
import shutil

import pytest

from docs.contract_changes import (
    FOLDER,
    HARMLESS,
    RELEASED,
    Effect,
    Part,
    breaking,
    changes,
    parts,
    release,
    schema_changes,
)

ID = {"type": "string", "minLength": 1, "maxLength": 200}
STATES = {"type": "string", "enum": ["A", "B"]}
NULL = {"type": "null"}
OLD = {
    "type": "object",
    "required": ["id", "state"],
    "properties": {
        "id": ID, "state": STATES, "amount": {"type": "integer", "minimum": 0, "maximum": 9}, "name": {"anyOf": [{"type": "string"}, NULL]}, "any": {},
        "times": {"type": "array", "items": {"type": "integer"}, "minItems": 48, "maxItems": 48}, "date": {"type": "string", "pattern": "^[0-9]$"},
    },
    "if": {"required": ["credit"]}, "then": {"required": ["of"]},
}  # fmt: skip
BOTH, WRITERS, READERS, NOBODY = {"receive", "send"}, {"receive"}, {"send"}, set()


def changed(place, value):
    """The old schema with another value at a place; None takes it away."""
    schema = json.loads(json.dumps(OLD))
    *above, last = place.split("/")
    part = schema
    for name in above:
        part = part[name]
    if value is None:
        del part[last]
    else:
        part[last] = value
    return schema


CASES = [
    ("a field that is gone", "properties/amount", None, BOTH),
    ("a field that is new", "properties/new", {"type": "string"}, NOBODY),
    ("a field that is required from now on", "required", ["id", "state", "amount"], WRITERS),
    ("a field that may be missing from now on", "required", ["id"], READERS),
    ("another type", "properties/amount/type", "string", BOTH),
    ("one type more", "properties/amount/type", ["integer", "string"], READERS),
    ("null is taken", "properties/date", {"anyOf": [OLD["properties"]["date"], NULL]}, READERS),
    ("null is taken no more", "properties/name", {"type": "string"}, WRITERS),
    ("an alternative is narrowed", "properties/name/anyOf", [{"type": "string", "maxLength": 9}, NULL], WRITERS),
    ("a field is checked from now on", "properties/any", {"type": "string"}, WRITERS),
    ("a field is checked no more", "properties/date", {}, READERS),
    ("a word of a list is gone", "properties/state/enum", ["A"], BOTH),
    ("a word of a list is new", "properties/state/enum", ["A", "B", "C"], READERS),
    ("a list is closed", "properties/date/enum", ["1"], WRITERS),
    ("a list is open", "properties/state/enum", None, READERS),
    ("shorter ids", "properties/id/maxLength", 100, WRITERS),
    ("longer ids", "properties/id/maxLength", 300, READERS),
    ("empty ids", "properties/id/minLength", 0, READERS),
    ("no empty ids", "properties/id/minLength", 2, WRITERS),
    ("higher amounts", "properties/amount/maximum", 10, READERS),
    ("a bound that is new", "properties/date/maxLength", 1, WRITERS),
    ("a bound that is gone", "properties/amount/minimum", None, READERS),
    ("more items", "properties/times/maxItems", 96, READERS),
    ("other items", "properties/times/items", {"type": "string"}, BOTH),
    ("another pattern", "properties/date/pattern", "^[0-9]+$", BOTH),
    ("another condition", "if", {"required": ["debit"]}, BOTH),
    ("one more field required under a condition", "then", {"required": ["of", "by"]}, WRITERS),
    ("a keyword that nothing is known of", "properties/date/contentEncoding", "base64", WRITERS),
    ("alternatives that can't be told apart", "properties/name/anyOf", [{"type": "string"}, {"type": "string", "pattern": "a"}], BOTH),
    ("words only", "description", "Other words.", NOBODY),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "broken"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_change_breaks_those_whom_it_breaks(place, value, broken):
    new = changed(place, value)
    assert new != OLD
    for action in BOTH:
        found = breaking({"x value": Part(action, OLD)}, {"x value": Part(action, new)})
        assert bool(found) == (action in broken), found


def test_the_place_of_a_change_is_told():
    assert list(schema_changes(OLD, changed("properties/state/enum", ["A"]))) == [
        ("properties/state/enum/B", Effect.GONE)
    ]
    assert list(schema_changes(OLD, changed("properties/id/maxLength", 9))) == [
        ("properties/id/maxLength", Effect.LESS)
    ]
    assert list(schema_changes(OLD, json.loads(json.dumps(OLD)))) == []


def test_nothing_breaks_the_last_release():
    """If it must: another version of the topic beside the old one, or for source events a reader of both. `released` changes with a release only."""
    assert breaking(parts(RELEASED), parts(FOLDER)) == []


def test_what_is_listed_as_harmless_has_changed_since_the_last_release():
    assert set(changes(parts(RELEASED), parts(FOLDER))) >= HARMLESS


@pytest.fixture
def contracts(tmp_path):
    """A copy of the contracts, to change."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    for file in FOLDER.glob("*.json"):
        shutil.copy(file, folder)
    return folder


def edit(file, place, value):
    """Put a value at a place of a file."""
    document = json.loads(file.read_text())
    part = document
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value
    file.write_text(json.dumps(document))


KAFKA = ("channels", "monthly", "bindings", "kafka")
REAL = [
    ("charging.sessions.json", ("properties", "started_at"), {"type": "integer"}, "sessions value"),
    ("charging.payments.json", ("required",), ["payment_id", "operator_id", "status", "amount_received", "currency", "paid_at", "version"], "payments value"),
    ("crm-stats.monthly.v1.json", ("properties", "energyKwh"), {"type": "number"}, "monthly value"),
    ("crm-stats.dead-letters.json", ("properties", "reason", "enum"), ["not_json"], "dead_letters headers"),
    ("asyncapi.json", (*KAFKA[:2], "address"), "crm-stats.monthly.v2", "monthly topic"),
    ("asyncapi.json", (*KAFKA, "topicConfiguration", "cleanup.policy"), ["delete"], "monthly topic"),
    ("asyncapi.json", ("components", "messages", "half_hour", "bindings", "kafka", "key", "pattern"), "^a$", "half_hour key"),
    ("asyncapi.json", ("components", "messages", "monthly", "headers", "schema", "required"), ["ce_id"], "monthly headers"),
    ("asyncapi.json", ("channels", "half_hour", "messages"), {"half_hour": {}}, "half_hour_gone value"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "place", "value", "part"), REAL)
def test_a_change_of_the_contracts_that_breaks_is_seen(contracts, file, place, value, part):
    assert breaking(parts(FOLDER), parts(contracts)) == []
    edit(contracts / file, place, value)
    assert part in {change.part for change in breaking(parts(FOLDER), parts(contracts))}


def test_a_topic_that_is_new_breaks_nobody_and_one_that_is_gone_does():
    now = parts(FOLDER)
    before = {name: part for name, part in now.items() if not name.startswith("half_hour")}
    assert breaking(before, now) == []
    assert {change.effect for change in changes(before, now)} == {Effect.NEW}
    assert {change.part for change in breaking(now, before)} == now.keys() - before.keys()


def test_a_release_is_what_the_next_changes_are_compared_with(contracts):
    edit(contracts / "crm-stats.monthly.v1.json", ("properties", "energyKwh"), {"type": "number"})
    released = contracts / "released"
    for _ in range(2):
        release(contracts, released)
    assert not (released / "openapi.json").exists()
    assert changes(parts(released), parts(contracts)) == []
    assert breaking(parts(FOLDER), parts(released)) != []

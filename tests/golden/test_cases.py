"""The golden records are what they say: right by the contract's rule, valid by its schemas, and all that a reader must cope with."""

import json
from collections import defaultdict
from itertools import chain

import pytest
from jsonschema import Draft7Validator

from docs.contract_files import FOLDER
from stream_app.contracts.results import AS_OF_KEY, headers_schema, key_schema
from stream_app.domain.tables import TABLES
from stream_app.golden.cases import CASES
from stream_app.golden.records import AS_OF_TOPIC, TOPICS, UNKNOWN, rounds
from stream_app.golden.view import right_view
from stream_app.sinks.topics import ResultRecords

ROUNDS = rounds(ResultRecords("com.example.crm-stats", "/crm-stats"))
ALL = [each for one in ROUNDS for each in (*one.aborted, *one.committed)]
NAMES = {topic: f"golden.{topic}" for topic in TOPICS}
RIGHT = right_view(ROUNDS, NAMES)


def version_of(record):
    return dict(record.headers)["ce_id"].decode().rpartition("@")[2]


def highest():
    """The view by the contract's rule alone: of the committed records of a key the one with the highest version counts."""
    held = {}
    for each in chain.from_iterable(one.committed for one in ROUNDS):
        at, version = (each.topic, each.record.key.decode()), version_of(each.record)
        version = version if each.topic == AS_OF_TOPIC else int(version)
        if at not in held or version > held[at][0]:
            held[at] = version, each.record.value
    view = defaultdict(dict)
    for (topic, key), (_, value) in held.items():
        if value is not None:
            view[NAMES[topic]][key] = {name: found for name, found in json.loads(value).items() if name != UNKNOWN}
    return view


def test_the_right_view_is_the_one_by_the_rule_of_the_contract():
    assert highest() == RIGHT


def test_each_topic_has_several_operators_groups_and_periods_and_the_monthly_one_several_currencies():
    for table in TABLES:
        values = RIGHT[NAMES[table.topic]].values()
        assert len({value["operatorId"] for value in values}) > 1
        assert len({value["groupId"] for value in values}) > 1
        assert len({value[table.period.name] for value in values}) > 1
    assert len({value["currency"] for value in RIGHT["golden.monthly.v1"].values()}) > 1


@pytest.mark.parametrize("topic", TOPICS)
def test_records_are_valid_by_the_contract(topic):
    schema = json.loads((FOLDER / f"crm-stats.{topic}.json").read_text())
    value, headers = Draft7Validator(schema), Draft7Validator(headers_schema(topic))
    keys = {table.topic: key_schema(table) for table in TABLES} | {AS_OF_TOPIC: AS_OF_KEY}
    records = [each.record for each in ALL if each.topic == topic]
    for record in records:
        Draft7Validator(keys[topic]).validate(record.key.decode())
        headers.validate({name: found.decode() for name, found in record.headers})
        if record.value is not None:
            value.validate(json.loads(record.value))
    assert len(records) > 4


def test_versions_of_a_case_have_figures_of_their_own():
    values = defaultdict(set)
    for each in ALL:
        if each.record.value is not None and each.topic != AS_OF_TOPIC:
            values[each.topic, each.record.key].add((int(version_of(each.record)), each.record.value))
    for at, found in values.items():
        figures = {value.split(b'"asOf"')[0] for _, value in found}
        assert len(figures) == len({version for version, _ in found}), at


# Readers that get one thing wrong: what each of them does with a record that is committed (or not), against what it holds.
WRONG = {
    "the last record counts": lambda *_: True,
    "versions are compared as text": lambda held, version: str(version) > str(held),
    "versions are compared as 32-bit numbers": lambda held, version: version & 0xFFFFFFFF > held & 0xFFFFFFFF,
}


def held_by(
    is_newer=lambda held, version: version > held, *, aborted=False, forgets=False, tombstones=True, by_key=True
):
    """The values of the cells that a reader holds in the end."""
    versions, view = {}, {}
    for each in chain.from_iterable((one.aborted if aborted else []) + one.committed for one in ROUNDS):
        if each.topic == AS_OF_TOPIC:
            continue
        at, version = (NAMES[each.topic], each.record.key.decode()), int(version_of(each.record))
        if each.record.value is None and not tombstones:
            continue
        if at in versions and not is_newer(versions[at], version):
            continue
        versions[at] = version
        if each.record.value is None:
            view.pop(at, None)
            if forgets:
                del versions[at]
        else:
            view[at] = {name: found for name, found in json.loads(each.record.value).items() if name != UNKNOWN}
    return view


CELLS = {
    (topic, key): value for topic, keys in RIGHT.items() if topic != NAMES[AS_OF_TOPIC] for key, value in keys.items()
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_reader_with_a_wrong_order_of_versions_fails(wrong):
    assert held_by() == CELLS
    assert held_by(WRONG[wrong]) != CELLS


@pytest.mark.parametrize("fault", [{"aborted": True}, {"forgets": True}, {"tombstones": False}])
def test_a_reader_of_aborted_records_or_without_tombstones_or_their_versions_fails(fault):
    assert held_by(**fault) != CELLS


def test_a_reader_that_takes_amounts_for_binary_fractions_fails():
    amounts = [value["receivedAmount"] for value in RIGHT["golden.monthly.v1"].values() if value["currency"] == "EUR"]
    assert any(f"{float(amount):.2f}" != amount for amount in amounts)


def test_each_case_is_told_in_words_of_its_own():
    assert len({case.meaning for case in CASES}) == len({case.group for case in CASES}) == len(CASES)

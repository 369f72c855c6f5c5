"""A view beside the right one: each kind of difference is named, with its case; what a reader does not keep is left out, and said."""

import json
from copy import deepcopy

import pytest

from stream_app.golden.records import TOPICS, UNKNOWN, rounds
from stream_app.golden.view import ViewError, compare, read_view, right_view
from stream_app.sinks.topics import ResultRecords

ROUNDS = rounds(ResultRecords("com.example.crm-stats", "/crm-stats"))
NAMES = {topic: f"golden.{topic}" for topic in TOPICS}
MONTHLY = "golden.monthly.v1"
KEY = "M1|newer|2026-01|EUR"
COUNT = sum(len(keys) for keys in right_view(ROUNDS, NAMES).values())


@pytest.fixture
def view():
    return deepcopy(right_view(ROUNDS, NAMES))


def test_the_right_view_has_no_difference(view):
    found = compare(read_view(json.dumps({"view": view, "offsets": {}})), ROUNDS, NAMES)
    assert found == ([], COUNT, [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda keys: keys.pop(KEY), "is missing (a newer version takes the place of an older one)"),
        (lambda keys: keys[KEY].update(version=1), "version is 1, must be 2 (a newer version takes the place of an older one)"),
        (lambda keys: keys[KEY].update(version="2"), 'version is "2", must be 2 (a newer version takes the place of an older one)'),
        (lambda keys: keys[KEY].pop("month"), 'month is null, must be "2026-01" (a newer version takes the place of an older one)'),
    ],
)  # fmt: skip
def test_a_difference_is_named_with_its_case(view, change, said):
    change(view[MONTHLY])
    found = compare(view, ROUNDS, NAMES)
    assert found == ([f"{MONTHLY} {KEY}: {said}"], COUNT - 1, [])


def test_a_key_that_must_be_gone_is_named(view):
    view[MONTHLY]["M1|gone|2026-01|EUR"] = view[MONTHLY][KEY] | {"version": 1}
    view[MONTHLY]["else"] = {"version": 5}
    assert compare(view, ROUNDS, NAMES).differences == [
        f"{MONTHLY} M1|gone|2026-01|EUR: must not be there, with version 1 (a tombstone takes the key away)",
        f"{MONTHLY} else: must not be there, with version 5 (no record has this key)",
    ]


def test_null_stands_for_no_key(view):
    view[MONTHLY]["M1|gone|2026-01|EUR"] = None
    assert compare(read_view(json.dumps({"view": view})), ROUNDS, NAMES).differences == []


def test_what_a_reader_does_not_keep_is_told_and_what_it_holds_besides_is_no_difference(view):
    kept = {
        key: {"version": value["version"], UNKNOWN: 1, "of my own": 2}
        for key, value in view["golden.half-hour.v1"].items()
    }
    found = compare({"golden.half-hour.v1": kept, "else": {}}, ROUNDS, NAMES)
    assert found.differences == []
    fields = ("operatorId", "groupId", "date", "timezone", "slots", "total", "partition", "asOf")
    assert found.left_out == [MONTHLY, *(f"golden.half-hour.v1: {field}" for field in fields), "golden.as-of.v1"]
    assert found.same == len(kept)


def test_a_view_without_a_single_key_is_no_right_one():
    found = compare({topic: {} for topic in NAMES.values()}, ROUNDS, NAMES)
    assert len(found.differences) == COUNT


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no JSON"),
        ("[]", 'is no object with a member "view"'),
        ('{"view": 1}', 'is no object with a member "view"'),
        ('{"view": {"golden.monthly.v1": []}}', "has no object of keys in view, golden.monthly.v1"),
        ('{"view": {"golden.monthly.v1": {"k": 1}}}', "has no object in view, golden.monthly.v1, k"),
    ],
)
def test_what_is_no_view_is_one_sentence(text, said):
    with pytest.raises(ViewError, match=said):
        read_view(text)


def test_a_view_of_other_topics_is_no_view_of_these():
    with pytest.raises(ViewError, match=r"has none of the topics golden\.monthly\.v1, "):
        compare({"else.monthly.v1": {}}, ROUNDS, NAMES)

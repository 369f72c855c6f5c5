"""Which records differ between what is shown and what would be, by digests of what they say."""

import json
from typing import Any

import pytest

from stream_app.domain.cells import CellKey
from stream_app.domain.tables import MONTHLY
from stream_app.rebuild.difference import different
from stream_app.rebuild.shown import Shown, cell_of, digest

KEY = ("monthly", b"M1|ALL|2026-11|EUR")
OTHER = ("half_hour", b"M1|ALL|2026-11-03")
SAYS: dict[str, Any] = {"month": "2026-11", "receivedAmount": "1.00", "partition": 3, "asOf": "2026", "version": 7}


def said(**changes: Any) -> Shown:
    value = SAYS | changes
    return Shown(digest(json.dumps(value).encode()), value["version"])


DIFFERENCES = [
    ("nothing anywhere", {}, {}, set()),
    ("the same", {KEY: said()}, {KEY: said()}, set()),
    ("another version and as-of of the same", {KEY: said()}, {KEY: said(version=1 << 41, asOf="2027")}, set()),
    ("another partition of the same", {KEY: said()}, {KEY: said(partition=0)}, set()),
    ("another amount", {KEY: said()}, {KEY: said(receivedAmount="1.01")}, {KEY}),
    ("a figure more", {KEY: said()}, {KEY: said(energyKwh="0.000")}, {KEY}),
    ("one that would go", {KEY: said(), OTHER: said()}, {KEY: said()}, {OTHER}),
    ("one that would come", {}, {OTHER: said()}, {OTHER}),
    ("the same key in another table", {KEY: said()}, {("half_hour", KEY[1]): said()}, {KEY, ("half_hour", KEY[1])}),
]


@pytest.mark.parametrize(("situation", "shown", "own", "expected"), DIFFERENCES)
def test_these_records_differ(situation, shown, own, expected):
    """What generations must differ in does not count."""
    assert different(shown, own) == expected


def test_a_name_says_table_cell_and_currency():
    """Ids are decoded."""
    assert cell_of(("monthly", b"a%7Cb|%7B%25|2026-11|EUR")) == (MONTHLY, CellKey("a|b", "{%", 202611), "EUR")

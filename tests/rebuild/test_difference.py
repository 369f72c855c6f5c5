"""Which records differ between what is shown and what would be, by digests of what they say."""

import json
from typing import Any

import pytest

from stream_app.domain.cells import CellKey
from stream_app.domain.tables import MONTHLY
from stream_app.rebuild.difference import different
from stream_app.rebuild.shown import Shown, cell_of, shown

KEY = ("monthly", b"M1|ALL|2026-11|EUR")
OTHER = ("half_hour", b"M1|ALL|2026-11-03")
BESIDE = ("monthly", b"M1|ALL|2026-11|USD")
SAYS: dict[str, Any] = {
    "month": "2026-11",
    "currency": "EUR",
    "receivedAmount": "1.00",
    "paymentCount": 1,
    "sessionCount": 1,
    "partition": 3,
    "asOf": "2026",
    "version": 7,
}
SLOTS: dict[str, Any] = {"slots": [0, 2], "total": 2, "version": 7}
NO_PAYMENT: dict[str, Any] = {"receivedAmount": "0.00", "paymentCount": 0}
NOTHING: dict[str, Any] = NO_PAYMENT | {"sessionCount": 0}


def said(**changes: Any) -> Shown:
    return shown(json.dumps(SAYS | changes).encode())


def counted(**changes: Any) -> Shown:
    return shown(json.dumps(SLOTS | changes).encode())


DIFFERENCES = [
    ("nothing anywhere", {}, {}, set()),
    ("the same", {KEY: said()}, {KEY: said()}, set()),
    ("another version and as-of of the same", {KEY: said()}, {KEY: said(version=1 << 41, asOf="2027")}, set()),
    ("another partition of the same", {KEY: said()}, {KEY: said(partition=0)}, set()),
    ("another amount", {KEY: said()}, {KEY: said(receivedAmount="1.01")}, {KEY}),
    ("a figure more", {KEY: said()}, {KEY: said(energyKwh="0.000")}, {KEY}),
    ("one that would go", {KEY: said(), OTHER: counted()}, {KEY: said()}, {OTHER}),
    ("one that would come", {}, {OTHER: counted()}, {OTHER}),
    ("zeros that would come", {}, {OTHER: counted(slots=[0, 0], total=0)}, set()),
    ("zeros that would go", {KEY: said(**NOTHING)}, {}, set()),
    ("sessions that would go", {KEY: said(**NO_PAYMENT)}, {}, {KEY}),
    (
        "zeros of a currency of before, beside the same sessions",
        {KEY: said(), BESIDE: said(currency="USD", **NO_PAYMENT)},
        {KEY: said()},
        set(),
    ),
    (
        "payments of a currency that would go",
        {KEY: said(), BESIDE: said(currency="USD")},
        {KEY: said()},
        {BESIDE},
    ),
    ("the same key in another table", {KEY: said()}, {("half_hour", KEY[1]): counted()}, {KEY, ("half_hour", KEY[1])}),
]


@pytest.mark.parametrize(("situation", "stand", "own", "expected"), DIFFERENCES)
def test_these_records_differ(situation, stand, own, expected):
    """What generations must differ in does not count."""
    assert different(stand, own) == expected


def test_a_name_says_table_cell_and_currency():
    """Ids are decoded."""
    assert cell_of(("monthly", b"a%7Cb|%7B%25|2026-11|EUR")) == (MONTHLY, CellKey("a|b", "{%", 202611), "EUR")

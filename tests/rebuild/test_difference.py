"""Which records differ between what is shown and what would be, by what they say."""

import json
from typing import Any

import pytest

from stream_app.domain.cells import CellKey
from stream_app.domain.tables import MONTHLY
from stream_app.rebuild.difference import different
from stream_app.rebuild.shown import Shown, cell_of, shown

EUR, CHF = ("monthly", b"M1|ALL|2026-11|EUR"), ("monthly", b"M1|ALL|2026-11|CHF")
DAY = ("half_hour", b"M1|ALL|2026-11-03")
SAYS: dict[str, Any] = {
    "currency": "EUR",
    "receivedAmount": "1.00",
    "paymentCount": 1,
    "sessionCount": 2,
    "partition": 3,
    "asOf": "2026",
    "version": 7,
}


def said(**changes: Any) -> Shown:
    return shown(json.dumps(SAYS | changes).encode())


def counted(total: int) -> Shown:
    return shown(json.dumps({"total": total, "version": 7}).encode())


DIFFERENCES = [
    ("nothing anywhere", {}, {}, set()),
    ("the same", {EUR: said()}, {EUR: said()}, set()),
    ("another version and as-of of the same", {EUR: said()}, {EUR: said(version=1 << 41, asOf="2027")}, set()),
    ("another partition of the same", {EUR: said()}, {EUR: said(partition=0)}, set()),
    ("another amount", {EUR: said()}, {EUR: said(receivedAmount="1.01")}, {EUR}),
    ("a figure more", {EUR: said()}, {EUR: said(energyKwh="0.000")}, {EUR}),
    ("a record that would go", {EUR: said(), DAY: counted(3)}, {EUR: said()}, {DAY}),
    ("one that would come", {}, {DAY: counted(3)}, {DAY}),
    ("one of zeros that would go", {EUR: said(paymentCount=0, sessionCount=0), DAY: counted(0)}, {}, set()),
    ("one of sessions alone that would come", {}, {EUR: said(paymentCount=0)}, {EUR}),
    (
        "a currency without payments, of a cell that is there in another one: its sessions stand there",
        {EUR: said(), CHF: said(currency="CHF", paymentCount=0)},
        {EUR: said()},
        set(),
    ),
    (
        "a currency with payments, of a cell that is there in another one",
        {EUR: said()},
        {EUR: said(), CHF: said(currency="CHF")},
        {CHF},
    ),
    ("the same key in another table", {DAY: counted(3)}, {("other", DAY[1]): counted(3)}, {DAY, ("other", DAY[1])}),
]


@pytest.mark.parametrize(("situation", "serving", "own", "expected"), DIFFERENCES)
def test_these_records_differ(situation, serving, own, expected):
    """What generations must differ in does not count, nor which zeros stand."""
    assert different(serving, own) == expected


def test_a_name_says_table_cell_and_currency():
    """Ids are decoded."""
    assert cell_of(("monthly", b"a%7Cb|%7B%25|2026-11|EUR")) == (MONTHLY, CellKey("a|b", "{%", 202611), "EUR")

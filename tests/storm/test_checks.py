"""What a storm holds results against sees what is wrong, and lets pass what is right."""

import json
from typing import Any

import pytest

from tests.oracle import Record, truth
from tests.storm.prefixes import Versions
from tests.storm.readers import Falls, Freshness, Name, Notes, Seen
from tests.storm.storm import Recovery, summaries
from tests.support.by_hand import NOW, at, clock, payment
from tests.support.in_memory import frame

GENERATION = 1 << 40
TOPIC = "charging.payments"
NOW_MS = at(NOW) * 900_000
MONTHLY = Name("monthly", "M1", "ALL")


def record(frame_offset: int, id_: str, amount: int) -> Record:
    """The source record of the only event of a frame (tests.support.in_memory)."""
    value = {
        "payment_id": id_,
        "operator_id": "M1",
        "status": "SUCCEEDED",
        "amount_received": amount,
        "currency": "EUR",
    }
    value["paid_at"] = NOW_MS - 3_600_000
    return Record(TOPIC, 0, 1000 * frame_offset, NOW_MS, None, json.dumps(value).encode())


RECORDS = [record(1, "p1", 100), record(2, "p2", 25)]
EVENTS = [
    Record("events", 0, 0, NOW_MS, None, frame(clock(NOW))),
    *(
        Record("events", 0, n, NOW_MS, None, frame(payment(f"p{n}", "2026-11-24 11:00", None, amount), offset=n))
        for n, amount in ((1, 100), (2, 25))
    ),
]


def document(count: int) -> Any:
    """What is right when so many of the records are applied."""
    return truth(RECORDS[:count], now=NOW_MS).monthly_index("M1")


def versions(*taken_ms: int) -> Versions:
    """With the times at which Kafka had taken the records."""
    return Versions(EVENTS, RECORDS, {record.place: ms for record, ms in zip(RECORDS, taken_ms, strict=True)})


@pytest.mark.parametrize(
    ("offset", "shown", "as_of_ms", "is_right"),
    [
        (2, document(1), 0, True),
        (3, document(2), 0, True),
        (2, document(2), 0, False),  # more than the version holds
        (3, document(1), 0, False),  # less
        (2, document(1), 2000, True),  # the second record was taken at that very moment
        (2, document(1), 2001, False),  # it was taken before
        (3, document(2), 2001, True),
    ],
)
def test_a_version_shows_exactly_the_records_before_its_place_and_all_that_its_as_of_claims(
    offset, shown, as_of_ms, is_right
):
    seen = Seen(MONTHLY, GENERATION + offset, shown, as_of_ms)
    assert (versions(1000, 2000).wrong(seen) == []) is is_right


def test_a_row_of_clickhouse_is_compared_figure_by_figure():
    name = Name("row", "M1", "ALL", "2026-11", "EUR")
    zeros = ["0.00", 0, 0, "0.00", 0, 0, "0.00", "0.000", "0.000"]
    right = ["1.25", "0.0000", "0.00", 2, 0, "0.00", *zeros[4:5], 0, "0.00", "0.000", "0.000", "1.2500", 0, "0.000"]
    assert versions(0, 0).wrong(Seen(name, GENERATION + 3, right, 0)) == []
    assert len(versions(0, 0).wrong(Seen(name, GENERATION + 2, right, 0))) == 3


def test_one_version_has_one_content_and_a_version_that_is_nothing_counts_as_none():
    notes = Notes(keep_share=1.0)
    notes.content("Redis", MONTHLY, 7, {"total": 1})
    notes.content("HTTP", MONTHLY, 7, {"total": 1})
    notes.content("Redis", MONTHLY, 0, {"total": 1})
    notes.content("Redis", MONTHLY, 0, {"total": 2})
    assert (notes.wrong, notes.versions, len(notes.kept)) == ([], 1, 1)
    notes.content("ClickHouse", MONTHLY, 7, {"total": 2})
    assert "two contents of version 7" in notes.wrong[0]


def test_what_falls_is_seen_and_what_stands_or_rises_is_not():
    falls = Falls()
    assert [falls.fell("a", version) for version in (3, 3, 4)] == ["", "", ""]
    assert falls.fell("b", 1) == ""
    assert falls.fell("a", 3) == "a: 4, then 3"


def test_results_grow_older_while_nobody_says_their_age():
    answers = iter((1000, None, None))
    freshness = Freshness(lambda: next(answers))
    freshness.seen = [(2000, 1000), (5000, None), (9000, 8000)]
    assert freshness.oldest_s(1500, 6000) == 4.0
    assert freshness.reached(8000)
    assert not freshness.reached(8001)


def test_recoveries_are_summed_up_by_kind_and_those_of_two_faults_at_a_time_apart():
    kind, other = "worker killed", "broker restarted"
    found = summaries(
        [Recovery(kind, True, 3.0, 4.0), Recovery(kind, True, None, 90.0), Recovery(kind, False, 9.0, 9.0), Recovery(other, True, 1.0, 1.0)]
    )  # fmt: skip
    assert [one[:4] for one in found] == [(kind, 2, None, None), (other, 1, 1.0, 1.0), ("two at a time", 1, 9.0, 9.0)]

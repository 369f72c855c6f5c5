"""What one transaction of a partition holds: rows, records, dead letters, of one offset; muted, it publishes nothing."""

import json
import sys
from collections.abc import Generator
from datetime import date
from typing import TypeVar

import pytest

from stream_app.domain import figures, probe
from stream_app.domain.cells import CellKey, FigureCell
from stream_app.domain.events import PARTITION, PARTITIONS_MAX
from stream_app.domain.local_time import day_of
from stream_app.domain.tables import HALF_HOUR, MONTHLY
from stream_app.formats import rows
from stream_app.formats.rows import decode_position, version_of
from stream_app.partition import outbox
from stream_app.partition.frozen_rows import CommittedRows, FrozenRows
from stream_app.partition.partition_state import PartitionState, Tick
from stream_app.partition.positions import new_position
from tests.support.by_hand import Clock, Event, announced, clock, member, of, session
from tests.support.in_memory import PARTITIONS, RESULTS, MemoryStore, conf, frame

T = TypeVar("T")

NOON = "2026-11-03 12:00"
START = clock("2026-11-24 12:00")
LATE = session("late", "2025-10-31 09:45")


class Partition:
    """A partition state above a store in memory; each tick is committed."""

    def __init__(self, *, muted: bool = False, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.conf = conf(muted=muted)
        frozen = FrozenRows(self.store)
        (raw,) = self.store.load([rows.POSITION])
        position = new_position(self.conf.ledger, "the topic", 3, 0) if raw is None else decode_position(raw)
        self.state = PartitionState(self.conf, 0, frozen, position, PARTITIONS, muted=muted)

    def apply(self, *items: Event | Clock) -> None:
        """Each in a frame of its own."""
        at = self.state.applied
        self.state.apply([frame(item, offset=at + index) for index, item in enumerate(items)])

    def tick(self, *items: Event | Clock, publish: bool = True) -> Tick:
        if items:
            self.apply(*items)
        tick = self.state.freeze(1_795_500_000_000, publish=publish)
        self.store.write(tick.rows, self.store.log + 1)
        self.state.committed()
        return tick

    def restarted(self, *, muted: bool = False) -> "Partition":
        """Another owner, above the same rows."""
        return Partition(muted=muted, store=self.store)


def keys(tick: Tick) -> dict[str, list[str]]:
    """Topic -> keys of its records, those of a tombstone in brackets."""
    return {
        topic: sorted(
            record.key.decode() if record.value is not None else f"({record.key.decode()})" for record in some
        )
        for (topic, _), some in tick.records.items()
    }


MONTHS, DAYS = RESULTS["monthly"], RESULTS["half_hour"]
TICKS = [
    (
        "a session shows its month and its day, and today's",
        [[START, session("s1", NOON)]],
        {MONTHS: ["M1|ALL|2026-11|EUR"], DAYS: ["M1|ALL|2026-11-03", "M1|ALL|2026-11-24"]},
    ),
    (
        "a record that changes nothing shows nothing",
        [[START, session("s1", NOON, version=1)], [session("s1", NOON)]],
        {},
    ),
    (
        "a membership shows the group's cells, and ALL's not again",
        [[START, session("s1", NOON, "ann")], [member("ann", "vip")]],
        {MONTHS: ["M1|vip|2026-11|EUR"], DAYS: ["M1|vip|2026-11-03", "M1|vip|2026-11-24"]},
    ),
    (
        "what comes too late is a dead letter",
        [[START, session("s1", NOON)], [LATE]],
        {"dead-letters": ["sources-0/0/2000"]},
    ),
    (
        "what leaves retention gets tombstones, what begins is shown",
        [[START, session("s1", NOON)], [clock("2027-12-01 00:00")]],
        {
            MONTHS: ["(M1|ALL|2026-11|EUR)", "M1|ALL|2027-12|EUR"],
            DAYS: ["(M1|ALL|2026-11-03)", "(M1|ALL|2026-11-24)", "M1|ALL|2027-12-01"],
        },
    ),
    ("the probe's payments are nobody's result", [[START, of(probe.OPERATOR, session("s1", NOON))]], {}),
]


@pytest.mark.parametrize(("situation", "ticks", "expected"), TICKS)
def test_the_last_tick_holds_these_records(situation, ticks, expected):
    """Each list of events is a tick."""
    partition = Partition()
    found = [partition.tick(*items) for items in ticks][-1]
    assert keys(found) == expected


def test_a_tick_holds_all_of_one_offset():
    """Rows, position, records and what sinks must copy."""
    partition = Partition()
    tick = partition.tick(START, session("s1", NOON))
    version = version_of(3, 2)
    position = decode_position(tick.rows[rows.POSITION])
    assert (tick.offset, tick.published, position.offset, position.published) == (2, 2, 2, version)
    assert (position.now, position.as_of) == (START.now, 1_795_500_000_000)
    assert {json.loads(record.value or b"")["version"] for some in tick.records.values() for record in some} == {
        version
    }
    view = CommittedRows(0, partition.store)
    for table, cells in tick.dirty.cells.items():
        assert {key for key, _ in view.scan_cells(MONTHLY, "M1")} == cells or table != "monthly"
    assert tick.dirty.operators == {"M1"}


def test_what_was_not_published_is_published_with_a_later_tick():
    """Once, in its last state; an owner that comes meanwhile does it, too."""
    partition = Partition()
    first = partition.tick(START, session("s1", NOON), publish=False)
    assert (keys(first), first.published, partition.state.unpublished) == ({}, None, True)
    heir = partition.restarted()
    assert heir.state.unpublished
    for each in (partition, heir):
        assert keys(each.tick(session("s2", NOON)))[MONTHS] == ["M1|ALL|2026-11|EUR"]
        assert not each.state.unpublished
        assert not each.restarted().state.unpublished


# -- a generation that is being built


def test_a_muted_partition_publishes_nothing():
    """Its rows and its position are as ever, but for what is published."""
    loud, muted = Partition(), Partition(muted=True)
    for items in ([START, session("s1", NOON), LATE], [clock("2027-12-01 00:00")]):
        expected, found = loud.tick(*items), muted.tick(*items)
        assert (found.records, found.published) == ({}, None)
        position = decode_position(found.rows.pop(rows.POSITION))
        assert position.published == -1
        expected.rows.pop(rows.POSITION)
        assert (found.rows, found.offset) == (expected.rows, expected.offset)
    assert not muted.state.unpublished


def test_unmuted_it_publishes_all_of_its_cells():
    """Also those that were frozen before another start."""
    partition = Partition(muted=True)
    partition.tick(START, session("s1", NOON))
    partition = partition.restarted(muted=True)
    partition.apply(session("s2", "2026-10-03 12:00"))
    partition.state.unmute()
    assert partition.state.changed
    tick = partition.tick()
    assert keys(tick) == {
        MONTHS: ["M1|ALL|2026-10|EUR", "M1|ALL|2026-11|EUR"],
        DAYS: ["M1|ALL|2026-10-03", "M1|ALL|2026-11-03", "M1|ALL|2026-11-24"],
    }
    assert tick.published == tick.offset


def test_it_publishes_them_a_number_at_a_time(monkeypatch):
    """A transaction can't hold a whole generation; nothing is said to be published before all is."""
    monkeypatch.setattr(outbox, "_PUBLISHED_MAX", 2)
    partition = Partition(muted=True)
    partition.tick(START, *[session(f"s{day}", f"2026-11-{day:02d} 12:00") for day in range(1, 6)])
    partition.state.unmute()
    ticks = [partition.tick()]
    while partition.state.unpublished:
        ticks.append(partition.tick())
    counts = [{topic: len(some) for topic, some in keys(tick).items()} for tick in ticks]
    assert counts == [{MONTHS: 1, DAYS: 2}, {DAYS: 2}, {DAYS: 2}]  # five days and today
    assert len({record.key for tick in ticks for some in tick.records.values() for record in some}) == 7
    assert [tick.published for tick in ticks] == [None, None, partition.state.applied]
    published = [decode_position(tick.rows[rows.POSITION]).published for tick in ticks]
    assert published == [-1, -1, version_of(3, partition.state.applied)]


LETTERS = [
    # the serving generation has applied up to this offset, so it has sent the letters of the frames before
    (0, ["sources-0/0/1000", "sources-0/0/3000"]),
    (1, ["sources-0/0/1000", "sources-0/0/3000"]),
    (2, ["sources-0/0/3000"]),
    (3, ["sources-0/0/3000"]),
    (4, None),
]


@pytest.mark.parametrize(("applied", "expected"), LETTERS)
def test_dead_letters_that_the_serving_generation_did_not_send_are_sent(applied, expected):
    """Those of frames behind the offset up to which it came; frozen or not makes no difference."""
    partition = Partition(muted=True)
    partition.tick(START, LATE)
    partition.apply(session("s1", NOON), LATE)
    partition.state.forget_letters(applied)
    partition.state.unmute()
    assert keys(partition.tick()).get("dead-letters") == expected


def test_a_dead_letter_holds_the_record_as_it_came():
    """With its reason."""
    partition = Partition()
    (letter,) = partition.tick(START, session("s1", NOON), LATE).records["dead-letters", 0]
    headers = dict(letter.headers)
    assert (letter.value, headers["source-key"], headers["reason"]) == (b"as late came", b"key", b"too_late")


def test_a_dead_letter_names_the_topic_and_the_partition_of_its_source():
    """Partitions of the topics of a kind are numbered on from topic to topic."""
    partition = Partition()
    row = list(LATE.row)
    row[PARTITION] = PARTITIONS_MAX + 5
    (letter,) = partition.tick(START, LATE._replace(row=row)).records["dead-letters", 0]
    assert letter.key == b"sources-1/5/1000"


def test_a_dead_letter_of_a_topic_whose_map_is_gone_has_the_number_of_the_topic():
    """A rebuild reads events whose source topic is no more: they stop nothing."""
    partition = Partition()
    row = list(LATE.row)
    row[PARTITION] = 1007 * PARTITIONS_MAX + 5
    (letter,) = partition.tick(START, LATE._replace(row=row)).records["dead-letters", 0]
    assert letter.key == b"topic-1007/5/1000"


# -- while nothing else is to do


def test_cells_of_an_older_table_of_figures_are_renewed():
    """An operator at a time: written and published again, with the same numbers; then there is nothing to do."""
    partition = Partition()
    partition.tick(START, session("s1", NOON, energy=5), of("M2", session("s1", NOON)))
    for name in ("M1", "M2"):
        key = rows.operator_key(name)
        operator = rows.decode_operator(partition.store.rows[key])
        operator.figures = figures.VERSION - 1
        partition.store.rows[key] = rows.encode(operator)
    before = dict(partition.store.rows)
    partition = partition.restarted()
    assert not partition.state.tidy(), "a version that was shown keeps its content: nothing is renewed before a frame"
    partition.apply(START)
    published = []
    while partition.state.tidy():
        tick = partition.tick()
        published.append(keys(tick)[MONTHS])
    assert sorted(published) == [["M1|ALL|2026-11|EUR"], ["M2|ALL|2026-11|EUR"]]
    assert not partition.state.changed
    for name in ("M1", "M2"):
        assert rows.decode_operator(partition.store.rows[rows.operator_key(name)]).figures == figures.VERSION
    cell_key = rows.cell_key(MONTHLY, next(iter(CommittedRows(0, partition.store).scan_cells(MONTHLY, "M1")))[0])
    old, new = (rows.cell_decoder(MONTHLY)(found[cell_key]) for found in (before, partition.store.rows))
    assert isinstance(new, FigureCell)
    assert (new.sessions, new.payments) == (old.sessions, old.payments)


def test_rows_past_retention_are_swept():
    """In steps, and no result is published by it."""
    partition = Partition()
    partition.tick(START, session("s1", NOON), clock("2027-12-01 12:00"))
    assert [key for key in partition.store.rows if key.startswith(b"e")] != []
    while partition.state.tidy():
        assert keys(partition.tick()) == {}
    assert [key for key in partition.store.rows if key.startswith(b"e")] == []


BEFORE, AFTER = [[f"{name}-{n:04d}" for n in range(2000)] for name in ("before", "after")]


@pytest.mark.parametrize(
    ("change", "day", "counted"),
    [
        (member("ann", *AFTER, version=1), date(2026, 10, 28), (0, 1)),
        (announced("Asia/Tokyo"), date(2026, 10, 29), (1, None)),
    ],
)
def test_what_concerns_very_many_cells_is_done_in_steps(change, day, counted):
    """A customer moves to other groups, an operator to another zone. No step of applying and freezing takes a large part of it: other partitions of the worker, and its clients of Kafka, work in between."""
    partition, times = Partition(), [f"2026-10-{day} 16:00" for day in range(19, 29)]
    partition.tick(START, *(session(f"s-{when}", when, "ann") for when in times), member("ann", *BEFORE))
    spent: list[int] = []  # calls of functions in a step: unlike time the same on any machine

    def note(*_: object) -> None:
        spent[-1] += 1

    def in_steps(steps: Generator[None, None, T]) -> T:
        while True:
            spent.append(0)
            sys.setprofile(note)
            try:
                next(steps)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            finally:
                sys.setprofile(None)

    offset = partition.state.applied
    in_steps(partition.state.applying([frame(change, offset=offset)]))
    applied = len(spent)
    tick = in_steps(partition.state.freezing(1_795_500_000_000, publish=True))
    assert len(tick.rows) > 2000 * len(times)
    assert max(spent[:applied]) < sum(spent[:applied]) / 3
    assert max(spent[applied:]) < sum(spent[applied:]) / 3
    partition.store.write(tick.rows, 1)
    view = CommittedRows(0, partition.store)
    for groups, count in zip((BEFORE, AFTER), counted, strict=True):
        cells = view.cells(HALF_HOUR, [CellKey("M1", group, day_of(day)) for group in groups])
        assert {cell and sum(cell.slots) for cell in cells} == {count}

"""Operators applied apart from the others of their partition: who waits for whom, and what is in the rows after any interruption."""

import asyncio
from itertools import pairwise
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain import calendar
from stream_app.domain.cells import CellKey
from stream_app.domain.tables import MONTHLY, TABLES
from stream_app.formats import rows
from stream_app.formats.rows import POSITION, Ahead, Position, decode_position, encode_position
from stream_app.partition import lane as lane_module
from stream_app.partition import partition_state
from stream_app.partition.frozen_rows import CommittedRows, FrozenRows
from stream_app.partition.lane import Lane
from stream_app.partition.partition_state import PartitionState
from stream_app.partition.positions import PositionError, new_position
from stream_app.ports.kafka import Range
from stream_app.ports.sinks import Dirty
from tests.support.by_hand import Clock, Event, announced, clock, member, of, payment, session
from tests.support.in_memory import PARTITIONS, MemoryLog, MemoryStore, batch, conf, frame

START = clock("2026-11-24 12:00")
EVENING = "2026-10-31 16:00"  # November in Tokyo
KNOWN = [START, *[session(f"s{n}", EVENING, "ann") for n in range(40)], of("M2", session("other", EVENING))]
AS_OF_MS = 1_795_500_000_000


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    """Three entities are many, and each is a step."""
    monkeypatch.setattr(partition_state, "_APART_ROWS", 3)
    monkeypatch.setattr(calendar, "_STEP_ROWS", 1)


def made(items: list[Event | Clock], first: int = 0) -> list[bytes]:
    return [frame(item, offset=first + index) for index, item in enumerate(items)]


class Seen(NamedTuple):
    """What is shown after a tick: the zone of M1 and its sessions of October and November, those of M2, and how far both are complete."""

    timezone: str
    months: tuple[int, int]
    other: int
    complete: int
    version: int


class Shown:
    """A lane above a store, and what sinks could show after each of its ticks."""

    def __init__(self, store: MemoryStore | None = None, *, muted: bool = False) -> None:
        self.store, self.log = store or MemoryStore(), MemoryLog()
        self.seen: list[Seen] = []
        self.crashes: list[Exception] = []
        self.lane = Lane(conf(muted=muted), 0, self.store, self.log, self._told, self._lost, self._crash)

    def _told(self, lane: Lane, dirty: Dirty) -> None:
        view = CommittedRows(0, self.store)
        operator = view.operator("M1")
        if operator is not None:
            keys = [CellKey("M1", "ALL", 202610), CellKey("M1", "ALL", 202611), CellKey("M2", "ALL", 202610)]
            october, november, other = (cell.sessions[0] if cell else 0 for cell in view.cells(MONTHLY, keys))
            self.seen.append(Seen(operator.timezone, (october, november), other, lane.committed, view.version))

    def _lost(self, lane: Lane, what: str, why: str) -> None:
        raise AssertionError(what, why)

    async def _crash(self, exc: Exception) -> None:
        self.crashes.append(exc)

    async def start(self) -> "Shown":
        await self.lane.fence()
        await self.lane.start(Range(0, 1000))
        return self

    async def until(self, condition) -> None:
        async with asyncio.timeout(60):
            while not condition() and not self.crashes:  # noqa: ASYNC110  # a lane tells nobody
                await asyncio.sleep(0)


async def _known() -> Shown:
    shown = await Shown().start()
    await shown.lane.put([batch(0, *made(KNOWN))])
    await shown.until(lambda: shown.lane.committed == len(KNOWN))
    shown.seen.clear()
    return shown


LATER = [
    announced("Asia/Tokyo", version=1),
    of("M2", session("new", EVENING)),
    session("s-new", EVENING, "bob"),
    of("M2", session("late", "2025-10-01 12:00")),
    of("M2", session("newer", EVENING)),
    session("s-newer", EVENING, "bob"),
]


async def test_other_operators_go_on_while_a_zone_is_changed():
    """They are committed and told to sinks; the one whose zone changes stays as it was, and as-of with it, until all of it is there at once."""
    shown = await _known()
    before = len(KNOWN)
    await shown.lane.put([batch(before, *made(LATER, before))])
    await shown.until(lambda: shown.lane.committed == before + len(LATER))
    assert not shown.crashes
    meanwhile = [seen for seen in shown.seen if seen.timezone == "UTC"]
    assert (3, before) in {(seen.other, seen.complete) for seen in meanwhile}
    assert {(seen.months, seen.complete) for seen in meanwhile} == {((40, 0), before)}
    assert shown.seen[-1][:4] == ("Asia/Tokyo", (0, 42), 3, before + len(LATER))
    assert [seen.version for seen in shown.seen] == sorted(seen.version for seen in shown.seen)
    await shown.lane.stop()


async def test_frames_that_come_without_end_keep_no_operator_apart(monkeypatch):
    """One of which there is always something that it has not applied is taken over all the same."""
    monkeypatch.setattr(lane_module, "_TICK_BYTES_MAX", 1_000)  # some frames
    shown = await _known()
    at = len(KNOWN)
    await shown.lane.put([batch(at, frame(announced("Asia/Tokyo", version=1), offset=at))])
    async with asyncio.timeout(60):
        while shown.seen[-1:] == [] or shown.seen[-1].timezone == "UTC":
            at += 1
            await shown.lane.put([batch(at, frame(session(f"more-{at}", EVENING), offset=at))])
            await asyncio.sleep(0)
    assert not shown.crashes
    await shown.lane.stop()


async def test_the_day_of_all_operators_waits_for_a_changed_zone():
    """A clock record moves the partition as a whole: nothing is rolled on that is not counted in its zone."""
    shown = await _known()
    before = len(KNOWN)
    later = [*LATER, clock("2027-12-01 12:00")]
    await shown.lane.put([batch(before, *made(later, before))])
    await shown.until(lambda: shown.lane.committed == before + len(later))
    assert shown.seen[-1][:3] == ("Asia/Tokyo", (0, 0), 0)
    assert decode_position(shown.store.rows[POSITION]).ahead is None
    await shown.lane.stop()


async def test_a_generation_that_is_built_keeps_nobody_apart():
    """Nobody sees its results before all are there."""
    shown = await Shown(muted=True).start()
    await shown.lane.put([batch(0, *made([*KNOWN, *LATER]))])
    await shown.until(lambda: shown.lane.committed == len(KNOWN) + len(LATER))
    positions = [decode_position(commit.rows[POSITION] or b"") for commit in shown.log.commits]
    assert {position.ahead for position in positions} == {None}
    await shown.lane.stop()


def letters(log: MemoryLog) -> int:
    return sum(len(commit.records.get("dead-letters", [])) for commit in log.commits)


async def _interrupted() -> tuple[MemoryStore, Position]:
    """The rows in the middle of a changed zone, when all of the others is committed, the event that is too late, too."""
    shown = await _known()
    before = len(KNOWN)
    await shown.lane.put([batch(before, *made(LATER, before))])
    await shown.until(lambda: bool(shown.seen) and shown.seen[-1].other == 3)
    await shown.lane.stop()
    assert letters(shown.log) == 1
    position = decode_position(shown.store.rows[POSITION])
    assert position.ahead is not None
    assert (position.offset, position.ahead.offset, position.ahead.since) == (
        before,
        before + len(LATER) - 1,
        {"M1": before},
    )
    return shown.store, position


async def test_the_next_owner_goes_on_in_the_middle_of_a_changed_zone():
    """The frames are read again; of operators that are ahead nothing is applied twice, and no version falls."""
    store, position = await _interrupted()
    shown = await Shown(store).start()
    assert shown.lane.expected == position.offset
    frames = made([*KNOWN, *LATER])
    first = shown.lane.fetch_from
    for at in range(first, len(frames)):
        await shown.lane.put([batch(at, frames[at])])
        await asyncio.sleep(0)
    await shown.until(lambda: shown.lane.committed == len(frames))
    assert not shown.crashes
    versions = [seen.version for seen in shown.seen]
    assert versions == sorted(versions)
    assert letters(shown.log) == 0
    assert (versions[0], versions[-1]) == (rows.version_of(3, position.applied), rows.version_of(3, len(frames)))
    assert shown.seen[-1][:4] == ("Asia/Tokyo", (0, 42), 3, len(frames))
    await shown.lane.stop()


async def test_frames_that_others_had_applied_and_kafka_lost_are_found_out():
    """The position holds a checksum of the last one."""
    store, _ = await _interrupted()
    shown = await Shown(store).start()
    frames = made([*KNOWN, *LATER[:-2], of("M2", session("another", EVENING)), LATER[-1]])
    first = shown.lane.fetch_from
    await shown.lane.put([batch(first, *frames[first:])])
    await shown.until(lambda: False)
    assert [type(exc) for exc in shown.crashes] == [PositionError]
    assert f"at offset {len(frames) - 2} stands another frame" in str(shown.crashes[0])


async def test_a_topic_that_ends_before_what_others_had_applied_is_another_history():
    """Not only one that ends before the position."""
    store, position = await _interrupted()
    lane = Shown(store).lane
    await lane.fence()
    with pytest.raises(PositionError, match=f"the state goes on at {position.applied}"):
        await lane.start(Range(0, position.applied - 1))


def test_what_is_held_of_an_operator_is_applied_in_steps():
    """However much came while it was counted: others wait for a step of it, not for all."""
    owner = _Owner(MemoryStore())
    owner.apply(made(KNOWN))
    owner.freeze()
    at = len(KNOWN)
    many = [session(f"many-{n}", EVENING, f"c{n}") for n in range(8000)]
    events = [many[start : start + 800] for start in range(0, len(many), 800)]
    frames = [frame(*some, offset=at + 1 + n) for n, some in enumerate(events)]
    owner.apply([frame(announced("Asia/Tokyo", version=1), offset=at), *frames])
    apart, counts = owner.state.apart, [8000]
    while apart.step():
        counts.append(apart.events)
    assert max(before - after for before, after in pairwise(counts)) <= 1600
    assert counts[-1] == 0
    list(owner.state.rejoining())
    owner.freeze()
    (cell,) = CommittedRows(0, owner.store).cells(MONTHLY, [CellKey("M1", "ALL", 202611)])
    assert cell is not None
    assert cell.sessions[0] == 8040


# -- any interleaving

ZONES = st.sampled_from(["Asia/Tokyo", "America/St_Johns", "UTC"])
TIMES = st.sampled_from(
    [
        EVENING,
        "2026-11-01 01:00",
        "2026-11-20 23:30",
        "2025-10-31 12:00",
        "2025-10-31 23:30",
        "2026-08-24 12:00",
        "2025-10-01 12:00",
    ]
)
CUSTOMERS = st.sampled_from([None, "ann", "bob"])
IDS = st.sampled_from("abcdef")
VERSIONS = st.integers(0, 3)
EVENTS = st.builds(
    of,
    st.sampled_from(["M1", "M1", "M2"]),
    st.one_of(
        st.builds(session, IDS, TIMES, CUSTOMERS, version=VERSIONS, counted=st.booleans()),
        st.builds(payment, IDS, TIMES, CUSTOMERS, st.integers(0, 5), version=VERSIONS),
        st.builds(member, st.sampled_from(["ann", "bob"]), st.sampled_from(["vip", "fleet"]), version=VERSIONS),
        st.builds(announced, ZONES, version=st.integers(0, 9)),
    ),
)
ITEMS = st.lists(
    st.one_of(EVENTS, EVENTS, EVENTS, st.sampled_from([clock("2026-11-25 00:00"), clock("2026-12-01 03:00")])),
    min_size=5,
    max_size=40,
)


class _Owner:
    """A partition's state, as its lane drives it: each freeze is committed."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        raw = store.rows.get(POSITION)
        position = new_position(conf().ledger, "the topic", 3, 0) if raw is None else decode_position(raw)
        self.state = PartitionState(conf(), 0, FrozenRows(store), position, PARTITIONS)
        self.letters: list[bytes | None] = []

    def apply(self, frames: list[bytes]) -> None:
        while frames:
            steps = self.state.applying(frames)
            while True:
                try:
                    next(steps)
                except StopIteration as done:
                    frames = frames[done.value :]
                    break
                self.state.apart.step()  # between those of the others
            if frames:
                self.freeze()

    def freeze(self) -> None:
        tick = self.state.freeze(AS_OF_MS, publish=True)
        self.store.write(tick.rows, self.store.log + 1)
        self.state.committed()
        self.letters += [record.key for record in tick.records.get(("dead-letters", 0), [])]


def _content(store: MemoryStore) -> dict[bytes, object]:
    """The rows without what depends on how frames fell into transactions: versions, as-of."""
    found: dict[bytes, object] = {}
    for table in TABLES:
        for operator in ("M1", "M2"):
            for key, cell in CommittedRows(0, store).scan_cells(table, operator):
                found[rows.cell_key(table, key)] = msgspec.structs.replace(cell, version=0, as_of=0)
    for key, value in store.rows.items():
        if key[:1] == b"e":
            found[key] = value
        elif key[:1] == b"o":
            operator = rows.decode_operator(value)
            counted = {currency: months for currency, months in operator.payments.items() if months}
            found[key] = msgspec.structs.replace(operator, payments=counted)  # a currency may be left without a month
        elif key[:1] == b"c":
            # Its maps have the order in which their keys came.
            found[key] = value[:1], msgspec.msgpack.decode(value[1:])
        elif key[:1] == b"g":
            found[key] = msgspec.structs.replace(rows.decode_group(value), shown={})
    return found


TURNS = st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans(), st.sampled_from([False, False, True]))


@given(ITEMS, st.lists(TURNS, min_size=5, max_size=30))
def test_apart_or_not_rows_and_letters_are_the_same(items, turns):
    """Whatever is frozen in between, however far operators apart are then, and whoever takes the partition over. A turn: frames, steps apart, is it frozen, is it given away?"""
    frames = made([*KNOWN[:6], announced("Asia/Tokyo", version=4), *items])
    alone = _Owner(MemoryStore())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition_state, "_APART_ROWS", 1_000_000)
        for one in frames:
            alone.apply([one])
            alone.freeze()
    store, found = MemoryStore(), []
    owner = _Owner(store)
    owner.apply(frames[:6])
    for count, steps, is_frozen, is_given_away in turns:
        owner.apply(frames[owner.state.read : owner.state.read + count])
        for _ in range(steps):
            owner.state.apart.step()
        list(owner.state.rejoining())
        if is_frozen:
            owner.freeze()
        if is_given_away:
            found += owner.letters
            owner = _Owner(store)
    owner.apply(frames[owner.state.read :])
    while owner.state.apart.step():
        pass
    list(owner.state.rejoining())
    owner.freeze()
    found += owner.letters
    assert _content(store) == _content(alone.store)
    assert sorted(map(str, found)) == sorted(map(str, alone.letters))
    position = decode_position(store.rows[POSITION])
    assert (position.offset, position.ahead) == (len(frames), None)


def test_a_version_that_knows_nothing_of_it_reads_the_position():
    """The field is behind those that it knows, and what it does then is to apply the frames again."""
    position = msgspec.structs.replace(new_position(conf().ledger, "the topic", 3, 7), ahead=Ahead(9, 65537, {"M1": 7}))
    fields = msgspec.msgpack.decode(encode_position(position))
    assert fields.pop() == [9, 65537, {"M1": 7}]
    assert msgspec.structs.astuple(msgspec.structs.replace(position, ahead=None))[:-1] == tuple(fields)

"""Sessions, payments and memberships by the native library: the same rows, records and dead letters as by the ledger's own way, whatever came before and however it is cut."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream_app.domain.cells import Customer
from stream_app.domain.events import LASTED, SESSION, TIME
from stream_app.domain.rules import part
from stream_app.formats import rows
from stream_app.formats.frames import FramePart, frames
from stream_app.formats.rows import Position
from stream_app.kernel.upserts import NativeUpserts, new_upserts
from stream_app.partition.frozen_rows import FrozenRows
from stream_app.partition.partition_state import PartitionState, Tick
from stream_app.partition.positions import new_position
from tests.support.by_hand import Clock, Event, again, announced, cdr, clock, member, of, payment, session
from tests.support.in_memory import PARTITIONS, MemoryStore, conf, frame

START = clock("2026-11-24 12:00")
LARGE = (1 << 62) + 1


class Side:
    """A partition state above a store in memory, one of the two ways."""

    def __init__(self, *, native: bool) -> None:
        self.store, self._conf = MemoryStore(), conf(native=native)
        self.start(new_position(self._conf.ledger, "the topic", 3, 0))

    def start(self, position: Position) -> None:
        """A state above what is stored."""
        self.state = PartitionState(self._conf, 0, FrozenRows(self.store), position, PARTITIONS)

    def tick(self, frames_: Sequence[bytes]) -> Tick:
        """Frames are applied, and all of it committed."""
        self.state.apply(frames_)
        tick = self.state.freeze(1_795_500_000_000, publish=True)
        self.store.write(tick.rows, self.store.log + 1)
        self.state.committed()
        return tick


def _readable(key: bytes, value: bytes) -> Any:
    """A row without the order of what lies in it."""
    if key[:1] != b"c":
        return value if key[0] == rows.POSITION[0] else msgspec.msgpack.decode(value[1:], strict=False)
    customer: Customer = rows.decode_customer(value)
    return customer.groups, customer.stamp, {name: part(customer, name) for name in customer.parts}


def _said(tick: Tick) -> Any:
    """All of a transaction but deletions, which may be of what was never there."""
    records = {
        to: sorted((record.key, record.value or b"", record.headers) for record in some)
        for to, some in tick.records.items()
        if "dead" not in to[0]
    }
    letters = [record.key for to, some in tick.records.items() if "dead" in to[0] for record in some]
    changed = {key: _readable(key, value) for key, value in tick.rows.items() if value}
    return changed, records, letters, tick.dirty, tick.offset


class Count(NamedTuple):
    """Of events: handed to the library, and left by it; of operators with cells that it left, batch by batch."""

    given: int
    left: int
    unfolded: int


def compared(ticks: Sequence[Sequence[Sequence[Event] | Clock]]) -> Count:
    """Frames by tick, both ways, with what the library took."""
    sides, made, offset = (Side(native=False), Side(native=True)), [0, 0, 0], 0
    upserts = sides[1].state._ledger.work.upserts
    assert isinstance(upserts, NativeUpserts)
    asked = upserts.upserting

    def counted(work, parts, rules):
        left = yield from asked(work, parts, rules)
        made[0] += sum(len(part.ids) for part in parts)
        made[1] += sum(len(part.ids) for part in left)
        made[2] += len(rules)
        return left

    upserts.upserting = counted  # type: ignore[method-assign]
    for tick in ticks:
        encoded = [
            frame(*(item if not isinstance(item, Clock) else (item,)), offset=offset + n) for n, item in enumerate(tick)
        ]
        offset += len(tick)
        by_python, by_library = (_said(side.tick(encoded)) for side in sides)
        assert by_library == by_python
        assert sides[0].store.rows.keys() == sides[1].store.rows.keys()
    return Count(*made)


# -- one rule each

NOON = "2026-11-03 12:00"
TAKEN = [
    ("a session, a payment", [[session("s1", NOON, "ann", energy=7_000), payment("p1", NOON, "ann", 1250, discount=30)]]),
    ("without a customer", [[session("s1", NOON, energy=7_000), payment("p1", NOON, None, 1250, refunded=50)]]),
    ("the same ids of both kinds", [[session("1", NOON, "ann"), payment("1", NOON, "ann", 5)]]),
    ("a correction within a frame", [[session("s1", NOON, "ann"), session("s1", NOON, "bob", version=1)]]),
    ("a correction in a later tick", [[payment("p1", NOON, "ann", 5)], [payment("p1", NOON, "bob", 9, version=1)]]),
    ("an older version", [[payment("p1", NOON, "ann", 5, version=2)], [payment("p1", NOON, "bob", 9, version=1)]]),
    ("a correction of the currency", [[payment("p1", NOON, "ann", 5)], [payment("p1", NOON, "ann", 5, currency="CHF", version=1)]]),
    ("it counts no longer", [[session("s1", NOON, "ann")], [session("s1", NOON, "ann", counted=False, version=1)]]),
    ("it never counted", [[session("s1", NOON, "ann", counted=False), payment("p1", NOON, "ann", 5, counted=False)]]),
    ("it moves to an earlier time, and holds", [[session("s1", NOON, "ann")], [session("s1", "2026-01-05 08:00", "ann", version=1)]]),
    ("a payment of nothing", [[payment("p1", NOON, "ann", 0)], [payment("p2", NOON, "ann", 7)]]),
    ("before the half-hours that are kept", [[session("s1", "2026-03-03 12:00", "ann"), session("s2", "2026-03-03 12:00")]]),
    ("before the month that the operator keeps", [[session("s1", "2025-10-31 22:15", "ann")]]),
    ("one of another operator", [[of("M2", session("s1", NOON, "ann")), session("s1", NOON, "ann")]]),
    ("a customer in groups", [[member("ann", "vip", "fleet")], [session("s1", NOON, "ann"), payment("p1", NOON, "ann", 5)]]),
    ("groups and events of one tick", [[session("s1", NOON, "ann"), member("ann", "vip"), session("s2", NOON, "ann")]]),
    ("groups that come later", [[session("s1", NOON, "ann")], [member("ann", "vip")], [session("s2", NOON, "ann")]]),
    ("groups that change, and go", [[member("ann", "a", "b", "zoë")], [session("s1", NOON, "ann"), payment("p1", NOON, "ann", 5), payment("p2", NOON, "ann", 5, currency="CHF"), member("ann", "b", "c", version=1)], [member("ann", version=2)]]),
    ("groups that come back within a frame", [[member("ann", "a"), session("s1", NOON, "ann"), member("ann", "b", version=1), session("s2", NOON, "ann"), member("ann", "a", version=2)]]),
    ("an older membership, and the same again", [[member("ann", "a", version=2), session("s1", NOON, "ann")], [member("ann", "b", version=1), member("ann", "a", version=2), member("ann", "a", version=3)]]),
    ("groups of a customer whose half-hours are kept no longer", [[session("s1", "2026-03-03 12:00", "ann", energy=5)], [member("ann", "a")]]),
    ("nothing is left of a customer", [[payment("p1", NOON, "ann", 5)], [payment("p1", NOON, "ann", 5, counted=False, version=1)]]),
    ("nothing but groups is left", [[member("ann", "vip"), payment("p1", NOON, "ann", 5)], [payment("p1", NOON, "bob", 5, version=1)]]),
    ("many currencies", [[payment(f"p{n}", f"2026-{1 + n % 11:02d}-03 12:00", "ann", n, currency=c) for n, c in enumerate(["EUR", "CHF", "JPY"] * 8)]]),
    ("a clock change", [[announced("Europe/Zurich")], [session(f"s{n}", f"2026-10-25 {n:02d}:15", "ann") for n in range(5)]]),
    ("read again, from before", [[again(session("s1", NOON, "ann"))]]),
]  # fmt: skip


@pytest.mark.parametrize(("situation", "ticks"), TAKEN)
def test_the_library_takes_it_all(situation, ticks):
    """Each list of events is a tick."""
    assert compared([[START], *[[events] for events in ticks]])[1:] == (0, 0)


LEFT = [
    ("what comes too late", [[session("s2", NOON, "ann")], [session("s1", "2025-10-31 09:45", "ann"), session("s3", NOON, "ann")]], 1),
    ("what comes too late, and nothing else of its customer", [[session("s2", NOON, "ann")], [session("s1", "2025-10-31 09:45", "ann"), session("s3", NOON, "ann"), member("ann", "vip"), session("s4", NOON, "bob")]], 1),
    ("a customer in very many groups", [[session("s1", NOON, "ann"), member("ann", *(f"g{n:03d}" for n in range(65))), session("s2", NOON, "bob")], [member("ann", "a", version=1)], [session("s3", NOON, "ann")]], 3),
    ("before the clock is known", [[session("s1", NOON, "ann")]], 1),
    ("a correction to before what is kept, of what is known", [[session("s1", NOON, "ann")], [session("s1", "2025-01-01 00:00", "ann", version=1)]], 1),
    ("a sum beyond 64 bits", [[payment("p1", NOON, "ann", LARGE)], [payment("p2", NOON, "ann", LARGE), payment("p3", NOON, "bob", 5)]], 2),
    ("a customer with such a sum", [[payment("p1", NOON, "ann", LARGE), payment("p2", NOON, "ann", LARGE)], [payment("p3", NOON, "ann", 5), payment("p4", NOON, "bob", 5)]], 3),
]  # fmt: skip


@pytest.mark.parametrize(("situation", "ticks", "left"), LEFT)
def test_the_library_leaves_what_is_unusual(situation, ticks, left):
    """Of it, and of nothing else; the outcome is the same."""
    first = [] if situation.startswith("before the clock") else [[START]]
    assert compared([*first, *[[events] for events in ticks]]).left == left


UNFOLDED = [
    ("a sum of two customers beyond 64 bits", [[payment("p1", NOON, "ann", LARGE)], [payment("p2", NOON, "bob", LARGE)]]),
    ("a cell that has such a sum", [[payment("p1", NOON, "ann", LARGE)], [payment("p2", NOON, "bob", LARGE)], [session("s1", NOON, "ann"), member("bob", "vip")]]),
]  # fmt: skip


@pytest.mark.parametrize(("situation", "ticks"), UNFOLDED)
def test_the_library_leaves_cells_that_are_unusual(situation, ticks):
    """With their differences, while all events are taken; the outcome is the same."""
    count = compared([[START], *[[events] for events in ticks]])
    assert (count.left, count.unfolded) == (0, len(ticks) - 1)


def test_cells_of_an_older_format_and_of_fewer_figures():
    """The first are left and written anew, the others are filled up with zeros."""
    sides = Side(native=False), Side(native=True)
    said = []
    for side in sides:
        side.tick([frame(START), frame(session("s1", NOON, "ann"), payment("p1", NOON, "ann", 5), offset=1)])
        for key, value in side.store.rows.items():
            if key[:1] == b"h":  # as if of format 1: no mark before it
                side.store.rows[key] = value[1:]
            elif key[:1] == b"m":  # as if before the last figure of each list
                version, as_of, payments_, sessions = msgspec.msgpack.decode(value[1:])
                cell = version, as_of, {name: sums[:-1] for name, sums in payments_.items()}, sessions[:-1]
                side.store.rows[key] = value[:1] + msgspec.msgpack.encode(cell)
        side.start(rows.decode_position(side.store.rows[rows.POSITION]))
        said.append([_said(side.tick([frame(session(f"s{n}", NOON, "ann"), offset=n)])) for n in (2, 3)])
    assert said[0] == said[1]


def test_rows_of_an_older_format_are_left():
    """They are written anew by the ledger's own way, and taken from then on."""
    sides = Side(native=False), Side(native=True)
    said = []
    for side in sides:
        side.tick([frame(START), frame(session("s1", NOON, "ann"), offset=1)])
        for key, value in side.store.rows.items():
            if key[:1] == b"c":  # as if of format 1: no mark before it
                old = rows.decode_customer(value)
                slots = dict.fromkeys(part(old, "h"), 1)
                side.store.rows[key] = msgspec.msgpack.encode([old.groups, [-1, 0, 0, 0], {}, {202611: 1}, slots])
        said.append([_said(side.tick([frame(session(f"s{n}", NOON, "ann"), offset=n)])) for n in (2, 3)])
    assert said[0] == said[1]


def test_a_figure_that_is_no_sum_of_fields_has_no_library(monkeypatch):
    """All events go the ledger's own way then; nothing of the figure is lost."""
    adders = new_upserts.__globals__["SESSION_SUMS"].adders
    monkeypatch.setattr(
        new_upserts.__globals__["SESSION_SUMS"],
        "adders",
        adders._replace(sums=[adder._replace(amount=None) for adder in adders.sums]),
    )
    assert new_upserts(lambda keys: [None] * len(keys)) is None


# -- anything

IDS = st.sampled_from([f"e{n}" for n in range(6)])
CUSTOMERS = st.sampled_from(["ann", "bob", "zoë", None])
WHENS = st.sampled_from(
    ["2025-10-31 09:45", "2025-10-31 13:00", "2025-11-01 00:00", "2025-12-31 23:45", "2026-06-01 04:00", "2026-08-25 00:00",
     "2026-10-25 00:45", "2026-10-25 01:15", NOON, "2026-11-24 11:45"]
)  # fmt: skip
AMOUNTS = st.sampled_from([0, 1, 99, 40_000, (1 << 53) - 1, LARGE])
VERSIONS = st.integers(0, 3)


@st.composite
def payments(draw):
    received = draw(AMOUNTS)
    refunded = draw(st.sampled_from([0, 0, min(received, 7)]))
    return payment(
        draw(IDS), draw(WHENS), draw(CUSTOMERS), received, discount=draw(AMOUNTS), refunded=refunded,
        currency=draw(st.sampled_from(["EUR", "CHF", "JPY"])), version=draw(VERSIONS), counted=draw(st.booleans()),
    )  # fmt: skip


SESSIONS_ = st.builds(
    session, IDS, WHENS, CUSTOMERS, energy=st.sampled_from([None, 0, 12_400]), version=VERSIONS, counted=st.booleans()
)
MEMBERS = st.builds(
    lambda customer, groups, version: member(customer, *groups, version=version),
    st.sampled_from(["ann", "bob", "zoë"]), st.sampled_from([[], ["vip"], ["fleet", "vip"]]), VERSIONS,
)  # fmt: skip
OTHERS = st.one_of(
    MEMBERS,
    st.builds(cdr, IDS, WHENS, WHENS, CUSTOMERS, AMOUNTS, version=VERSIONS),
    st.builds(announced, st.sampled_from(["UTC", "Europe/Zurich", "America/St_Johns"]), version=VERSIONS),
)
EVENTS = st.one_of(payments(), SESSIONS_, payments(), SESSIONS_, MEMBERS, OTHERS)
FRAMES = st.lists(
    st.builds(lambda event, name: of(name, event), EVENTS, st.sampled_from(["M1", "M2"])), min_size=1, max_size=8
)
CLOCKS = st.sampled_from([clock("2026-11-24 12:15"), clock("2026-12-01 00:00"), clock("2027-03-01 00:00")])
TICKS = st.lists(
    st.lists(st.one_of(FRAMES, FRAMES, FRAMES, FRAMES, CLOCKS), min_size=1, max_size=4), min_size=1, max_size=6
)


@settings(max_examples=200, deadline=None)
@given(TICKS)
@example([[[payment("e0", NOON, "ann", 5), payment("e0", NOON, None, 5, version=1)]]])
def test_any_events_have_the_same_outcome(ticks):
    compared([[START], *ticks])


DISTURBED = [b"c", b"e", b"m", b"h"]  # first bytes of the keys of such rows


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_row_that_is_disturbed_has_the_same_outcome(data):
    """A stored row with other bytes of its shape: the library takes it as the ledger does, or leaves it; it never reads beyond it."""
    sides = Side(native=False), Side(native=True)
    first = [
        frame(START),
        frame(member("ann", "vip"), session("s1", NOON, "ann"), payment("p1", NOON, "ann", 1250), offset=1),
    ]
    then = [
        frame(
            session("s2", NOON, "ann"),
            payment("p1", NOON, "ann", 9, version=1),
            session("s1", NOON, "bob", version=1),
            offset=2,
        )
    ]
    for side in sides:
        side.tick(first)
    key = data.draw(st.sampled_from(sorted(key for key in sides[0].store.rows if key[:1] in DISTURBED)))
    value = bytearray(sides[0].store.rows[key])
    for _ in range(data.draw(st.integers(1, 3))):
        value[data.draw(st.integers(1, len(value) - 1))] = data.draw(st.integers(0, 255))
    value = value[: data.draw(st.integers(1, len(value)))]
    said: list[Any] = []
    for side in sides:
        side.store.rows[key] = bytes(value)
        side.start(rows.decode_position(side.store.rows[rows.POSITION]))
        try:
            said.append(_said(side.tick(then)))
        except Exception:  # noqa: BLE001  # either way may not read it at all
            said.append(None)
    assert None in said or said[0] == said[1]


def test_frames_that_are_disturbed_are_left_or_refused():
    """Parts with ids and rows of other shapes."""
    good = session("s1", NOON, "ann").row
    for ids, found in [
        ([b"s1"], [good[:-1]]),
        ([b"s1", b"s2"], [good]),
        ([b"s1"], [[*good[:TIME], "noon", *good[TIME + 1 :]]]),
        ([b"s1"], [[*good[:LASTED], 1.5]]),
    ]:
        (encoded,) = frames([FramePart("M1", SESSION, ids, found, {})])
        said: list[Any] = []
        for side in (Side(native=False), Side(native=True)):
            side.tick([frame(START)])
            try:
                said.append(_said(side.tick([encoded])))
            except Exception as exc:  # noqa: BLE001
                said.append(type(exc))
        assert said[0] == said[1]

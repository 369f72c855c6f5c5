"""Frames regrouped for another number of partitions: nothing is lost, and an operator's order is kept."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.formats.frames import BYTES_MAX, EVENTS_MAX, FramePart, clock_frame, decode_frame, frames, probe_frame
from stream_app.formats.murmur2 import partition_for
from stream_app.rebuild.copying import regrouped
from tests.support.by_hand import session

OPERATORS = ["M1", "M2", "M3", "大客户", "a|b"]
ROW = session("s", "2026-11-03 12:00").row


def part(
    operator: str, ids: list[str], *, again: bool = False, raws: dict[int, list[bytes | None]] | None = None
) -> FramePart:
    return FramePart(operator, 1, [id_.encode() for id_ in ids], [list(ROW) for _ in ids], raws or {}, again)


def frame(*parts: FramePart) -> bytes:
    (only,) = frames(parts)
    return only


def events(values: list[bytes]) -> dict[str, list[tuple[int, bytes, Any, Any, bool]]]:
    """By operator, in order: kind, id, row, what came, whether read again."""
    found: dict[str, list[tuple[int, bytes, Any, Any, bool]]] = {}
    for value in values:
        for operator, kind, ids, rows, raws, again in decode_frame(value)[1]:
            found.setdefault(operator, []).extend(
                (kind, id_, row, raws.get(i), again) for i, (id_, row) in enumerate(zip(ids, rows, strict=True))
            )
    return found


def values_of(found: dict[int, Any], at: int) -> list[bytes]:
    return [value for _, value, _ in found.get(at, [])]


parts = st.builds(
    lambda operator, ids, again, raw: part(
        operator, ids, again=again, raws={0: [b"key", b"raw"]} if raw and ids else {}
    ),
    st.sampled_from(OPERATORS),
    st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=4),
    st.booleans(),
    st.booleans(),
)
some_frames = st.lists(
    st.one_of(
        st.lists(parts, min_size=1, max_size=4).map(lambda some: frame(*some)),
        st.integers(1, 2_000_000).map(clock_frame),
        st.just(probe_frame()),
    ),
    max_size=8,
)


@given(some_frames, st.integers(1, 9))
def test_nothing_is_lost_and_order_is_kept_within_an_operator(values, partitions):
    """Each operator's events are in its partition, all of them, and in no other one."""
    found = regrouped(values, partitions)
    expected = events(values)
    assert found.keys() <= set(range(partitions))
    for at in range(partitions):
        own = {
            operator: some for operator, some in expected.items() if partition_for(operator.encode(), partitions) == at
        }
        assert events(values_of(found, at)) == own


def clocked(values: list[bytes]) -> dict[str, list[tuple[int, bytes]]]:
    """By operator, in order: the clock that stands when an event is applied, and the event's id."""
    found: dict[str, list[tuple[int, bytes]]] = {}
    clock = 0
    for value in values:
        now, some = decode_frame(value)
        clock = max(clock, now or 0)
        for operator, _, ids, *_ in some:
            found.setdefault(operator, []).extend((clock, id_) for id_ in ids)
    return found


@given(some_frames, st.integers(1, 9))
def test_the_clock_goes_to_each_partition_and_each_event_is_applied_at_the_clock_that_it_was(values, partitions):
    """Each advance once, up to the latest; without a clock record none is made."""
    found = regrouped(values, partitions)
    expected, advances = clocked(values), [0]
    for value in values:
        now, _ = decode_frame(value)
        if (now or 0) > advances[-1]:
            advances.append(now or 0)
    for at in range(partitions):
        copied = values_of(found, at)
        clocks = [decode_frame(value)[0] for value in copied]
        assert [now for now in clocks if now is not None] == advances[1:]
        for operator, some in clocked(copied).items():
            assert some == expected[operator]


def test_an_event_that_came_after_the_clock_is_not_copied_before_it():
    """Or one that was rejected as too late would be accepted, and make its operator known."""
    assert regrouped([clock_frame(7), frame(part("M1", ["s1"]))], 1) == {
        0: [(None, clock_frame(7), []), (None, frame(part("M1", ["s1"])), [])]
    }


@pytest.mark.parametrize("count", [1, EVENTS_MAX, 3 * EVENTS_MAX + 1])
def test_frames_stay_within_their_limits(count):
    """Of events and of bytes, however many small ones come together."""
    values = [frame(part("M1", [f"{n:05d}" * 40])) for n in range(count)]
    copied = values_of(regrouped(values, 4), partition_for(b"M1", 4))
    assert len(events(copied)["M1"]) == count
    for value in copied:
        assert sum(len(ids) for _, _, ids, *_ in decode_frame(value)[1]) <= EVENTS_MAX
        assert len(value) <= BYTES_MAX


def test_records_have_neither_key_nor_headers():
    """As ingest's have."""
    assert regrouped([frame(part("M1", ["s1"])), clock_frame(7)], 1) == {
        0: [(None, frame(part("M1", ["s1"])), []), (None, clock_frame(7), [])]
    }

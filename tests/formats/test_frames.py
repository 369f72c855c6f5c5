"""Frames byte by byte: what is in the events topic stays readable, and no frame grows past its limits."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.formats.frames import (
    BYTES_MAX,
    EVENTS_MAX,
    FrameError,
    FramePart,
    checksum,
    clock_frame,
    decode_frame,
    frames,
    probe_frame,
)

PAYMENT_ROW = [1, 1793693460000, 7, 3, 2, 2, 1992992, 1992992, "c-9", None, 0, None, 1250, 150, 0, "EUR", "s-1"]
PAYMENT = FramePart("M1", 2, [b"p-1"], [PAYMENT_ROW], {0: [b"k", b"{}"]})
MEMBERSHIP = FramePart("M1", 4, ["大".encode()], [[7, 1793693460000, 8, 0, 2, ["fleet", "vip"]]], {}, again=True)
OPERATOR = FramePart("大客户", 6, [b""], [[0, 1, 2, 0, 2, "Europe/Berlin", "EUR", None]], {})

GOLDEN = [
    (
        [PAYMENT],
        b"\x93\x02\xc0\x96\xa2M1\x02\x91\xc4\x03p-1\x91\xdc\x00\x11\x01\xcf\x00\x00\x01\xa1\xa0v& \x07\x03\x02\x02\xce\x00\x1ei \xce\x00\x1ei \xa3c-9\xc0\x00\xc0\xcd\x04\xe2\xcc\x96\x00\xa3EUR\xa3s-1\x81\x00\x92\xc4\x01k\xc4\x02{}\xc2",
    ),
    (
        [MEMBERSHIP, OPERATOR],
        b"\x94\x02\xc0\x96\xa2M1\x04\x91\xc4\x03\xe5\xa4\xa7\x91\x96\x07\xcf\x00\x00\x01\xa1\xa0v& \x08\x00\x02\x92\xa5fleet\xa3vip\x80\xc3\x96\xa9\xe5\xa4\xa7\xe5\xae\xa2\xe6\x88\xb7\x06\x91\xc4\x00\x91\x98\x00\x01\x02\x00\x02\xadEurope/Berlin\xa3EUR\xc0\x80\xc2",
    ),
]


@pytest.mark.parametrize(("parts", "golden"), GOLDEN)
def test_frames_are_these_bytes(parts, golden):
    """Written and read: a change of either is a new format."""
    assert list(frames(parts)) == [golden]
    assert decode_frame(golden) == (None, parts)


def test_clock_records_and_probes_are_these_bytes():
    """A probe has neither a clock nor events."""
    assert clock_frame(1992992) == b"\x92\x02\xce\x00\x1ei "
    assert decode_frame(b"\x92\x02\xce\x00\x1ei ") == (1992992, [])
    assert probe_frame() == b"\x92\x02\xc0"
    assert decode_frame(b"\x92\x02\xc0") == (None, [])


def test_a_checksum_tells_frames_and_their_times_apart():
    """It is kept in the state, so it stays as it is."""
    assert checksum(b"frame", 1793693460000) == 253446944
    assert len({checksum(frame, time_ms) for frame in (b"frame", b"frames") for time_ms in (0, 1, 1793693460000)}) == 6


FRAMES_OF_1 = [
    (
        (
            b"\x93\x01\xc0\x95\xa2M1\x02\x91\xc4\x03p-1\x91\x9c\x01\xcf\x00\x00\x01\xa1\xa0v& \x07\x03\x02\xce\x00\x1ei "
            b"\xce\x00\x1ei \xa3c-9\xcd\x04\xe2\xcc\x96\x00\xa3EUR\x81\x00\x92\xc4\x01k\xc4\x02{}"
        ),
        [
            FramePart(
                "M1",
                2,
                [b"p-1"],
                [[1, 1793693460000, 7, 3, 1, 2, 1992992, 1992992, "c-9", None, 0, None, 1250, 150, 0, "EUR", None]],
                {0: [b"k", b"{}"]},
            )
        ],
    ),
    (
        (
            b"\x94\x01\xc0\x95\xa2M1\x04\x91\xc4\x03\xe5\xa4\xa7\x91\x95\x07\xcf\x00\x00\x01\xa1\xa0v& \x08\x00\x92"
            b"\xa5fleet\xa3vip\x80\x95\xa9\xe5\xa4\xa7\xe5\xae\xa2\xe6\x88\xb7\x06\x91\xc4\x00\x91\x97\x00\x01\x02\x00"
            b"\xadEurope/Berlin\xa3EUR\xc0\x80"
        ),
        [
            FramePart("M1", 4, ["大".encode()], [[7, 1793693460000, 8, 0, 1, ["fleet", "vip"]]], {}),
            FramePart("大客户", 6, [b""], [[0, 1, 2, 0, 1, "Europe/Berlin", "EUR", None]], {}),
        ],
    ),
    (b"\x92\x01\xc0", []),
]


@pytest.mark.parametrize(("frame", "parts"), FRAMES_OF_1)
def test_frames_of_format_1_are_read_as_frames_of_today(frame, parts):
    """The events topic is kept for ever: what format 1 did not keep is unknown."""
    assert decode_frame(frame) == (None, parts)


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (b"\x92\x03\xc0", "a frame of format 3: this version reads up to 2, run the one that wrote it"),
        (b"\x92\x00\xc0", "a frame of format 0"),
        (b"\x91\x01", "not a frame"),
        (b"\x90", "not a frame"),
        (b"", "not a frame"),
        (b"\x92\x01", "not a frame"),
        (b"\x92\x01\xc0\x00", "not a frame"),
        (b"\x81\x01\x02", "not a frame"),
        (b'{"payment_id": "p-1"}', "not a frame"),
    ],
)
def test_what_is_no_frame_of_this_format_is_refused(frame, says):
    """Another format, too short, cut off, something behind it, a map, JSON."""
    with pytest.raises(FrameError, match=says):
        decode_frame(frame)


@st.composite
def parts_of_all_sizes(draw):
    """Parts whose events are numbered through; some drag a source record along, some of those a large one."""
    number, out = 0, []
    for _ in range(draw(st.integers(0, 6))):
        count = draw(st.one_of(st.integers(1, 5), st.integers(EVENTS_MAX - 1, 2 * EVENTS_MAX + 1)))
        raws = {}
        for index in draw(st.sets(st.integers(0, count - 1), max_size=8)):
            size = draw(st.sampled_from((0, 100, 70_000, BYTES_MAX // 2, BYTES_MAX, 2 * BYTES_MAX)))
            raws[index] = [draw(st.sampled_from((None, b"k"))), b"%08d" % (number + index) + b"x" * size]
        numbers = range(number, number + count)
        rows = [[n, 1793693460000, n, 0] for n in numbers]
        out.append(FramePart(draw(st.sampled_from(("M1", "大客户"))), 1, [b"%d" % n for n in numbers], rows, raws))
        number += count
    return out


def events(parts):
    """Each event with all that belongs to it."""
    return [
        (part.operator, part.kind, entity, row, part.raws.get(i))
        for part in parts
        for i, (entity, row) in enumerate(zip(part.ids, part.rows, strict=True))
    ]


@settings(deadline=None, max_examples=80)
@given(parts_of_all_sizes())
def test_frames_hold_all_events_in_order_within_their_limits(parts):
    """Up to 1,000 events and 256 KB, or a single event; source records stay with their events, which none are lost or invented."""
    made = list(frames(parts))
    found = []
    for frame in made:
        clock, some = decode_frame(frame)
        assert clock is None
        count = sum(len(part.ids) for part in some)
        assert 1 <= count <= EVENTS_MAX
        assert len(frame) <= BYTES_MAX or count == 1
        for part in some:
            assert len(part.ids) == len(part.rows) > 0
            assert all(0 <= index < len(part.ids) for index in part.raws)
        found += some
    assert events(found) == events(parts)


def test_small_parts_share_a_frame():
    """The cost of a Kafka record is paid once for a thousand events of a thousand operators."""
    parts = [FramePart(f"M{n}", 1, [b"s"], [[0, 0, n, 0]], {}) for n in range(2 * EVENTS_MAX + 1)]
    assert [len(decode_frame(frame)[1]) for frame in frames(parts)] == [EVENTS_MAX, EVENTS_MAX, 1]
    assert list(frames([])) == []


def test_a_frame_is_msgpack_that_any_reader_can_read():
    """Nothing of Python is in it."""
    (frame,) = frames([PAYMENT])
    assert msgspec.msgpack.decode(frame) == [2, None, ["M1", 2, [b"p-1"], [PAYMENT_ROW], {0: [b"k", b"{}"]}, False]]

"""The native reader takes what Python would take, as the same bytes, and leaves the rest: of any record near a good one."""

import json
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream_app.domain.events import ENERGY, MEMBERSHIP, OFFSET, PARTITIONS_MAX, PAYMENT, SESSION, Row
from stream_app.formats.frames import BYTES_MAX, EVENTS_MAX, FramePart, decode_frame, frames, frames_of_encoded
from stream_app.kernel.source_records import KINDS, Taken, new_reader
from stream_app.sources import FUTURE_MS, read
from stream_app.sources.registry import CUSTOMER_GROUPS, PAYMENTS, SESSIONS
from tests.sources.samples import GOOD, NOW_MS
from tests.sources.written import written

TOPICS = {SESSION: SESSIONS, PAYMENT: PAYMENTS, MEMBERSHIP: CUSTOMER_GROUPS}
OF_TIME = (SESSION, PAYMENT)
PARTITION, FIRST_OFFSET, TIMESTAMP = 3, 100, 1_793_000_000_123
READER = new_reader()


class Outcome(NamedTuple):
    """Events by index of their records: operator, id and row; frames of all of them."""

    events: dict[int, tuple[str, bytes, Row]]
    frames: list[bytes]


def python(kind, values):
    """What Python makes of values."""
    found = read(
        TOPICS[kind], values, _offsets(values), [TIMESTAMP] * len(values), PARTITION, now_ms=NOW_MS, ocpi_operators={}
    )
    parts = [
        FramePart(operator, kind, [each.encode() for each in part.ids], part.rows, {})
        for operator, part in found.by_kind[kind].items()
    ]
    return Outcome(_events(parts), list(frames(parts)))


def native(kind, values, **bounds) -> tuple[Outcome, Taken]:
    """What the library makes of them."""
    assert READER is not None, "make builds the library"
    partition = TOPICS[kind].number * PARTITIONS_MAX + PARTITION
    bounds = {"oldest_ms": 0, "latest_ms": NOW_MS + FUTURE_MS} | bounds
    taken = READER.read(kind, values, _offsets(values), [TIMESTAMP] * len(values), partition, **bounds)
    made = list(frames_of_encoded(part for _, part in taken.parts))
    parts = [part for frame in made for part in decode_frame(frame)[1]]
    assert [(operator.decode(), part.events) for operator, part in taken.parts] == [
        (part.operator, len(part.ids)) for part in parts
    ]
    assert all(part.kind == kind and part.raws == {} and part.again is False for part in parts)
    return Outcome(_events(parts), made), taken


def _offsets(values):
    return list(range(FIRST_OFFSET, FIRST_OFFSET + len(values)))


def _events(parts):
    return {
        row[OFFSET] - FIRST_OFFSET: (part.operator, entity, row)
        for part in parts
        for entity, row in zip(part.ids, part.rows, strict=True)
    }


def good(kind, **fields):
    """A good record with other fields; `...` of a field: without it."""
    record = {name: value for name, value in (GOOD[kind] | fields).items() if value is not ...}
    return json.dumps(record).encode()


@st.composite
def disturbed(draw, kind):
    """A good record with a few bytes replaced, put in or cut out."""
    raw = bytearray(json.dumps(GOOD[kind]).encode())
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(raw) - 1))
        raw[place : place + draw(st.integers(0, 2))] = draw(
            st.binary(max_size=2)
            | st.sampled_from([b'"', b"{", b"}", b",", b"0", b".", b"\\", b"e", b"-", b"null", b":", b" ", b"9" * 17])
        )
    return bytes(raw)


@settings(max_examples=1500, deadline=None)
@given(st.data())
def test_what_is_taken_is_what_python_makes_of_it(data):
    """And what is left is all else: nothing is taken twice, nothing is lost."""
    kind = data.draw(st.sampled_from(KINDS))
    values = data.draw(
        st.lists(st.just(good(kind)) | written(kind) | disturbed(kind) | st.binary(max_size=20) | st.none(), max_size=8)
    )
    found, taken = native(kind, values)
    wanted = python(kind, values)
    assert sorted([*found.events, *taken.left]) == list(range(len(values)))
    assert found.events == {index: event for index, event in wanted.events.items() if index not in taken.left}
    unknown = [row for _, _, row in found.events.values() if kind == SESSION and row[ENERGY] is None]
    assert taken.unknown_energy == len(unknown)


TEXT_TIMES = [
    "2026-11-03T08:29:59Z", "2026-11-03T08:29:59.5Z", "2026-11-03T08:29:59.123456789+05:45", "2026-11-03T00:00:00-23:59", "2024-02-29T23:59:59Z", "2000-02-29T00:00:00+00:00",
    "1970-01-01T00:00:00Z", "2026-11-03T08:29:59-00:00",
]  # fmt: skip
UNUSUAL_TIMES = [
    "2026-11-03T08:29:59", "2026-11-03t08:29:59Z", "2026-11-03 08:29:59Z", "2026-11-03T08:29:60Z", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
    "2026-11-31T00:00:00Z", "2026-11-03T24:00:00Z", "2026-11-03T08:60:00Z", "2026-11-03T08:29:59.Z", "2026-11-03T08:29:59+24:00", "2026-11-03T08:29:59+05:60", "2026-11-03T08:29:59+0545",
    "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01", "2026-11-03T08:29:59ZZ", "2026-1-03T08:29:59.0Z", "", "x" * 20, "9999-12-31T23:59:59-00:01",
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        *((kind, fields) for kind in OF_TIME for fields in ({"customer_id": None}, {"customer_id": ...})),
        *((kind, fields) for kind in KINDS for fields in ({}, {"version": ...}, {"version": None}, {"unknown": "x"}, {"unknown": 12}, {"unknown": True})),
        *((kind, {"unknown": value}) for kind in KINDS for value in ("大", ["大"], {"大": 1}, ["a\\b"], {"\n": '"/\f'}, [], {}, -1, 1.5, -0.0, 1e-7, 1e300, 2**70, [1, [{}, []], {"a": None}], {"a": {"b": [False]}})),
        *((kind, {"customer_id": "x" * length}) for kind in KINDS for length in (1, 31, 32, 200)),
        *((kind, {"version": version}) for kind in KINDS for version in (0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**53)),
        *((SESSION, {"started_at": time, "ended_at": NOW_MS}) for time in TEXT_TIMES),
        *((SESSION, {"ended_at": time}) for time in (*TEXT_TIMES, None, 0, NOW_MS)),
        *((PAYMENT, {"paid_at": time}) for time in TEXT_TIMES),
        *((SESSION, {"energy_kwh": energy}) for energy in ("12.4", "0", "999999.999", "007.5", 12.4, 0, 999_999, 0.001, None, ...)),
        *((SESSION, {"status": status}) for status in ("ACTIVE", "PENDING", "RESERVATION", "COMPLETED", "INVALID")),
        *((PAYMENT, {"status": status}) for status in ("PENDING", "SUCCEEDED", "FAILED", "CANCELED", "REFUNDED")),
        *((PAYMENT, {"amount_received": 100, "amount_refunded": refunded}) for refunded in (0, 1, 100, None, ...)),
        (PAYMENT, {"amount_received": 0, "amount_refunded": 0}),
        *((PAYMENT, {"amount_discount": discount}) for discount in (0, 2**53 - 1, None, ...)),
        *((PAYMENT, {"session_id": session}) for session in ("s", None, ...)),
        *((PAYMENT, {"currency": currency}) for currency in ("EUR", "JPY", "KWD", "HRK")),
        *((MEMBERSHIP, {"group_ids": groups}) for groups in ([], ["a"], ["b", "a"], ["a", "a"], ["b", "a", "b", "ab", "aa", "a"], ["x" * 200, "x" * 199], [f"g{n}" for n in range(32)])),
    ],
)  # fmt: skip
def test_what_records_nearly_always_are_is_taken(kind, fields):
    """Else the library would be there for nothing."""
    value = good(kind, **fields)
    found, taken = native(kind, [value])
    assert taken.left == []
    assert found == python(kind, [value])


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        *((SESSION, {"started_at": time}) for time in UNUSUAL_TIMES),
        *((SESSION, {"ended_at": time}) for time in UNUSUAL_TIMES),
        *((SESSION, {"energy_kwh": energy}) for energy in ("1000000", "-0", "1e1", "1.", ".5", "0.0005", "", 1e21, -1, [], {}, True)),
        *((kind, {"operator_id": value}) for kind in KINDS for value in ("", "大客户", "a\\b", 'a"b', "\x7f", "x" * 201, None, 5, ...)),
        *((kind, {"status": value}) for kind in OF_TIME for value in ("", "completed", "SUCCEEDE", None, ...)),
        *((kind, {"version": value}) for kind in KINDS for value in (-1, 2**53 + 1, 2**64, 1.0, "1")),
        *((PAYMENT, {"amount_received": value}) for value in (-1, 2**53, 1.5, "100", None, ...)),
        *((PAYMENT, {"currency": value}) for value in ("eur", "XXX", "EURO", "", None, ...)),
        (PAYMENT, {"amount_received": 100, "amount_refunded": 101}),
        (SESSION, {"started_at": NOW_MS + FUTURE_MS + 1}),
        *((MEMBERSHIP, {"group_ids": groups}) for groups in (["ALL"], ["a", "ALL"], [""], ["大"], ["a\\b"], [1], [["a"]], {}, None, "a", ..., [f"g{n}" for n in range(33)], ["x" * 201])),
    ],
)  # fmt: skip
def test_what_is_unusual_is_left_to_python(kind, fields):
    """Which decides on it by rules that are written once."""
    found, taken = native(kind, [good(kind, **fields)])
    assert (found.events, taken.left) == ({}, [0])


CHARACTERS = [
    "a", "é", "大", "😀", "\x7f", "\x00", "\x1f", '\\"', "\\/", "\\u5927", "\\u00e9", "\\u0000", "\\uD7ff", "\\ue000", "\\x", "\\u12g4", "\\u123", "\\'", "\\\\", "\\",
    "\\ud83d\\ude00", "\\ud83d", "\\uDE00", "\ud800",
]  # fmt: skip
BYTES = [
    *(each.encode("utf-8", "surrogatepass") for each in CHARACTERS),
    *(b"\x80", b"\xc3", b"\xc0\xaf", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xe0\xa0\x80", b"\xef\xbf\xbf", b"\xf0\x8f\xbf\xbf", b"\xf0\x90\x80\x80", b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf8"),
]  # fmt: skip
LEFT = [b"\\ud83d\\ude00", b"\\ud83d", b"\\uDE00"]  # surrogates by escapes, which may be a pair


@pytest.mark.parametrize("character", BYTES)
def test_a_text_that_nobody_asks_for_is_passed_over_where_it_is_one(character):
    """In any place; what Python refuses is left."""
    raw = good(PAYMENT)[:-1]
    values = [raw + b',"unknown":' + text % character + b"}" for text in (b'"%s"', b'"a%s"', b'["%sz"]', b'{"%s":1}')]
    found, taken = native(PAYMENT, values)
    wanted = python(PAYMENT, values)
    assert found.events == {index: event for index, event in wanted.events.items() if index not in taken.left}
    assert (taken.left == []) == (len(wanted.events) == len(values) and character not in LEFT)


@pytest.mark.parametrize("raw", [b"", b"{", b"{}", b"[]", b"null", b"{} ", b'{"a":1,}', b'{"a" 1}', b"\xff", None])
def test_what_is_no_record_is_left(raw):
    _, taken = native(SESSION, [raw])
    assert taken.left == [0]


def test_a_field_twice_is_left():
    """What the last one says counts, in Python."""
    raw = good(SESSION)
    _, taken = native(SESSION, [raw[:-1] + b',"status":"ACTIVE"}', raw + b"}", raw + b" \n"])
    assert taken.left == [0, 1]


@pytest.mark.parametrize(
    ("bounds", "left"),
    [({"oldest_ms": 1000}, []), ({"oldest_ms": 1001}, [0]), ({"latest_ms": 1000}, []), ({"latest_ms": 999}, [0])],
)
def test_what_may_be_too_late_or_lies_in_the_future_is_left(bounds, left):
    _, taken = native(SESSION, [good(SESSION, started_at=1000)], **bounds)
    assert taken.left == left


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3 * EVENTS_MAX), st.integers(1, 40), st.sampled_from([1, 199]))
@example(EVENTS_MAX, 1, 1)
@example(EVENTS_MAX + 1, 1, 1)
@example(3 * EVENTS_MAX, 1, 199)
def test_frames_keep_their_bounds(count, operators, length):
    """However many events, of however many operators, with ids of whatever length: in order, nothing lost."""
    values = [
        good(PAYMENT, operator_id=f"M{n % operators}", payment_id=f"{n:0{max(length, 4)}}", customer_id="c" * length)
        for n in range(count)
    ]
    found, taken = native(PAYMENT, values)
    assert taken.left == []
    assert found.events == python(PAYMENT, values).events
    for frame in found.frames:
        parts = decode_frame(frame)[1]
        assert sum(len(part.ids) for part in parts) <= EVENTS_MAX
        assert len(frame) <= BYTES_MAX
        assert all(
            row[OFFSET] < next_[OFFSET] for part in parts for row, next_ in zip(part.rows, part.rows[1:], strict=False)
        )

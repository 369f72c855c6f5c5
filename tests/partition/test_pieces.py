"""Rows in pieces: what is written fits a record of the changelog, what is read is whole, and nothing is left behind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.formats.limits import PACKED_BYTES_MAX, ROW_BYTES_MAX
from stream_app.formats.rows import IN_PIECES, PIECES, FormatError, decode_customer
from stream_app.partition import pieces
from stream_app.partition.frozen_rows import FrozenRows
from stream_app.partition.pieces import Pieces, PiecesError
from tests.support.in_memory import MemoryStore

KEYS = (b"cM1\0a", b"cM1\0b", b"cM1\0b000001", b"eM1\0\x03x")


def written(store: MemoryStore, frozen: FrozenRows, changes: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """A tick: frozen, and written to the store."""
    found = frozen.freeze(changes)
    store.write(found, store.log + 1)
    frozen.committing = {}
    return found


@pytest.mark.parametrize(
    ("size", "number"),
    [(1, 0), (ROW_BYTES_MAX, 0), (ROW_BYTES_MAX + 1, 2), (2 * ROW_BYTES_MAX, 2), (5 * ROW_BYTES_MAX + 1, 6)],
)
def test_a_row_is_in_as_many_pieces_as_it_takes(size, number):
    store, value = MemoryStore(), bytes(n % 251 for n in range(size))
    frozen = FrozenRows(store)
    found = written(store, frozen, {KEYS[0]: value})
    assert sum(key.startswith(PIECES) for key in found) == number
    assert all(len(key) + len(row) < PACKED_BYTES_MAX for key, row in found.items())
    assert frozen.load([KEYS[0]]) == [value]
    assert list(frozen.scan(b"c")) == [(KEYS[0], value)]


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), st.binary(max_size=40), min_size=1), max_size=12), st.randoms())
def test_what_is_read_is_what_was_written_last(ticks, rng):
    """Rows that grow, shrink, go and come again, read while they are committed and after, by the same owner and by another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "ROW_BYTES_MAX", 7)
        store, expected = MemoryStore(), {}
        frozen = FrozenRows(store)
        for changes in ticks:
            changes = {key: b"\x02" + value if value else b"" for key, value in changes.items()}  # noqa: PLW2901  # as rows begin
            found = frozen.freeze(dict(changes))
            expected |= changes
            assert [value or b"" for value in frozen.load(KEYS)] == [expected.get(key, b"") for key in KEYS]
            assert dict(frozen.scan(b"c")) == {k: v for k, v in expected.items() if v and k.startswith(b"c")}
            store.write(found, store.log + 1)
            frozen.committing = {}
            if rng.random() < 0.3:
                frozen = FrozenRows(store)
                frozen.find_pieces()
            assert [value or b"" for value in frozen.load(KEYS)] == [expected.get(key, b"") for key in KEYS]
        kept = {key: -(-len(value) // 7) for key, value in expected.items() if len(value) > 7}
        found = [key for key in store.rows if key.startswith(PIECES)]
        assert len(found) == sum(kept.values()), "no piece is left behind"


def test_a_missing_piece_is_an_error():
    """Never a row that was cut in silence."""
    store = MemoryStore()
    frozen = FrozenRows(store)
    written(store, frozen, {KEYS[0]: b"\x02" * (ROW_BYTES_MAX + 1)})
    del store.rows[next(key for key in store.rows if key.startswith(PIECES))]
    with pytest.raises(PiecesError, match="2 pieces"):
        frozen.load([KEYS[0]])


def test_a_version_that_knows_no_pieces_refuses_such_a_row():
    with pytest.raises(FormatError, match="a row of format 127"):
        decode_customer(IN_PIECES + b"\x92\x02\xce\x00\x08\x00\x01")


def test_changes_without_large_rows_are_taken_as_they_are():
    """The common case costs a look at each length."""
    changes = {KEYS[0]: b"\x02", KEYS[1]: b""}
    assert Pieces().split(changes) is changes

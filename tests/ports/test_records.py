"""Batches of records, as a consumer gives them."""

import pytest

from stream_app.ports.records import Batch


def batch(first, values, next_offset=None):
    """Values at offsets from `first` on; the key of each is its offset, its timestamp ten times that."""
    offsets = list(range(first, first + len(values)))
    keys, timestamps = [b"%d" % n for n in offsets], [10 * n for n in offsets]
    return Batch(keys, list(values), offsets, timestamps, first + len(values) if next_offset is None else next_offset)


@pytest.mark.parametrize(
    ("batches", "values", "offsets", "next_offset", "why"),
    [
        ([batch(5, [b"a", b"b"])], [b"a", b"b"], [5, 6], 7, "one batch stays as it is"),
        ([batch(5, [b"a"]), batch(6, [b"b"])], [b"a", b"b"], [5, 6], 7, "order is kept"),
        ([batch(5, [b"a"], 9), batch(9, [b"b"])], [b"a", b"b"], [5, 9], 10, "compaction left a gap between them"),
        (
            [batch(5, [b"a"]), batch(6, [None], 20)],
            [b"a", None],
            [5, 6],
            20,
            "a gap behind the last record is stepped over",
        ),
    ],
)
def test_batches_of_a_partition_are_joined(batches, values, offsets, next_offset, why):
    joined = Batch.joined(batches)
    assert (joined.values, joined.offsets, joined.next_offset) == (values, offsets, next_offset), why
    assert joined.keys == [b"%d" % n for n in offsets]
    assert joined.timestamps == [10 * n for n in offsets]
    assert len(joined) == len(values)

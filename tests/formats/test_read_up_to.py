"""The note of what was read, beside a committed offset."""

import pytest

from stream_app.formats.read_up_to import NOTHING, ReadUpTo, note, noted


@pytest.mark.parametrize(
    ("metadata", "read"), [("3/15", ReadUpTo(3, 15)), ("", NOTHING), ("somebody's", NOTHING), ("3/-1", NOTHING)]
)
def test_metadata_of_a_committed_offset_say_what_was_read_or_nothing(metadata, read):
    assert noted(metadata) == read
    assert noted(note(read, 99)) == read


def test_no_more_is_noted_than_what_is_committed():
    assert note(ReadUpTo(3, 15), 12) == "3/12"

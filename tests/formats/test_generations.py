"""Generations as records: byte by byte, and what a topic's records say together."""

import msgspec
import pytest

from stream_app.formats.generations import Generation, newest_serving, read, record_of

FIRST = Generation(1, 1, 12, "serving")
BUILDING = Generation(2, 1, 12, "building")
RECORD = (b"2", b'{"number":2,"events":1,"partitions":12,"state":"building"}')


def test_a_record_is_these_bytes():
    """Written and read: workers of other versions read it, too."""
    assert record_of(BUILDING) == RECORD
    assert read([RECORD[1]]) == [BUILDING]


def values(*generations: Generation | None) -> list[bytes | None]:
    return [None if generation is None else record_of(generation)[1] for generation in generations]


READ = [
    ("an empty topic", [], [], FIRST),
    ("one is being built", [BUILDING], [BUILDING], FIRST),
    ("it serves: its last record counts", [BUILDING, BUILDING.serving()], [BUILDING.serving()], BUILDING.serving()),
    ("by number, whatever the order of records", [BUILDING, FIRST], [FIRST, BUILDING], FIRST),
    (
        "the newest that ever served",
        [FIRST, BUILDING.serving(), Generation(3, 2, 24, "building")],
        [FIRST, BUILDING.serving(), Generation(3, 2, 24, "building")],
        BUILDING.serving(),
    ),
    ("a tombstone says nothing", [BUILDING.serving(), None], [BUILDING.serving()], BUILDING.serving()),
]


@pytest.mark.parametrize(("situation", "records", "expected", "serving"), READ)
def test_records_tell_of_these_generations(situation, records, expected, serving):
    """And of the one that serves: that of the settings, where none does."""
    found = read(values(*records))
    assert found == expected
    assert newest_serving(found, FIRST) == serving


def test_settings_begin_a_generation_above_those_that_served():
    """As after the loss of the state; the record of one of the same number knows more."""
    ahead = Generation(3, 2, 24, "serving")
    assert newest_serving([BUILDING.serving()], ahead) == ahead
    assert newest_serving([Generation(3, 1, 12, "serving")], ahead) == Generation(3, 1, 12, "serving")
    assert newest_serving([Generation(4, 1, 12, "building")], ahead) == ahead


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b'{"number":2,"events":1,"partitions":12,"state":"gone"}'])
def test_what_is_no_generation_is_an_error(value):
    """Guessing which one serves would serve two."""
    with pytest.raises(msgspec.MsgspecError):
        read([value])


def test_fields_of_a_newer_version_are_left_alone():
    """A worker of this version can read what the next one writes."""
    assert read([RECORD[1][:-1] + b',"since":"2026"}']) == [BUILDING]

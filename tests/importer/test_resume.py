"""An import that is interrupted goes on after the last row that Kafka acknowledged."""

import pytest

from stream_app.importer.mapping import Mapping
from stream_app.importer.read import CsvReader
from stream_app.importer.resume import Note
from stream_app.importer.run import BATCH_ROWS, run
from stream_app.importer.send import SendError
from stream_app.sources.maps.map_file import File
from stream_app.sources.maps.map_load import load
from tests.importer.maps import MAP, ROW, csv_text

COUNT = 2 * BATCH_ROWS + 500


class DyingSender:
    """Takes this many calls, then fails like a broker that is gone."""

    def __init__(self, calls):
        self.calls = calls
        self.values = []

    async def send(self, records):
        self.calls -= 1
        if self.calls < 0:
            raise SendError("gone")
        self.values += [record.value for record in records]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(
        csv_text([ROW | {"id": f"s-{at}", "when": "soon" if at == 3 else ROW["when"]} for at in range(COUNT)])
    )
    return path


async def imported(file, note, sender):
    with CsvReader(file, File()) as reader:
        return await run(reader, Mapping(load(MAP.encode()), reader.header), sender, done=note.write, skip=note.read())


async def test_what_is_sent_in_two_parts_is_the_whole(file, tmp_path):
    note = Note(tmp_path / "notes", file, [b"map"])
    whole, first, second = DyingSender(100), DyingSender(2), DyingSender(100)
    await imported(file, Note(tmp_path / "others", file, []), whole)
    with pytest.raises(SendError):
        await imported(file, note, first)
    assert note.read() == BATCH_ROWS + 1  # the refused one is done, too
    tally = await imported(file, note, second)
    assert first.values + second.values == whole.values
    assert (tally.skipped, tally.read, tally.refused_count) == (BATCH_ROWS + 1, COUNT - BATCH_ROWS - 1, 0)
    assert note.read() == COUNT


def test_a_note_belongs_to_the_file_and_all_else_it_depends_on(file, tmp_path):
    Note(tmp_path, file, [b"map", b"kafka"]).write(7)
    assert Note(tmp_path, file, [b"map", b"kafka"]).read() == 7
    assert Note(tmp_path, file, [b"mapk", b"afka"]).read() == 0
    file.write_text(file.read_text() + "\n")
    note = Note(tmp_path, file, [b"map", b"kafka"])
    assert note.read() == 0
    note.write(8)
    note.drop()
    assert note.read() == 0


def test_a_folder_that_cannot_be_written_stops_nothing(file, tmp_path):
    (tmp_path / "taken").touch()
    note = Note(tmp_path / "taken", file, [])
    note.write(7)
    assert note.read() == 0

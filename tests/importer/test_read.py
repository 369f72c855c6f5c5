"""CSV files as they come."""

import pytest

from stream_app.importer.read import CsvReader, FileError
from stream_app.sources.maps.map_file import File
from stream_app.sources.maps.values import Refusal


def rows(path, how=None):
    with CsvReader(path, how or File()) as reader:
        return reader.header, list(reader.rows())


def test_lines_are_those_that_rows_begin_on(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes('\ufeffid,note\r\n1,"two\nlines"\r\n\r\n2,大客户\r\n3,last'.encode())
    header, read = rows(path)
    assert header == ["id", "note"]
    assert read == [(2, ["1", "two\nlines"]), (5, ["2", "大客户"]), (6, ["3", "last"])]


def test_a_broken_row_is_refused_and_the_rest_is_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('id,note\n1,"a"b\n2,c\n3,"open\n')
    _, read = rows(path)
    assert [line for line, _ in read] == [2, 3, 4]
    assert read[1].cells == ["2", "c"]
    assert all(isinstance(read[at].cells, Refusal) and read[at].cells.reason == "not CSV" for at in (0, 2))


def test_separator_and_encoding(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("id;name\n1;Emotì\n".encode("cp1252"))
    assert rows(path, File(separator=";", encoding="cp1252"))[1] == [(2, ["1", "Emotì"])]
    # In the wrong encoding the cell can be told from a right one, and only who uses it has to care.
    assert rows(path, File(separator=";"))[1] == [(2, ["1", "Emot\udcec"])]


@pytest.mark.parametrize(
    "before", ["\n", "\r\n  \r\n", "sep=;\n", '"sep=;"\n', "SEP=;\r\n\r\n", ";;\n", "\ufeff\nsep=;\n"]
)
def test_what_stands_before_the_header_is_skipped(tmp_path, before):
    path = tmp_path / "a.csv"
    path.write_text(before + "id;kwh\n1;1,5\n", newline="")
    assert rows(path, File(separator=";")) == (["id", "kwh"], [(before.count("\n") + 2, ["1", "1,5"])])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_read_when_the_map_says_so_and_else_one_sentence(tmp_path, encoding):
    path = tmp_path / "a.csv"
    path.write_text("id,who\n1,大客户\n", encoding=encoding)
    assert rows(path, File(encoding=encoding)) == (["id", "who"], [(2, ["1", "大客户"])])
    with pytest.raises(FileError, match=r"is not written in utf-8-sig, which `file.encoding` says"):
        rows(path)


def test_the_position_reaches_the_size(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id\n" + "1\n" * 100_000)
    with CsvReader(path, File()) as reader:
        iterator = reader.rows()
        next(iterator)
        assert 0 < reader.position() < reader.size
        assert sum(1 for _ in iterator) == 99_999
        assert reader.position() == reader.size == path.stat().st_size


def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path):
    (tmp_path / "empty.csv").touch()
    for name, sentence in [
        ("missing.csv", "can't be read: no such file"),
        (".", "can't be read: is a directory"),
        ("empty.csv", "has no header line"),
    ]:
        with pytest.raises(FileError, match=sentence):
            rows(tmp_path / name)

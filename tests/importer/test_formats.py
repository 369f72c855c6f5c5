"""Parquet files and files of OCPI CDRs, as they come."""

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal

import polars as pl
import pytest

from stream_app.importer import cdr_file
from stream_app.importer.cdr_file import CdrMapping, CdrReader
from stream_app.importer.map_load import load
from stream_app.importer.mapping import Mapping, Refusal
from stream_app.importer.parquet import BATCH_ROWS, ParquetReader
from stream_app.importer.read import FileError
from stream_app.sources import registry
from tests.importer.maps import HEADER, MAP, ROW, mapped

CDR = {"country_code": "NL", "party_id": "大客", "id": "c-1", "total_cost": {"excl_vat": 1.10}, "note": 'a]}\n\\"'}


def cdrs(path):
    with CdrReader(path) as reader:
        return list(reader.rows())


def test_a_parquet_file_is_read_like_its_csv(tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame([ROW, ROW | {"off": None}]).with_columns(pl.lit([1]).alias("list")).write_parquet(path)
    with ParquetReader(path) as reader:
        assert reader.header == HEADER
        mapping = Mapping(load(MAP.encode()), reader.header)
        read = list(reader.rows())
    assert [number for number, _ in read] == [1, 2]
    assert [mapping.records(cells) for _, cells in read] == [mapped(), mapped({"off": ""})]


def test_values_of_parquet_become_exact_texts(tmp_path):
    values = {
        "s": "大|客",
        "i": 2**53 + 1,
        "f": 1e-7,
        "d": Decimal("12.50"),
        "n": None,
        "b": True,
        "at": datetime(2026, 11, 3, 8, 29, tzinfo=UTC),
        "local": datetime(2026, 11, 3, 8, 29, 1),  # noqa: DTZ001
        "day": date(2026, 11, 3),
        "hour": time(8, 29),
        "raw": b"x\xff",
    }
    pl.DataFrame({name: [value] for name, value in values.items()}).write_parquet(tmp_path / "a")
    with ParquetReader(tmp_path / "a") as reader:
        ((_, cells),) = reader.rows()
    assert dict(zip(reader.header, cells, strict=True)) == {
        "s": "大|客",
        "i": "9007199254740993",
        "f": "0.0000001",
        "d": "12.50",
        "n": "",
        "b": "true",
        "at": "2026-11-03T08:29:00+00:00",
        "local": "2026-11-03T08:29:01",
        "day": "2026-11-03",
        "hour": "08:29:00",
        "raw": "x\udcff",
    }


def test_rows_of_parquet_keep_their_order_over_batches(tmp_path):
    path, count = tmp_path / "a.parquet", 3 * BATCH_ROWS + 7
    pl.DataFrame({"id": range(count)}).write_parquet(path, row_group_size=1000)
    with ParquetReader(path) as reader:
        iterator = reader.rows()
        next(iterator)
        assert 0 <= reader.position() < reader.size
        assert [int(cells[0]) for _, cells in iterator] == list(range(1, count))
        assert reader.position() == reader.size == path.stat().st_size


def test_what_is_no_parquet_is_one_sentence(tmp_path):
    (tmp_path / "a.csv").write_text("id\n1\n")
    for name, sentence in [("missing", "no such file"), (".", "is a directory"), ("a.csv", "is no Parquet file")]:
        with pytest.raises(FileError, match=sentence):
            ParquetReader(tmp_path / name)


@pytest.mark.parametrize("piece", [60, 1 << 16])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("around", ["{}", '{{"status_code": 1000, "x": {{"data": []}}, "data": {}, "timestamp": "t"}}'])
def test_a_list_of_cdrs_is_read_as_written(tmp_path, monkeypatch, around, indent, piece):
    monkeypatch.setattr(cdr_file, "PIECE", piece)
    written = [json.dumps(CDR | {"id": f"c-{number}"}, indent=indent, ensure_ascii=False) for number in range(50)]
    whole = around.format("\r\n [" + "\n , ".join(written) + " ]")
    (tmp_path / "a.json").write_bytes(whole.encode("utf-8-sig"))
    read = cdrs(tmp_path / "a.json")
    assert [row.cells[0].encode(errors="surrogateescape").decode() for row in read] == written
    lines = whole.split("\n")
    for line, cells in read:
        assert cells[0].split("\n")[0] in lines[line - 1]
    (record,) = CdrMapping().records(read[0].cells)
    assert record == (registry.CDRS, "NL-大客".encode(), written[0].encode())


def test_cdrs_of_lines_are_read_and_a_broken_one_is_refused(tmp_path):
    lines = [json.dumps(CDR), "", '{"country_code": ', "[]", '{"country_code": "NL", "party_id": 7}', json.dumps(CDR)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    results = [(line, CdrMapping().records(cells)) for line, cells in cdrs(tmp_path / "a.jsonl")]
    assert [line for line, _ in results] == [1, 3, 4, 5, 6]
    refused = [(result.reason, result.key) for _, result in results if isinstance(result, Refusal)]
    assert refused == [("not JSON", ""), ("not a CDR", ""), ("not a CDR", "party_id")]
    assert [result[0].value.decode() for _, result in results if not isinstance(result, Refusal)] == [
        lines[0],
        lines[5],
    ]


@pytest.mark.parametrize("text", ["[", '[{"id": 1}', '[{"id": 1} {"id": 2}]', '[{"id": 1}, ]', '{"data": [{]}'])
def test_a_broken_list_ends_the_import(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(FileError, match="can't be read on from line 1"):
        cdrs(tmp_path / "a.json")


def test_an_empty_list_is_none_and_another_file_needs_a_map(tmp_path):
    (tmp_path / "a.json").write_text('{"data": []}')
    assert cdrs(tmp_path / "a.json") == []
    for text in ("", "id,who\n"):
        (tmp_path / "a.csv").write_text(text)
        with pytest.raises(FileError, match="without a map"):
            cdrs(tmp_path / "a.csv")

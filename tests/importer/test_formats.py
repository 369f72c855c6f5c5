"""Parquet files and files of OCPI CDRs, as they come."""

import json
import math
import struct
from datetime import UTC, date, datetime, time
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.importer import json_text
from stream_app.importer.cdr_file import CdrMapping, CdrReader
from stream_app.importer.mapping import Mapping
from stream_app.importer.parquet import BATCH_ROWS, ParquetReader, _of_float, _single
from stream_app.importer.read import FileError
from stream_app.sources import registry
from stream_app.sources.maps.map_load import load
from stream_app.sources.maps.values import Refusal
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


def test_integers_that_nulls_made_floats_are_integers_and_nan_is_nothing(tmp_path):
    frame = pl.DataFrame({"id": [3284.0, None, 2.0**60], "kwh": [math.nan, -0.0, 12.5], "fee": [12.34, 0.1, 3.0]})
    frame.with_columns(pl.col("fee").cast(pl.Float32)).write_parquet(tmp_path / "a")
    with ParquetReader(tmp_path / "a") as reader:
        cells = [row.cells for row in reader.rows()]
    assert cells == [["3284", "", "12.34"], ["", "0", "0.1"], [str(2**60), "12.5", "3"]]


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_of_32_bits_is_named_by_digits_that_mean_it(value):
    assert struct.unpack("f", struct.pack("f", float(_of_float(value, _single)))) == (value,)


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
    monkeypatch.setattr(json_text, "PIECE", piece)
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
    assert [line for line, _ in results] == [1, 3, 5, 6]  # a list of none stands on line 4
    refused = [(result.reason, result.key) for _, result in results if isinstance(result, Refusal)]
    assert refused == [("not JSON", ""), ("not a CDR", "party_id")]
    assert [result[0].value.decode() for _, result in results if not isinstance(result, Refusal)] == [
        lines[0],
        lines[5],
    ]


def texts(path):
    return [(line, cells[0]) for line, cells in cdrs(path)]


def page(*numbers, indent=None):
    data = [CDR | {"id": f"c-{number}"} for number in numbers]
    return json.dumps({"data": data, "status_code": 1000, "x": [{}], "timestamp": "t"}, indent=indent)


@pytest.mark.parametrize("piece", [50, 1 << 16])
@pytest.mark.parametrize("between", ["\n", "", "\r\n\r\n", ",\n", "\n\ufeff", "\x1e"])
@pytest.mark.parametrize("indent", [None, 1])
def test_pages_in_one_file_are_all_read(tmp_path, monkeypatch, between, indent, piece):
    monkeypatch.setattr(json_text, "PIECE", piece)
    pages = [
        page(1, 2, indent=indent),
        page(),
        json.dumps([CDR | {"id": "c-3"}], indent=indent),
        page(4, indent=indent),
    ]
    (tmp_path / "a.json").write_text(between.join(pages))
    read = texts(tmp_path / "a.json")
    assert [json.loads(text)["id"] for _, text in read] == ["c-1", "c-2", "c-3", "c-4"]
    lines = between.join(pages).split("\n")
    assert all(text.split("\n")[0] in lines[line - 1] for line, text in read)


@pytest.mark.parametrize("piece", [50, 1 << 16])
@pytest.mark.parametrize("around", ["{}", '{{"status_code": 1000, "data": {}}}'])
def test_a_cdr_by_itself_is_read_over_many_lines(tmp_path, monkeypatch, around, piece):
    monkeypatch.setattr(json_text, "PIECE", piece)
    written = [json.dumps(CDR | {"id": f"c-{number}"}, indent=4) for number in range(3)]
    for count in 1, 3:
        (tmp_path / "a.json").write_text("\n".join(map(around.format, written[:count])))
        assert [text for _, text in texts(tmp_path / "a.json")] == written[:count]


def test_after_a_broken_cdr_the_next_line_is_read(tmp_path):
    lines = [
        '{"country_code": "NL", "party_id": "A"',
        json.dumps(CDR),
        '{"x": "open',
        "what",
        json.dumps(CDR),
        '{"a": [1',
    ] * 20
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    assert texts(tmp_path / "a.jsonl") == list(enumerate(lines, 1))
    assert [isinstance(CdrMapping().records([line]), list) for line in lines] == [
        False,
        True,
        False,
        False,
        True,
        False,
    ] * 20


@pytest.mark.parametrize("cut", ["}", "]", ", "])
def test_a_page_that_is_cut_off_is_an_error_with_its_line(tmp_path, cut):
    whole = page(1, 2)
    (tmp_path / "a.json").write_text(f"{page(3)}\n{whole[: whole.rindex(cut)]}")
    with pytest.raises(FileError, match="can't be read on from line 2"):
        cdrs(tmp_path / "a.json")


@pytest.mark.parametrize("begin", ['{"cdrs": [', "[[", '{"data": [{"x": [', '{"a": "', "{}\nNO"])
def test_a_value_without_end_is_bounded_and_one_sentence(tmp_path, monkeypatch, begin):
    monkeypatch.setattr(json_text, "VALUE_CHARACTERS_MAX", 1 << 17)
    (tmp_path / "a.json").write_text(begin + '["x"],' * (1 << 18) if '"a"' not in begin else begin + "x" * (1 << 20))
    with CdrReader(tmp_path / "a.json") as reader:
        with pytest.raises(FileError, match=r"can't be read on from line [12]: (what begins there is longer|its list)"):
            list(reader.rows())
        assert reader.position() <= 1 << 19


def test_a_long_value_is_looked_at_a_few_times(tmp_path, monkeypatch):
    looked = []

    def raw_decode(text, at):
        looked.append(len(text) - at)
        return json.JSONDecoder().raw_decode(text, at)

    monkeypatch.setattr(json_text, "_raw_decode", raw_decode)
    (tmp_path / "a.json").write_text(json.dumps({"country_code": "NL", "party_id": "A", "x": ["y" * 50] * 60_000}))
    assert len(cdrs(tmp_path / "a.json")) == 1
    assert sum(looked) < 4 * (tmp_path / "a.json").stat().st_size


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

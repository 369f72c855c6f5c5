"""The first map of a file: it loads, it imports, and what it can't know it says."""

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from stream_app.cli import load as load_command
from stream_app.importer.mapping import Mapping
from stream_app.importer.new_map import first_map
from stream_app.importer.read import CsvReader
from stream_app.sources.maps.map_file import File, MapError
from stream_app.sources.maps.map_load import load

HEADER = ["Session Id", "Start", "End", "User", "Amount", "Cur"]
ROWS = [
    ["s-1", "13.11.2026 08:29", "13.11.2026 09:11", "大客户", "12,50", "CHF"],
    ["s-2", "03.11.2026 08:29", "03.11.2026 09:11", "", "7", "CHF"],
]


def new_map(path):
    result = CliRunner().invoke(load_command("import"), [str(path), "--new-map"])
    assert result.exit_code == 0, result.output
    return result.stdout


def imported(text, header, row):
    return {record.topic.name: json.loads(record.value) for record in Mapping(load(text.encode()), header).records(row)}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_csv_file_is_imported_by_its_first_map(tmp_path, encoding):
    (tmp_path / "a.csv").write_text("\n".join(";".join(row) for row in [HEADER, *ROWS]), encoding=encoding)
    text = new_map(tmp_path / "a.csv")
    found = imported(text, HEADER, ROWS[0])
    assert load(text.encode()).file == File(separator=";")
    assert (found["sessions"]["session_id"], found["sessions"]["customer_id"]) == ("s-1", "大客户")
    assert found["sessions"]["started_at"] == "2026-11-13T08:29:00+00:00"
    assert found["payments"]["paid_at"] == "2026-11-13T09:11:00+00:00"
    assert (found["payments"]["amount_received"], found["payments"]["currency"]) == (1250, "CHF")


def test_a_parquet_file_is_imported_by_its_first_map(tmp_path):
    frame = pl.DataFrame(ROWS, schema=HEADER, orient="row")
    frame.with_columns(pl.col("Start", "End").str.to_datetime("%d.%m.%Y %H:%M")).write_parquet(tmp_path / "a")
    text = new_map(tmp_path / "a")
    assert load(text.encode()).file.format == "parquet"
    row = ["s-1", "2026-11-13T08:29:00", "2026-11-13T09:11:00", "", "12,50", "CHF"]
    assert imported(text, HEADER, row)["sessions"]["started_at"] == "2026-11-13T08:29:00+00:00"


def line(text, key):
    return next(line for line in text.splitlines() if line.startswith(key))


def test_only_what_rows_do_not_prove_is_unsure():
    text = first_map(HEADER, ROWS, File())
    for key in ("zone", "operator_id", "customer_id", "status", "amount_received"):
        assert "# UNSURE" in line(text, key)
    for key in ("formats", "session_id", "started_at", "ended_at", "currency", "decimal"):
        assert "# UNSURE" not in line(text, key)
    ambiguous = [[*ROWS[1][:1], "03/11/2026 08:29", "03/11/2026 09:11", *ROWS[1][3:]]]
    assert "# UNSURE: %m/%d/%Y %H:%M would fit, too" in line(first_map(HEADER, ambiguous, File()), "formats")


@pytest.mark.parametrize(
    ("column", "cell", "kwh"),
    [
        ("Energy", "12,4", "12.4"),
        ("total_kWh", "7", "7"),
        ("Consumption Wh", "12400", "12.400"),
        ("Energy", "much", None),
    ],
)
def test_an_energy_is_known_by_its_name(column, cell, kwh):
    header, rows = [*HEADER, column], [[*row, cell] for row in ROWS]
    text = first_map(header, rows, File())
    found = imported(text, header, rows[0])
    assert found["sessions"].get("energy_kwh") == kwh
    assert found["payments"]["amount_received"] == 1250
    if kwh:
        assert "# UNSURE" in line(text, "energy_kwh")


@pytest.mark.parametrize(
    ("header", "rows"), [(["a"], []), (['"q"\\', "line\nend", "大\x7f"], [["1", "2", "3"]]), (["id", "at"], [["1"]])]
)
def test_whatever_the_file_holds_the_map_loads_or_names_what_it_lacks(header, rows):
    text = first_map(header, rows, File())
    with pytest.raises(MapError, match=r"missing required field `(session_id|started_at)`"):
        load(text.encode())
    assert "# UNSURE" in line(text, "# started_at")


DUNDEE = ["Charging event", "User ID", "Start Date", "Start Time", "End Date", "End Time", "Total kWh", "Cost"]
DUNDEE_ROWS = [
    ["1", "u1", "31/10/2026", "23:54", "01/11/2026", "00:20", "5.9", "1,250.10"],
    ["2", "u1", "12/11/2026", "23:10", "13/11/2026", "00:30", "1015.25", "0"],
    ["3", "u2", "", "", "", "", "", ""],
]


def test_a_date_and_its_time_of_day_are_one_time():
    text = first_map(DUNDEE, DUNDEE_ROWS, File())
    found = imported(text, DUNDEE, DUNDEE_ROWS[0])
    assert found["sessions"]["started_at"] == "2026-10-31T23:54:00+00:00"
    assert found["sessions"]["ended_at"] == found["payments"]["paid_at"] == "2026-11-01T00:20:00+00:00"
    assert found["sessions"]["energy_kwh"] == "5.9"
    assert found["payments"]["amount_received"] == 125010
    assert "UNSURE" not in line(text, "started_at") + line(text, "ended_at") + line(text, "formats")


def test_a_date_beside_a_time_of_day_that_is_not_surely_its_own_is_left_out():
    header = ["id", "Start Date", "Clock in", "Clock out"]
    text = first_map(header, [["1", "31.10.2026", "23:54", "00:20"]], File())
    assert line(text, "# started_at") == (
        '# started_at = { column = "" }  # UNSURE: it might be Start Date, Clock in, Clock out'
    )
    with pytest.raises(MapError, match="missing required field `started_at`"):
        load(text.encode())


@pytest.mark.parametrize(
    ("key", "columns", "cells"),
    [
        ("amount_received", ["Gross amount", "Net cost"], ["12.50", "10.10"]),
        ("energy_kwh", ["Energy kWh", "Energy reactive kWh"], ["12.50", "10.10"]),
        ("customer_id", ["User", "Card"], ["u-1", "4711"]),
        ("session_id", ["Session", "Charge log"], ["7", "8"]),
        ("started_at", ["Start plug", "Begin charge"], ["2026-11-03 08:29", "2026-11-03 08:30"]),
    ],
)
def test_where_several_columns_may_be_meant_none_is_taken(key, columns, cells):
    text = first_map([*columns, "note"], [[*cells, "x"]], File())
    assert line(text, f"# {key}").endswith(f"# UNSURE: it might be {', '.join(columns)}")


def test_the_only_time_is_the_start_whatever_its_name():
    for header, cells in (
        (["id", "Date", "Time", "Duration"], ["1", "31.10.2026", "23:54", "1:30"]),
        (["id", "When"], ["1", "2026-10-31 23:54"]),
    ):
        found = imported(first_map(header, [cells], File()), header, cells)
        assert found["sessions"]["started_at"] == "2026-10-31T23:54:00+00:00"
        assert "ended_at" not in found["sessions"]


def test_a_column_of_ends_with_a_broken_cell_is_asked_about():
    header = ["id", "Start", "End", "Fee", "Vendor"]
    rows = [
        ["1", "2026-10-31 23:54", "2026-11-01 00:10", "1.50", "x"],
        ["2", "2026-10-31 23:55", "44196.9375", "2", "y"],
    ]
    text = first_map(header, rows, File())
    assert line(text, "# paid_at") == '# paid_at = { column = "" }  # UNSURE: it might be End'


def test_energy_and_durations_are_no_amounts():
    header = ["id", "start", "Total kWh", "Total time (min)"]
    assert "[payment]" not in first_map(header, [["1", "2026-11-03 08:29", "5.9", "40"]], File())


def test_cells_that_may_mean_nothing_are_asked_about_and_hide_no_column():
    header, row = ["id", "start", "kwh"], ["2", "2026-11-03T08:29", "1 234,5"]
    text = first_map(header, [["1", "NA", "NA"], row], File())
    assert line(text, "nothing").startswith('nothing = ["NA"]  # UNSURE')
    assert imported(text, header, row)["sessions"]["energy_kwh"] == "1234.5"


def test_times_as_http_writes_them_are_read():
    header, row = ["sessionID", "connectionStart"], ["1", "Wed, 25 Apr 2018 11:08:04 GMT"]
    found = imported(first_map(header, [row], File()), header, row)
    assert found["sessions"]["started_at"] == "2018-04-25T11:08:04+00:00"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("before", ["", "\n", "sep=;\n", "\r\nsep=;\r\n"])
def test_what_stands_before_the_header_is_seen(tmp_path, encoding, before):
    (tmp_path / "a.csv").write_text(before + "id;start;kwh\n1;2019-01-01 00:10:00;1,5\n", encoding=encoding, newline="")
    text = new_map(tmp_path / "a.csv")
    found = imported(text, ["id", "start", "kwh"], ["1", "2019-01-01 00:10:00", "1,5"])
    assert found["sessions"]["energy_kwh"] == "1.5"
    loaded = load(text.encode())
    assert loaded.file.separator == ";"
    with CsvReader(tmp_path / "a.csv", loaded.file) as reader:
        assert [cells for _, cells in reader.rows()] == [["1", "2019-01-01 00:10:00", "1,5"]]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "has no header line"),
        (b"\n\n", "has no header line"),
        (b"sep=;\n", "has no header line"),
        (b"Report of November\n\nid;start\n1;2\n", "what stands before the header is to be removed"),
        (b"\xff\xfe\x00", "has no header line"),
        (b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00", "its header holds bytes of zero"),
    ],
)
def test_what_is_no_file_with_a_header_is_one_sentence(tmp_path, content, sentence):
    (tmp_path / "a.csv").write_bytes(content)
    result = CliRunner().invoke(load_command("import"), [str(tmp_path / "a.csv"), "--new-map"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_missing_file_is_one_sentence(tmp_path):
    result = CliRunner().invoke(load_command("import"), [str(tmp_path / "x"), "--new-map"])
    assert (result.exit_code, result.stderr) == (
        1,
        f"stream-app import: {tmp_path / 'x'} can't be read: no such file or directory\n",
    )

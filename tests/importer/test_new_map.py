"""The first map of a file: it loads, it imports, and what it can't know it says."""

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from stream_app.cli import load as load_command
from stream_app.importer.map_file import File
from stream_app.importer.map_load import load
from stream_app.importer.mapping import Mapping
from stream_app.importer.new_map import first_map

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
def test_whatever_the_file_holds_the_map_loads(header, rows):
    assert load(first_map(header, rows, File()).encode()).session.session_id.column in header


def test_a_missing_file_is_one_sentence(tmp_path):
    result = CliRunner().invoke(load_command("import"), [str(tmp_path / "x"), "--new-map"])
    assert (result.exit_code, result.stderr) == (
        1,
        f"stream-app import: {tmp_path / 'x'} can't be read: no such file or directory\n",
    )

"""Every statement runs, with the same outcome, on ClickHouse 18.16 and on today's (chdb)."""

import json
import subprocess
import sys
from datetime import date
from importlib.resources import files

import pytest

from stream_app.domain.figures import FIGURES
from stream_app.domain.tables import HALF_HOUR, MONTHLY, TABLES
from stream_app.sinks import clickhouse_statements as statements_of
from stream_app.sinks.clickhouse_migrations import FOLDER
from stream_app.sinks.clickhouse_rows import chunks_of
from stream_app.sinks.sql import OTHER_TABLES, RECORD, sql
from tests.sinks.conftest import DATABASE
from tests.support.clickhouse_today import with_rows
from tests.support.fake_view import MONTH as CURRENT
from tests.support.fake_view import TODAY, FakeView

NAMES = sorted(
    entry.name[: -len(".sql")] for entry in files("stream_app.sinks.sql").iterdir() if entry.name.endswith(".sql")
)
MADE = ["database", RECORD, "moves", *OTHER_TABLES]
FIRST_FIGURES = [figure for figure in FIGURES if figure.since == 1]
ADDED = [figure.column for figure in FIGURES if figure.since > 1]


def tables() -> list[tuple[str, str]]:
    """What makes all tables and views, as the first version had them and then as they are."""
    texts = [(name, sql(name, DATABASE)) for name in MADE]
    texts += [("migration", entry.read_text().format(database=DATABASE).strip()) for entry in FOLDER.iterdir()]
    for table in TABLES:
        texts.append(("create_table", statements_of.create_table(table, DATABASE, FIRST_FIGURES)))
        texts.append(("create_view", statements_of.create_view(table, DATABASE, FIRST_FIGURES)))
    texts.append(("add_columns", statements_of.add_columns(MONTHLY, DATABASE, ADDED)))
    for table in TABLES:
        texts.append(("drop_view", statements_of.drop_view(table, DATABASE)))
        texts.append(("create_view", statements_of.create_view(table, DATABASE)))
    return texts


def rows_of(table, *changes):
    """Rows of a view that is brought up step by step: each step is inserted by itself."""
    view = FakeView()
    view.add_operator("M'1")
    found = []
    for change in changes:
        key = change(view)
        found += [row for chunk in chunks_of(view, table, [key]) for row in zip(*chunk.columns(), strict=True)]
    return found


INSERTS = {
    "insert_migration": [(1, 0), (2, 0), (2, 0)],
    "insert_moves": [(1, 8, 0, 0), (1, 8, 0, 1), (2, 5, 3, 0)],
    "insert_as_of": [(3, 1795507200), (3, 1795507100)],
    "insert_operators": [("M'1", None, "UTC", "EUR", "2026-11-24", "2025-11-01", "2026-08-25", 3, 9)],
    "insert_writes": [("M'1", 16), ("M'1", 17), ("M'1", 14), ("M2", 17), ("M2", 18)],
    "insert_groups": [("M'1", "ALL", None, 1, 3, 8), ("M'1", "vip", "大", 0, 3, 8), ("M'1", "gone", None, 0, 3, 8)],
    "insert_months": rows_of(
        MONTHLY,
        lambda view: view.set_month("M'1", "ALL", CURRENT, 8, [7, 3, 0, 5], EUR=[900, 150, 0, 3, 2, 0]),
        lambda view: view.set_month("M'1", "ALL", CURRENT, 8, [7, 3, 0, 12_345], EUR=[1001, 150, 0, 3, 2, 0]),
        lambda view: view.set_month("M'1", "ALL", CURRENT, 7, [9, 4, 0, 99_999], EUR=[9999, 150, 0, 3, 2, 0]),
        lambda view: view.set_month("M'1", "ALL", CURRENT - 1, 6, [0, 0, 0], EUR=[-5, 0, 5, 1, 0, -5]),
    ),
    "insert_days": rows_of(
        HALF_HOUR,
        lambda view: view.set_day("M'1", "ALL", TODAY, 8, {0: 5}),
        lambda view: view.set_day("M'1", "ALL", TODAY, 8, {0: 6, 47: 1}),
        lambda view: view.set_day("M'1", "ALL", TODAY, 7, {0: 4}),
        lambda view: view.set_day("M'1", "ALL", TODAY - 1, 9, {0: 2}),
    ),
}
SENT = {"insert_days": statements_of.sent(HALF_HOUR)}  # of statements that rows go along with
CHANGES = {"drop_as_of"}  # which answer nothing
TEXTS = {
    "insert_months": statements_of.insert(MONTHLY, DATABASE),
    "insert_days": statements_of.insert(HALF_HOUR, DATABASE),
    "sum_months": statements_of.sum_rows(MONTHLY, DATABASE),
    "sum_days": statements_of.sum_rows(HALF_HOUR, DATABASE),
    "read_months": statements_of.read_figures(MONTHLY, DATABASE),
    "read_days": statements_of.read_counts(HALF_HOUR, DATABASE),
}
PARAMETERS = {
    "database": f"'{DATABASE}'",
    "tables": str(tuple(table.clickhouse_table for table in TABLES)),
    "firsts": "['2025-11-01', '2026-11-01']",
    "partition": "3",
    "partitions": "4",
    "first": "'2025-11-01'",
    "operator": r"'M\'1'",
    "operators": r"('M\'1', 'M2')",
    "group": "'ALL'",
    "from": "'2026-11-24'",
    "to": "'2026-11-24'",
}
VIEWS = [f"SELECT * FROM {DATABASE}.{statements_of.view_name(table)} ORDER BY version" for table in TABLES]


def literal(value) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"


def text_of(name) -> str:
    return TEXTS[name] if name in TEXTS else sql(name, DATABASE)


def with_row(name, row) -> str:
    """As a statement that needs nothing else."""
    if name in SENT:
        return with_rows(text_of(name), statements_of.SENT, SENT[name], [row])
    return f"{text_of(name)} ({', '.join(map(literal, row))})"


def with_parameters(text: str) -> str:
    """As the driver puts them in: into a statement that has some."""
    return text % PARAMETERS if "%(" in text else text


def statements() -> list[tuple[str, str]]:
    """All statements as text: tables, inserts, then questions."""
    texts = tables()
    for name, rows in INSERTS.items():
        texts += [(name, with_row(name, row)) for row in rows]
    asked = [name for name in [*NAMES, *TEXTS] if name not in {*MADE, *INSERTS}]
    return texts + [(name, with_parameters(text_of(name))) for name in asked] + [("view", view) for view in VIEWS]


CHDB = """
import sys, json
from chdb.session import Session
session = Session(sys.argv[1])
for text in json.loads(sys.stdin.read()):
    asks = text.startswith("SELECT")
    found = session.query(text, "JSONCompactStrings" if asks else "Null")
    print(json.dumps(sorted(json.loads(found.bytes())["data"]) if asks else []))
"""


@pytest.fixture(scope="module")
def todays(tmp_path_factory):
    """What today's ClickHouse answers, by statement; in a process of its own, for the library keeps threads for ever."""
    texts = [text for _, text in statements()]
    found = subprocess.run(
        [sys.executable, "-c", CHDB, str(tmp_path_factory.mktemp("chdb") / "data")],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return dict(zip(texts, map(json.loads, found.stdout.splitlines()), strict=True))


COMPOSED = {"migration", "create_table", "create_view", "add_columns", "drop_view", "view"}


def test_every_statement_has_a_case():
    assert {name for name, _ in statements()} == {*NAMES, *TEXTS, *COMPOSED}


def test_the_outcome_is_the_same(raw_clickhouse, todays):
    def text(value) -> str:
        return "ᴺᵁᴸᴸ" if value is None else f"{value:%Y-%m-%d %H:%M:%S}" if hasattr(value, "hour") else str(value)

    def parsed(value):
        return date.fromisoformat(value) if isinstance(value, str) and value[4:5] == "-" else value

    for _, text_of_it in tables():
        raw_clickhouse.execute(text_of_it)
    for name, rows in INSERTS.items():  # the driver sends rows apart from their statement
        for row in rows:
            if name in SENT:
                sent = {"name": statements_of.SENT, "structure": SENT[name], "data": [row]}
                raw_clickhouse.execute(text_of(name), external_tables=[sent])
            else:
                raw_clickhouse.execute(text_of(name), [[parsed(value) for value in row]])
    compared = set()
    for name, statement in statements():
        if not statement.startswith("SELECT"):
            if name in CHANGES:
                raw_clickhouse.execute(statement)
            continue
        rows = raw_clickhouse.execute(statement)
        found, today = sorted([text(value) for value in row] for row in rows), todays[statement]
        if name == "knows_async_insert":
            assert (found, today) == ([["0"]], [["1"]])
        elif name == "signatures":  # times of making differ
            assert [[table, *blocks] for table, _, *blocks in found] == [
                [table, *blocks] for table, _, *blocks in today
            ]
            assert {row[2] for row in found} == {"1"}
        else:
            assert [[number(value) for value in row] for row in found] == [
                [number(value) for value in row] for row in today
            ], name
            assert found
        compared.add(name)
    assert compared == {*NAMES, *TEXTS, "view"} - {*MADE, *INSERTS, *CHANGES}
    ((received, energy),) = raw_clickhouse.execute(
        f"SELECT received_amount, energy_kwh FROM {DATABASE}.{statements_of.view_name(MONTHLY)} WHERE version = 8"
    )
    assert (str(received), str(energy)) == ("10.01", "12.345")  # of equal versions, what was inserted last
    slots = dict(
        raw_clickhouse.execute(
            f"SELECT slot, charge_count FROM {DATABASE}.{statements_of.view_name(HALF_HOUR)} WHERE version = 8"
        )
    )
    assert slots == dict.fromkeys(range(48), 0) | {0: 6, 47: 1}


def number(value: str) -> str | float:
    """Decimals end in zeros or not."""
    try:
        return float(value)
    except ValueError:
        return value

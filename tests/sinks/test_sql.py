"""Every statement runs, with the same outcome, on ClickHouse 18.16 and on today's (chdb)."""

import json
import subprocess
import sys
from datetime import date
from importlib.resources import files

import pytest

from stream_app.sinks.sql import TABLES, sql
from tests.sinks.conftest import DATABASE

NAMES = sorted(
    entry.name[: -len(".sql")] for entry in files("stream_app.sinks.sql").iterdir() if entry.name.endswith(".sql")
)
INSERTS = {
    "insert_monthly": [
        ("M'1", "ALL", "2026-11-01", "EUR", "10.01", "1.5", "0", 3, 2, "5.01", 7, 3, "2.33", "0", 0, 3, 1795507200, 8),
        ("M'1", "ALL", "2026-11-01", "EUR", "9", "1.5", "0", 3, 2, "4.5", 7, 3, "2.33", "0", 0, 3, 1795507200, 7),
        ("M'1", "ALL", "2026-10-01", "EUR", "0", "0", "0", 0, 0, "0", 0, 0, "0", "0", 0, 3, 1795507200, 6),
    ],
    "insert_charging_distri": [
        ("M'1", "ALL", "2026-11-24", 0, 5, 3, 1795507200, 8),
        ("M'1", "ALL", "2026-11-24", 0, 4, 3, 1795507200, 7),
        ("M'1", "ALL", "2026-11-23", 0, 2, 3, 1795507200, 9),
    ],
    "insert_as_of": [(3, 1795507200), (3, 1795507100)],
    "insert_operators": [("M'1", None, "UTC", "EUR", "2026-11-24", "2025-11-01", "2026-08-25", 3, 9)],
    "insert_groups": [("M'1", "ALL", None, 1, 3, 8), ("M'1", "vip", "大", 0, 3, 8), ("M'1", "gone", None, 0, 3, 8)],
}
PARAMETERS = {
    "database": f"'{DATABASE}'",
    "partition": "3",
    "first": "'2025-11-01'",
    "operator": r"'M\'1'",
    "operators": r"('M\'1', 'M2')",
    "group": "'ALL'",
    "from": "'2026-11-24'",
    "to": "'2026-11-24'",
}
VIEWS = [
    f"SELECT * FROM {DATABASE}.ads_operation_crm_{table}_current ORDER BY version"
    for table in ("monthly", "charging_distri")
]


def literal(value) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def statements() -> list[tuple[str, str]]:
    """All statements as text: tables, inserts, then questions."""
    texts = [(name, sql(name, DATABASE)) for name in TABLES]
    for name, rows in INSERTS.items():
        texts += [(name, f"{sql(name, DATABASE)} ({', '.join(map(literal, row))})") for row in rows]
    texts += [(name, sql(name, DATABASE) % PARAMETERS) for name in NAMES if name not in {*TABLES, *INSERTS}]
    return texts + [("view", view) for view in VIEWS]


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


def test_every_statement_has_a_case():
    assert {name for name, _ in statements()} == {*NAMES, "view"}


def test_the_outcome_is_the_same(raw_clickhouse, todays):
    def text(value) -> str:
        return "ᴺᵁᴸᴸ" if value is None else f"{value:%Y-%m-%d %H:%M:%S}" if hasattr(value, "hour") else str(value)

    def parsed(value):
        return date.fromisoformat(value) if str(value)[4:5] == "-" else value

    for name in TABLES:
        raw_clickhouse.execute(sql(name, DATABASE))
    for name, rows in INSERTS.items():  # the driver sends rows apart from their statement
        for row in rows:
            raw_clickhouse.execute(sql(name, DATABASE), [[parsed(value) for value in row]])
    compared = set()
    for name, statement in statements():
        if not statement.startswith("SELECT"):
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
    assert compared == set(NAMES) - set(TABLES) - set(INSERTS) | {"view"}
    ((received,),) = raw_clickhouse.execute(
        f"SELECT received_amount FROM {DATABASE}.ads_operation_crm_monthly_current WHERE version = 8"
    )
    assert str(received) == "10.01"


def number(value: str) -> str | float:
    """Decimals end in zeros or not."""
    try:
        return float(value)
    except ValueError:
        return value

"""Migrations bring every database up to date: an empty one, one of the first version, one that was left in the middle; never one of a newer version."""

import asyncio
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from clickhouse_driver.errors import ServerException

from stream_app.domain.events import ALL
from stream_app.domain.figures import FIGURES, KWH, SESSIONS, Sum
from stream_app.domain.local_time import month_add
from stream_app.domain.tables import MONTH, MONTHLY, TABLES, CountTable
from stream_app.partition.frontiers import Frontiers
from stream_app.partition.sink_writer import SinkWriter
from stream_app.sinks import clickhouse_statements as statements
from stream_app.sinks.clickhouse_client import Connection
from stream_app.sinks.clickhouse_migrations import FOLDER, Migrations, UnusableTablesError, shape
from stream_app.sinks.clickhouse_reader import KnownOperator
from stream_app.sinks.sql import OTHER_TABLES, WRITES, sql
from tests.sinks import first_version
from tests.sinks.conftest import DATABASE
from tests.sinks.test_clickhouse import fill
from tests.support.fake_view import MONTH as CURRENT
from tests.support.fake_view import example

FIRST_FIGURES = [figure for figure in FIGURES if figure.since == 1]
# Figures and a table that a third version could bring: one before all others, one among them, one behind.
HEAT = Sum("heatKwh", KWH, SESSIONS, "Heat.", lambda _: 1, since=3)
COLD = Sum("coldKwh", KWH, SESSIONS, "Cold.", lambda _: 1, since=3)
LAST = Sum("lastKwh", KWH, SESSIONS, "Last.", lambda _: 1, since=3)
THIRD_FIGURES = [HEAT, *FIGURES[:5], COLD, *FIGURES[5:], LAST]
BY_DAY = CountTable(
    "by_day",
    "d",
    MONTH,
    lambda local: local,
    [{"day": str(day)} for day in range(31)],
    document="by_day",
    path="byDay",
    topic="by-day.v1",
    clickhouse_table="ads_operation_crm_by_day",
    shown=1,
    meaning="Charges by day of the month.",
    since=3,
)
THIRD = Migrations([*TABLES, BY_DAY], THIRD_FIGURES)


@pytest.fixture
def to(clickhouse_url, raw_clickhouse):
    connection = Connection(clickhouse_url, DATABASE)
    yield connection
    connection.close()


@pytest.fixture
def first(raw_clickhouse):
    """The database is one of the first version."""
    for statement in first_version.statements(DATABASE):
        raw_clickhouse.execute(statement)


def described(client, name) -> list[tuple[str, str]]:
    """Columns and types of a table or view."""
    return [
        (column, kind.replace(", ", ",")) for column, kind, *_ in client.execute(f"DESCRIBE TABLE {DATABASE}.{name}")
    ]


def columns(table, figures=FIGURES) -> list[tuple[str, str]]:
    return [(name, kind.replace(", ", ",")) for name, kind in statements.columns(table, figures)]


def assert_up_to_date(client, tables=TABLES, figures=FIGURES, versions=(1, 2)) -> None:
    for table in tables:
        assert described(client, table.clickhouse_table) == columns(table, figures)
        assert described(client, statements.view_name(table)) == columns(table, figures)
    recorded = client.execute(
        f"SELECT DISTINCT version, part FROM {DATABASE}.ads_operation_crm_migrations ORDER BY version, part"
    )
    assert recorded == sorted([(2, 1), *((version, 0) for version in versions)])


def test_the_first_migration_makes_the_tables_of_the_first_version():
    made = [sql("database", DATABASE)]
    for table in TABLES:
        made.append(statements.create_table(table, DATABASE, FIRST_FIGURES))
        made.append(statements.create_view(table, DATABASE, FIRST_FIGURES))
    assert [*made, *(sql(name, DATABASE) for name in OTHER_TABLES)] == first_version.statements(DATABASE)


def test_an_empty_server_gets_all_tables(to, raw_clickhouse):
    Migrations().run(to)
    assert_up_to_date(raw_clickhouse)
    assert shape(to).keys() >= set(OTHER_TABLES.values())


def test_a_second_run_changes_nothing(to, raw_clickhouse):
    Migrations().run(to)
    question = f"SELECT name, metadata_modification_time FROM system.tables WHERE database = '{DATABASE}' ORDER BY name"
    before = raw_clickhouse.execute(question)
    raw_clickhouse.execute("SELECT sleep(1.1)")
    Migrations().run(to)
    assert raw_clickhouse.execute(question) == before


def energy_of_each(client) -> list:
    return client.execute(f"SELECT DISTINCT energy_kwh FROM {DATABASE}.ads_operation_crm_monthly_current")


async def test_a_database_of_the_first_version_is_upgraded(
    to, raw_clickhouse, first, clickhouse_sink, clickhouse_reader
):
    """Tables and rows stay; energy is zero until it is compared and written, months past retention included."""
    view, before = example(), example()
    past = before.set_month("M1", ALL, 202001, 1, [1, 1, 0], EUR=[700, 0, 0, 1, 1, 0])
    rows = first_version.write_months(raw_clickhouse, DATABASE, before)
    with pytest.raises(ServerException, match=WRITES):  # to an API that is newer: ClickHouse is out
        await clickhouse_reader.figures(MONTHLY, "M1", KnownOperator(view.known["M1"], 3), ALL, [CURRENT], "EUR")
    Migrations().run(to)
    assert_up_to_date(raw_clickhouse)
    assert energy_of_each(raw_clickhouse) == [(0,)]
    dirty = await clickhouse_sink.compare(view)
    assert dirty.cells[MONTHLY.name] == {key for key in view.months if key.operator == "M1"}  # the only one with energy
    await clickhouse_sink.write([(view, dirty)])
    assert not await clickhouse_sink.compare(view)
    assert raw_clickhouse.execute(f"SELECT count() FROM {DATABASE}.ads_operation_crm_monthly_current") == [(rows,)]
    known = await clickhouse_reader.operator("M1")
    months = [month_add(CURRENT, -1), past.period]
    found = await clickhouse_reader.figures(MONTHLY, "M1", known, ALL, months, "EUR")
    assert [month["receivedAmount"] for month in found["months"]] == ["1230.00", "7.00"]
    assert [month["energyKwh"] for month in found["months"]] == ["2345.678", "0.000"]


async def test_a_worker_of_the_first_version_that_lives_on_does_no_harm(to, raw_clickhouse, clickhouse_sink):
    """It inserts by its own columns, at equal versions: energy is zero then, which the next comparison sees."""
    view = example()
    await fill(clickhouse_sink, view)
    for statement in first_version.statements(DATABASE):
        raw_clickhouse.execute(statement)
    first_version.write_months(raw_clickhouse, DATABASE, view)
    assert_up_to_date(raw_clickhouse)
    assert energy_of_each(raw_clickhouse) == [(0,)]
    await fill(clickhouse_sink, view)
    assert not await clickhouse_sink.compare(view)
    assert len(energy_of_each(raw_clickhouse)) > 1


def test_a_view_that_an_older_worker_made_meanwhile_is_made_anew(to, raw_clickhouse):
    Migrations().run(to)
    to.ask(statements.drop_view(MONTHLY, DATABASE))
    to.ask(statements.create_view(MONTHLY, DATABASE, FIRST_FIGURES))
    Migrations().run(to)
    assert_up_to_date(raw_clickhouse)


@pytest.mark.parametrize("begin", ["nothing", "first", "second"])
def test_figures_and_tables_of_a_third_version_give_the_third_migration(begin, to, raw_clickhouse):
    if begin == "first":
        for statement in first_version.statements(DATABASE):
            to.ask(statement)
    if begin == "second":
        Migrations().run(to)
    THIRD.run(to)
    assert THIRD.newest == (3, 0)
    assert_up_to_date(raw_clickhouse, [*TABLES, BY_DAY], THIRD_FIGURES, (1, 2, 3))
    names = [name for name, _ in described(raw_clickhouse, MONTHLY.clickhouse_table)]
    assert [names.index(name) for name in ("heat_kwh", "cold_kwh", "last_kwh")] == [4, 10, 4 + len(THIRD_FIGURES) - 1]


class Killed(BaseException):
    """The worker ends here."""


class Mortal(Connection):
    """A connection whose worker is killed behind one of its statements."""

    left = 0

    def ask(self, statement, **parameters):
        return self._mortal(partial(super().ask, statement, **parameters))

    def insert(self, statement, columns):
        self._mortal(partial(super().insert, statement, columns))

    def _mortal(self, work):
        found = work()
        self.left -= 1
        if self.left == 0:
            raise Killed
        return found


def test_a_run_that_is_killed_behind_any_statement_is_resumed(clickhouse_url, raw_clickhouse):
    killed, mortal = 0, Mortal(clickhouse_url, DATABASE)
    while True:
        raw_clickhouse.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        for statement in first_version.statements(DATABASE):
            raw_clickhouse.execute(statement)
        mortal.left = killed + 1
        try:
            THIRD.run(mortal)
        except Killed:
            killed += 1
        else:
            break
        THIRD.run(mortal)
        assert_up_to_date(raw_clickhouse, [*TABLES, BY_DAY], THIRD_FIGURES, (1, 2, 3))
    mortal.close()
    assert killed > 20


@pytest.mark.parametrize("begin", ["nothing", "first"])
def test_workers_that_start_at_the_same_moment(begin, clickhouse_url, raw_clickhouse):
    connections = [Connection(clickhouse_url, DATABASE) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            raw_clickhouse.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
            if begin == "first":
                for statement in first_version.statements(DATABASE):
                    raw_clickhouse.execute(statement)
            list(pool.map(THIRD.run, connections))
            assert_up_to_date(raw_clickhouse, [*TABLES, BY_DAY], THIRD_FIGURES, (1, 2, 3))
    for connection in connections:
        connection.close()


class Lane:
    """What a sink writer sees of a lane."""

    is_open, is_behind, committed, partition = True, False, 1, 3
    frontiers = Frontiers(1_795_507_200_000, 0)

    def __init__(self):
        self.view = example()

    def release(self, written):
        """Nothing is held."""


async def test_a_database_of_a_newer_version_is_not_written_to(to, raw_clickhouse, clickhouse_sink, caplog):
    """The worker goes on and says so once, and writes when the newer version is gone."""
    THIRD.run(to)
    lanes = [Lane()]
    writer = SinkWriter(clickhouse_sink, 0.01, lambda: lanes)
    task = asyncio.create_task(writer.run())
    await asyncio.sleep(1.5)  # tried again some times
    assert writer.failing
    (said,) = (record.getMessage() for record in caplog.records)
    assert said == (
        f"clickhouse fails, results are kept for it: UnusableTablesError: the database {DATABASE} has migration 3.0 of a "
        "newer version, this one knows 2.1: results go on once this worker is replaced by the newer version"
    )
    assert_up_to_date(raw_clickhouse, [*TABLES, BY_DAY], THIRD_FIGURES, (1, 2, 3))
    assert energy_of_each(raw_clickhouse) == []
    raw_clickhouse.execute(f"DROP DATABASE {DATABASE}")
    async with asyncio.timeout(20):
        while not writer.as_of_ms:  # noqa: ASYNC110  # the writer tells nobody
            await asyncio.sleep(0.05)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert_up_to_date(raw_clickhouse)
    assert not await clickhouse_sink.compare(lanes[0].view)


async def test_one_that_was_compared_before_is_refused_as_of_and_compares(to, clickhouse_sink):
    view = example()
    await fill(clickhouse_sink, view)
    to.ask("SELECT sleep(1.1)")  # the time of changing a table is known to the second
    THIRD.run(to)
    assert await clickhouse_sink.write_as_of({3: 1_795_507_300_000}) == {3}


@pytest.mark.parametrize(
    "lost",
    [
        *OTHER_TABLES.values(),
        WRITES,
        *(name for table in TABLES for name in (table.clickhouse_table, statements.view_name(table))),
        "ads_operation_crm_migrations",
    ],
)
def test_a_table_that_was_lost_is_made_again(lost, to, raw_clickhouse):
    Migrations().run(to)
    raw_clickhouse.execute(f"DROP TABLE {DATABASE}.{lost}")
    Migrations().run(to)
    assert_up_to_date(raw_clickhouse)
    assert lost in shape(to)


def test_a_table_that_is_not_ours_is_named(to, raw_clickhouse):
    raw_clickhouse.execute(f"CREATE DATABASE {DATABASE}")
    raw_clickhouse.execute(f"CREATE TABLE {DATABASE}.{MONTHLY.clickhouse_table} (version UInt64) ENGINE = Log")
    with pytest.raises(UnusableTablesError, match=r"crm_monthly is another table, it lacks .*'as_of', 'currency'"):
        Migrations().run(to)


def test_what_somebody_drops_again_and_again_is_named(clickhouse_url, raw_clickhouse):
    class Meddled(Connection):
        def ask(self, statement, **parameters):
            found = super().ask(statement, **parameters)
            if statement == statements.create_view(MONTHLY, DATABASE):
                super().ask(statements.drop_view(MONTHLY, DATABASE))
            return found

    connection = Meddled(clickhouse_url, DATABASE)
    with pytest.raises(UnusableTablesError, match=r"still lacks .*crm_monthly_current\.as_of"):
        Migrations().run(connection)
    connection.close()


def test_a_file_runs_once_behind_its_version(tmp_path, to, raw_clickhouse):
    (tmp_path / "1_1_note.sql").write_text("CREATE TABLE IF NOT EXISTS {database}.note (runs UInt8) ENGINE = Log")
    (tmp_path / "2_2_notes.sql").write_text(
        "INSERT INTO {database}.note SELECT 1;\n\nINSERT INTO {database}.note SELECT 2;\n"
    )
    (tmp_path / "README.md").write_text("no migration")
    for entry in FOLDER.iterdir():
        (tmp_path / entry.name).write_text(entry.read_text())
    migrations = Migrations(folder=tmp_path)
    assert [migration.version for migration in migrations.all] == [(1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    Migrations().run(to)
    for _ in range(2):
        migrations.run(to)
        assert raw_clickhouse.execute(f"SELECT runs FROM {DATABASE}.note ORDER BY runs") == [(1,), (2,)]
    with pytest.raises(UnusableTablesError, match=r"2\.2 of a newer version, this one knows 2\.1"):
        Migrations().run(to)
    raw_clickhouse.execute(f"DROP TABLE {DATABASE}.ads_operation_crm_groups")
    migrations.run(to)
    assert raw_clickhouse.execute(f"SELECT count() FROM {DATABASE}.note") == [(4,)]
    assert "ads_operation_crm_groups" in shape(to)


CHDB = """
import sys, json
from chdb.session import Session
from stream_app.sinks.clickhouse_reader import KnownOperator
from stream_app.sinks.sql import sql
from tests.sinks import first_version
from tests.sinks.test_clickhouse_migrations import THIRD
from stream_app.sinks.clickhouse_migrations import Migrations, shape

class Library:
    database = "sinks_test"
    def __init__(self):
        self.session = Session(sys.argv[1])
    def run(self, name, **parameters):
        return self.ask(sql(name, self.database), **parameters)
    def ask(self, text, **parameters):
        if parameters:
            text = text % {name: "'%s'" % value for name, value in parameters.items()}
        asks = text.startswith("SELECT")
        found = self.session.query(text, "JSONCompact" if asks else "Null")
        return [tuple(row) for row in json.loads(found.bytes())["data"]] if asks else []
    def insert(self, statement, columns):
        for row in zip(*columns):
            self.ask(f"{statement} ({', '.join(map(str, row))})")

to = Library()
for begin in ("nothing", "first"):
    to.ask("DROP DATABASE IF EXISTS sinks_test")
    if begin == "first":
        for statement in first_version.statements("sinks_test"):
            to.ask(statement)
    Migrations().run(to)
    THIRD.run(to)
    THIRD.run(to)
    print(json.dumps({name: sorted(found) for name, found in shape(to).items()}))
"""


def test_todays_server_takes_the_same_steps(tmp_path, to, raw_clickhouse):
    """In a process of its own, for the library keeps threads for ever."""
    THIRD.run(to)
    wanted = {name: sorted(found) for name, found in shape(to).items()}
    found = subprocess.run(
        [sys.executable, "-c", CHDB, str(tmp_path / "data")], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    assert [json.loads(line) for line in found.stdout.splitlines()] == [wanted, wanted]


def test_the_files_of_the_checkout_are_all_migrations():
    numbered = [migration for migration in Migrations().all if migration.is_file]
    assert len(numbered) == (len(list(FOLDER.iterdir())) if FOLDER.is_dir() else 0)

"""Numbered migrations of ClickHouse's tables: what each version of figures and tables brought, and files for the rest.

Migration 1 are the tables of the first version; migration n what figures and tables with `since` = n add: they are
generated from the descriptors. A change that does not follow from those is a file
`sql/migrations/<version>_<part>_<what>.sql`, which runs behind that version as migration version.part; its statements,
apart by `;`, leave alone what is as they make it.

Any number of workers may run them at the same moment, and be killed in the middle: each step looks whether its outcome
is there, and one that was overtaken looks again. Which were run is recorded behind their last step. That tells a
database of a newer version from one of ours, and a finished one from one to look at. A table that was lost is made by
all of them again; rows and columns are never dropped.
"""

import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from clickhouse_driver.errors import ServerException

from stream_app.domain.figures import FIGURES, Figure
from stream_app.domain.tables import TABLES
from stream_app.sinks import clickhouse_statements as statements
from stream_app.sinks.clickhouse_client import Connection
from stream_app.sinks.clickhouse_statements import AnyTable
from stream_app.sinks.sql import MOVES, OTHER_TABLES, RECORD, RECORD_TABLE, sql

ATTEMPTS: Final = 6  # of which each finds more done by others
FOLDER: Final = files("stream_app.sinks.sql").joinpath("migrations")
_FILE: Final = re.compile(r"(\d+)_(\d+)_\w+\.sql")
_MADE: Final = re.compile(r"CREATE TABLE IF NOT EXISTS \{database\}\.(\w+)")  # in a file

Version = tuple[int, int]  # version of figures and tables, and the part behind it: 0, or a file's
Step = Callable[[Connection], None]
Shape = dict[str, set[str]]  # table or view: its columns


class UnusableTablesError(Exception):
    """Nothing may be written to the tables, and no step of ours changes that. The message says why."""


class Migration(NamedTuple):
    """A version and what brings it about. `is_file`: no look tells whether it was run, the record does; `tables`: those it makes."""

    version: Version
    steps: Sequence[Step]
    is_file: bool = False
    tables: Sequence[str] = ()


class Migrations:
    """All migrations in order, up to what the tables and figures of this version need."""

    def __init__(
        self, tables: Sequence[AnyTable] = TABLES, figures: Sequence[Figure] = FIGURES, folder: Traversable = FOLDER
    ) -> None:
        versions = {1, *(figure.since for figure in figures), *(table.since for table in tables)}
        by_descriptor = [Migration((since, 0), list(_steps(since, tables, figures))) for since in versions]
        self.all = sorted([*by_descriptor, *_files(folder)], key=lambda migration: migration.version)
        self.newest = self.all[-1].version
        self._versions = {migration.version for migration in self.all}
        self._results = tables
        by_files = (name for migration in self.all for name in migration.tables)
        self._tables = {*OTHER_TABLES.values(), *(table.clickhouse_table for table in tables), *by_files}
        self._columns = {
            name: {column.name for column in statements.columns(table, figures)}
            for table in tables
            for name in (table.clickhouse_table, statements.view_name(table))
        }

    def run(self, to: Connection) -> None:
        """Bring the database up to date, whatever is in it.

        `Raises` UnusableTablesError, and what the driver raises.
        """
        for attempt in range(ATTEMPTS):
            try:
                if RECORD_TABLE not in shape(to):  # who may not make what is there already gets along
                    to.run("database")
                    to.run(RECORD)
                done, there = self._done(to), shape(to)
                self._check(to.database, there)
                if done == self._versions and not self._missing(there):
                    return
                self._run(to, done if self._tables <= there.keys() else set())
            except ServerException:
                if attempt == ATTEMPTS - 1:
                    raise
                time.sleep(random.uniform(0.05, 0.3))  # noqa: S311  # somebody else is at it
        if missing := self._missing(shape(to)):
            raise UnusableTablesError(f"the database {to.database} still lacks {missing}: somebody drops it again")

    def is_done(self, there: Shape) -> bool:
        """Whether tables of this shape lack nothing that migrations make."""
        return RECORD_TABLE in there and MOVES in there and not self._missing(there)

    def _done(self, to: Connection) -> set[Version]:
        done = set(to.run("migrations_done"))
        if unknown := done - self._versions:
            raise UnusableTablesError(
                f"the database {to.database} has migration {_text(max(unknown))} of a newer version, this one knows "
                f"{_text(self.newest)}: results go on once this worker is replaced by the newer version"
            )
        return done

    def _check(self, database: str, there: Shape) -> None:
        """Are the tables that are there ours?"""
        for table in self._results:
            own = {column.name for column in statements.columns(table, figures=())}
            if lacks := sorted(own - there.get(table.clickhouse_table, own)):
                raise UnusableTablesError(f"{database}.{table.clickhouse_table} is another table, it lacks {lacks}")

    def _missing(self, there: Shape) -> list[str]:
        """Tables that are not there, and columns of tables and views."""
        lost = sorted(self._tables - there.keys())
        return lost + [
            f"{name}.{column}"
            for name, columns in self._columns.items()
            for column in sorted(columns - there.get(name, set()))
        ]

    def _run(self, to: Connection, done: set[Version]) -> None:
        for migration in self.all:
            if migration.is_file and migration.version in done:
                continue
            for step in migration.steps:
                step(to)
            if migration.version not in done:
                to.insert(sql("insert_migration", to.database), [[number] for number in migration.version])


def shape(to: Connection) -> Shape:
    """Columns of all tables and views of the database."""
    found: Shape = defaultdict(set)
    for name, column in to.run("columns", database=to.database):
        found[name].add(column)
    return found


def _text(version: Version) -> str:
    return ".".join(map(str, version))


def _steps(since: int, tables: Sequence[AnyTable], figures: Sequence[Figure]) -> Iterator[Step]:
    """The steps that a version of figures and tables brings."""
    known = [figure for figure in figures if figure.since <= since]
    if since == 1:
        yield from (partial(_make_other, name) for name in OTHER_TABLES)
    for table in tables:
        if table.since == since:
            yield partial(_make, table, known)
        if table.since <= since:
            yield partial(_extend, table, known)


def _make_other(name: str, to: Connection) -> None:
    to.run(name)


def _make(table: AnyTable, figures: Sequence[Figure], to: Connection) -> None:
    to.ask(statements.create_table(table, to.database, figures))


def _extend(table: AnyTable, figures: Sequence[Figure], to: Connection) -> None:
    """Add the columns that are missing, then make the view anew if it lacks one."""
    there, values = shape(to), statements.values(table, figures)
    if missing := [column.name for column in values if column.name not in there[table.clickhouse_table]]:
        to.ask(statements.add_columns(table, to.database, missing, figures))
    if not {column.name for column in statements.columns(table, figures)} <= there[statements.view_name(table)]:
        to.ask(statements.drop_view(table, to.database))
        to.ask(statements.create_view(table, to.database, figures))


def _files(folder: Traversable) -> Iterator[Migration]:
    for entry in folder.iterdir() if folder.is_dir() else ():
        if found := _FILE.fullmatch(entry.name):
            text = entry.read_text(encoding="utf-8")
            version = int(found[1]), int(found[2])
            yield Migration(version, [partial(_run_file, text)], is_file=True, tables=_MADE.findall(text))


def _run_file(text: str, to: Connection) -> None:
    for statement in text.format(database=to.database).split(";"):
        if statement.strip():
            to.ask(statement.strip())

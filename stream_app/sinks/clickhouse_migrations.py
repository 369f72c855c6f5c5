"""Numbered migrations of ClickHouse's tables: what each version of the figures and tables brought, and files for what does not follow from them.

Migration 1 are the tables of the first version; migration n what figures and tables with `since` = n add: they are generated from the
descriptors. A change that does not follow from those is a file `sql/migrations/<version>_<part>_<what>.sql`, which runs behind that
version as migration version.part; its statements, apart by `;`, leave alone what is as they make it.

Any number of workers may run them at the same moment, and be killed in the middle: each step looks whether its outcome is there, and one that
was overtaken looks again. Which were run is recorded behind their last step. That tells a database of a newer version from one of ours, and
a finished one from one to look at. A table that was lost is made by all of them again; rows and columns are never dropped.
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
from stream_app.sinks.sql import OTHER_TABLES, RECORD, sql

ATTEMPTS: Final = 6  # of which each finds more done by others
FOLDER: Final = files("stream_app.sinks.sql").joinpath("migrations")
_FILE: Final = re.compile(r"(\d+)_(\d+)_\w+\.sql")

Version = tuple[int, int]  # version of figures and tables, and the part behind it: 0, or a file's
Step = Callable[[Connection], None]
Shape = dict[str, set[str]]  # table or view: its columns


class UnusableTablesError(Exception):
    """Nothing may be written to the tables, and no step of ours changes that. The message says why."""


class Migration(NamedTuple):
    """A version and what brings it about. `is_file`: no look tells whether it was run, the record does."""

    version: Version
    steps: Sequence[Step]
    is_file: bool = False


class Migrations:
    """All of them, in order, up to what the tables and figures of this version need."""

    def __init__(
        self, tables: Sequence[AnyTable] = TABLES, figures: Sequence[Figure] = FIGURES, folder: Traversable = FOLDER
    ) -> None:
        versions = {1, *(figure.since for figure in figures), *(table.since for table in tables)}
        by_descriptor = [Migration((since, 0), list(_steps(since, tables, figures))) for since in versions]
        self.all = sorted([*by_descriptor, *_files(folder)], key=lambda migration: migration.version)
        self.newest = self.all[-1].version
        self._tables = {*OTHER_TABLES.values(), *(table.clickhouse_table for table in tables)}
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
                to.run("database")
                to.run(RECORD)
                recorded = self._recorded(to)
                if recorded == self.newest and not self._missing(shape(to)):
                    return
                self._run(to, recorded)
            except ServerException:
                if attempt == ATTEMPTS - 1:
                    raise
                time.sleep(random.uniform(0.05, 0.3))  # noqa: S311  # somebody else is at it
        if missing := self._missing(shape(to)):
            raise UnusableTablesError(f"what is in the database {to.database} can't be migrated, it lacks {missing}")

    def _recorded(self, to: Connection) -> Version:
        version, part = (to.run("newest_migration") or [(0, 0)])[0]
        if (version, part) > self.newest:
            raise UnusableTablesError(
                f"the database {to.database} has migration {version}.{part} of a newer version, this one knows "
                f"{self.newest[0]}.{self.newest[1]}: results go on once this worker is replaced by the newer version"
            )
        return version, part

    def _missing(self, there: Shape) -> list[str]:
        """Tables that are not there, and columns of tables and views."""
        lost = sorted(self._tables - there.keys())
        columns = [
            f"{name}.{column}"
            for name, all_of_it in self._columns.items()
            for column in sorted(all_of_it - there[name])
        ]
        return lost + columns

    def _run(self, to: Connection, recorded: Version) -> None:
        is_whole = self._tables <= shape(to).keys()
        for version, steps, is_file in self.all:
            if is_file and is_whole and version <= recorded:
                continue
            for step in steps:
                step(to)
            if version > recorded:
                to.insert(sql("insert_migration", to.database), [[number] for number in version])


def shape(to: Connection) -> Shape:
    """Columns of all tables and views of the database."""
    found: Shape = defaultdict(set)
    for name, column in to.run("columns", database=to.database):
        found[name].add(column)
    return found


def _steps(since: int, tables: Sequence[AnyTable], figures: Sequence[Figure]) -> Iterator[Step]:
    """What a version of figures and tables brings."""
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
            yield Migration((int(found[1]), int(found[2])), [partial(_run_file, text)], is_file=True)


def _run_file(text: str, to: Connection) -> None:
    for statement in text.format(database=to.database).split(";"):
        if statement.strip():
            to.ask(statement.strip())

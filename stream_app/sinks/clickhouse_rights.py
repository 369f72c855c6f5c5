"""The rights in ClickHouse that each program needs, in the words of GRANT: of this list the documentation, the check at each start and the tests are made.

A server of today says by CHECK GRANT what its user may do. One that does not know that is asked for no rows, and given none, of each table that is there.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from clickhouse_driver.errors import ServerException

from stream_app.domain.tables import TABLES
from stream_app.sinks.clickhouse_client import Connection
from stream_app.sinks.clickhouse_migrations import Migrations, shape
from stream_app.sinks.clickhouse_statements import view_name
from stream_app.sinks.sql import MOVES, OTHER_TABLES, RECORD_TABLE, WRITES

_SYNTAX: Final = 62
_DENIED: Final = {164, 291, 497}  # readonly, database or access denied


class ClickHouseRight(NamedTuple):
    """A right. `table`: of another database; empty: on all of the database of results. `makes`: needed while tables lack something."""

    right: str
    table: str = ""
    makes: bool = False

    def on(self, database: str) -> str:
        """The right and what it is on, as GRANT has it."""
        return f"{self.right} ON {self.table or f'{database}.*'}"


_SELECT: Final = ClickHouseRight("SELECT")
_INSERT: Final = ClickHouseRight("INSERT")
_DATABASE: Final = ClickHouseRight("CREATE DATABASE", makes=True)

CLICKHOUSE_ROLES: Final[dict[str, tuple[ClickHouseRight, ...]]] = {
    "worker": (
        _DATABASE,
        ClickHouseRight("CREATE TABLE", makes=True),
        ClickHouseRight("DROP VIEW", makes=True),
        ClickHouseRight("ALTER ADD COLUMN", makes=True),
        _SELECT,
        _INSERT,
        ClickHouseRight("ALTER DELETE"),
        ClickHouseRight("SELECT", "system.parts"),
    ),
    "api": (_SELECT,),
    "monitor": (_SELECT,),
}


def missing(to: Connection, role: str) -> list[str]:
    """Those of the role's rights that the connection's user lacks. `Raises` what the driver raises where ClickHouse does not answer."""
    rights = CLICKHOUSE_ROLES[role]
    if Migrations().is_done(shape(to)):
        rights = tuple(right for right in rights if not right.makes)
    try:
        return [right.on(to.database) for right in rights if not _is_granted(to, right)]
    except ServerException as error:
        if error.code != _SYNTAX:
            raise
    return [right.on(to.database) for right in rights if right in (_SELECT, _INSERT) and not _works(to, right)]


def _is_granted(to: Connection, right: ClickHouseRight) -> bool:
    """What the server says; on each table by itself, for that is how it may have been granted."""
    if right.table or right == _DATABASE:
        wanted = right.on(to.database)
    else:
        wanted = ", ".join(f"{right.right} ON {to.database}.{table}" for table in _tables(right))
    ((granted,),) = to.ask(f"CHECK GRANT {wanted}")
    return bool(granted)


def _works(to: Connection, right: ClickHouseRight) -> bool:
    """Whether each table that is there lets no row be read, or written."""
    there = shape(to)
    try:
        for table in _tables(right):
            if table in there and right == _INSERT:
                to.insert_nothing(f"INSERT INTO {to.database}.{table} VALUES")
            elif table in there:
                to.ask(f"SELECT 1 FROM {to.database}.{table} LIMIT 0")  # noqa: S608  # names of our own
    except ServerException as error:
        if error.code not in _DENIED:
            raise
        return False
    return True


def _tables(right: ClickHouseRight) -> Iterator[str]:
    """What a right is needed on: tables, views, or both."""
    if "VIEW" not in right.right:
        yield from (RECORD_TABLE, MOVES, WRITES, *OTHER_TABLES.values(), *(table.clickhouse_table for table in TABLES))
    if right == _SELECT or "VIEW" in right.right:
        yield from map(view_name, TABLES)

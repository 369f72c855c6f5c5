"""A ClickHouse of today, in a process of its own: the library chDB, whose one user has exactly the rights that it is given.

It speaks no protocol of ClickHouse's, so `Connection` stands in place of stream_app.sinks.clickhouse_client's. Run as a program it is the process.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from xml.sax.saxutils import escape

from clickhouse_driver.errors import ServerException
from clickhouse_driver.util.escape import escape_param, escape_params

from stream_app.local.downloads import provide, python_package
from stream_app.sinks.sql import sql

VERSION: Final = "26.5.0"
_USERS: Final = """<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users><default>
<password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota><grants>{grants}</grants>
</default></users></clickhouse>"""
_CONFIG: Final = """<clickhouse><users_config>{users}</users_config>
<user_directories><users_xml><path>{users}</path></users_xml></user_directories></clickhouse>"""
_CONTEXT: Final = SimpleNamespace(server_info=SimpleNamespace(get_timezone=lambda: "UTC"))


class Connection:
    """See the module. `path`: of the data, which the next one finds; `grants`: as GRANT has them."""

    def __init__(self, path: Path, lib: Path, database: str, grants: Iterable[str]) -> None:
        self.database = database
        folder = provide(lib, f"chdb-{VERSION}", lambda into: python_package(f"chdb-core-lite=={VERSION}", into))
        path.mkdir(parents=True, exist_ok=True)
        users, config = path / "users.xml", path / "config.xml"
        queries = "".join(f"<query>GRANT {escape(grant)}</query>" for grant in grants)
        users.write_text(_USERS.format(grants=queries))
        config.write_text(_CONFIG.format(users=users))
        self._process = subprocess.Popen(
            [sys.executable, __file__, f"{path}/data?config-file={config}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(folder)},
        )  # fmt: skip

    def run(self, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
        return self.ask(sql(name, self.database), **parameters)

    def ask(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        if parameters:
            statement %= escape_params(parameters, _CONTEXT)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(statement) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if isinstance(answer, str):
            code = re.search(r"Code: (\d+)", answer)
            raise ServerException(answer, int(code[1]) if code else 0)
        lines = [json.loads(line, parse_float=Decimal) for line in answer[0].splitlines()]
        return [tuple(map(_value, row, lines[1])) for row in lines[2:]]

    def insert(self, statement: str, columns: Sequence[list[Any]]) -> None:
        if columns[0]:
            rows = "\n".join(json.dumps(row, default=str) for row in zip(*columns, strict=True))
            self.ask(f"{statement.removesuffix('VALUES')} FORMAT JSONCompactEachRow\n{rows}")

    def insert_out_of(
        self, statement: str, table: str, structure: Sequence[tuple[str, str]], rows: Iterable[Any]
    ) -> None:
        self.ask(with_rows(statement, table, structure, rows))

    def insert_nothing(self, statement: str) -> None:
        raise AssertionError("a server of today says what it grants")

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=30)


def with_rows(statement: str, table: str, structure: Sequence[tuple[str, str]], rows: Iterable[Any]) -> str:
    """A statement with the rows of a table that the driver sends along with it in it, as a subquery."""
    named = ", ".join(
        f"CAST(row.{at}, {escape_param(kind, _CONTEXT)}) AS {name}" for at, (name, kind) in enumerate(structure, 1)
    )
    values = escape_param(list(rows), _CONTEXT)
    return statement.replace(f"FROM {table}\n", f"FROM (SELECT {named} FROM (SELECT arrayJoin({values}) AS row))\n")


def _value(found: Any, kind: str) -> Any:
    """A value of JSON as the driver gives it."""
    if kind == "Date":
        return date.fromisoformat(found)
    if kind.startswith("DateTime"):
        return datetime.fromisoformat(found)
    return Decimal(found) if kind.startswith("Decimal") else found


def _serve() -> None:
    """Statements as JSON, one a line; of each the rows, or the error as text."""
    from chdb import session  # type: ignore[import-not-found]  # noqa: PLC0415  # of the folder that this process is given

    opened = session.Session(sys.argv[1])
    for line in sys.stdin:
        try:
            answer: Any = [str(opened.query(json.loads(line), "JSONCompactEachRowWithNamesAndTypes"))]
        except Exception as error:  # noqa: BLE001  # whatever it is, the other process hears of it
            answer = str(error)
        print(json.dumps(answer), flush=True)
    opened.close()


if __name__ == "__main__":
    _serve()

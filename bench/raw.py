"""The report from raw orders, measured: in the ClickHouse of the stack and in chDB. Both must say what the endpoint says."""

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from clickhouse_driver import Client

from bench.context import say
from bench.raw_report import REPORT, TABLES, Orders, create, figures
from bench.stack import Space, Stack
from config.settings import ROOT
from stream_app.local.errors import LocalError

DATABASE = "raw"
_CLIENTS = 2  # at a time; a query takes several cores, too
_BLOCK = 100_000


class Wanted(NamedTuple):
    """A report as the endpoint answers it: its question, and the figures of each month by `raw_report.figures`."""

    operator: str
    zone: str
    currency: str
    first: int
    figures: dict[int, tuple[int, ...]]

    def statement(self) -> str:
        """The query."""
        asked = {"operator": self.operator, "zone": self.zone, "currency": self.currency, "first": self.first}
        return REPORT.format(database=DATABASE, **asked)


class Peer(NamedTuple):
    """What was measured."""

    reports: int
    seconds: float
    version: str


def fill_clickhouse(space: Space, orders: Orders) -> None:
    """Make the tables, and merge their parts, as time would."""
    client = Client.from_url(space.settings.clickhouse_url)
    try:
        for statement in create(DATABASE):
            client.execute(statement)
        for name, rows in orders._asdict().items():
            for begin in range(0, len(rows), _BLOCK):
                client.execute(f"INSERT INTO {DATABASE}.{name} VALUES", rows[begin : begin + _BLOCK])
            client.execute(f"OPTIMIZE TABLE {DATABASE}.{name} FINAL")
    finally:
        client.disconnect()


def clickhouse(space: Space, wanted: Sequence[Wanted], seconds: float) -> Peer:
    """Reports in turn, by some clients at a time. `Raises` LocalError when one is not what the endpoint says."""
    clients = [Client.from_url(space.settings.clickhouse_url) for _ in range(_CLIENTS)]
    try:
        for one in wanted:
            _check(one, clients[0].execute(one.statement()))
        ((version,),) = clients[0].execute("SELECT version()")
        counts, deadline = [0] * _CLIENTS, time.perf_counter() + seconds

        def ask(number: int) -> None:
            for one in itertools.islice(itertools.cycle(wanted), number, None):
                if time.perf_counter() >= deadline:
                    return
                clients[number].execute(one.statement())
                counts[number] += 1

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(_CLIENTS)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return Peer(sum(counts), time.perf_counter() - began, version)
    finally:
        for client in clients:
            client.disconnect()


def chdb(stack: Stack, orders: Orders, wanted: Sequence[Wanted], seconds: float) -> Peer:
    """The same in chDB, which uses all cores for each query."""
    folder = stack.run.data / "chdb"
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in orders._asdict().items():
        columns = [column.split()[0] for column in TABLES[name].split(", ")]
        table = pl.DataFrame(rows, schema=columns, orient="row")
        time_column = next(column for column in columns if column.endswith("_at"))
        table.with_columns(pl.from_epoch(time_column, time_unit="s")).write_parquet(folder / f"{name}.parquet")
    (folder / "create.json").write_text(json.dumps(create(DATABASE)))
    (folder / "reports.json").write_text(json.dumps([one.statement() for one in wanted]))
    say("endpoints: the same in chDB")
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("raw_chdb.py"), folder, str(seconds)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 300,
    )
    if done.returncode:
        raise LocalError(f"endpoints: chDB failed: {done.stderr[-500:]}")
    said: dict[str, Any] = json.loads(done.stdout)
    for one, rows in zip(wanted, said["answers"], strict=True):
        _check(one, [tuple(int(cell) for cell in row) for row in rows])
    return Peer(said["count"], said["seconds"], said["version"])


def _check(one: Wanted, rows: Sequence[tuple[int, ...]]) -> None:
    found = figures(list(rows))
    nothing = (0,) * 9
    if {month: found.get(month, nothing) for month in one.figures} != one.figures or found.keys() - one.figures.keys():
        raise LocalError(f"endpoints: of {one.operator} raw orders say {found}, the endpoint {one.figures}")

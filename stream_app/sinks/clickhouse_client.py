"""Connections to ClickHouse: the blocking driver, in threads, one at a time each.

A connection that failed is closed and made anew by the next use. Nothing is tried again here. Knows no table.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from stream_app.sinks.sql import sql

T = TypeVar("T")
Rows = list[tuple[Any, ...]]

CONNECT_SECONDS = 3
ANSWER_SECONDS = 30


class Connection:
    """A connection that one thread at a time may use."""

    def __init__(self, url: str, database: str) -> None:
        self.database = database
        self._client = Client.from_url(url)
        self._client.connection.connect_timeout = CONNECT_SECONDS
        self._client.connection.send_receive_timeout = ANSWER_SECONDS
        self._server: Any = None  # what the driver knows of the server since it connected; another object each time
        self._insert_settings: dict[str, int] = {}

    def run(self, name: str, **parameters: Any) -> Rows:
        """Rows that the statement of a file gives."""
        return self.ask(sql(name, self.database), **parameters)

    def ask(self, statement: str, **parameters: Any) -> Rows:
        """Rows that a statement gives; none of one that asks for none."""
        return list(self._client.execute(statement, parameters or None) or ())

    def insert(self, statement: str, columns: Sequence[list[Any]]) -> None:
        """Insert columns; acknowledged when they are stored. Changes the lists."""
        if not columns[0]:
            return
        if self._server is None or self._client.connection.server_info is not self._server:
            ((known,),) = self.run("knows_async_insert")
            self._insert_settings = {"async_insert": 0} if known else {}
            self._server = self._client.connection.server_info
        self._client.execute(statement, list(columns), columnar=True, settings=self._insert_settings)

    def insert_out_of(self, statement: str, table: str, structure: Sequence[tuple[str, str]], rows: Rows) -> None:
        """Insert what a statement makes of rows, which it finds under a name that no other sees; acknowledged when it is stored."""
        self._client.execute(statement, external_tables=[{"name": table, "structure": structure, "data": rows}])

    def insert_nothing(self, statement: str) -> None:
        """See that rows may be inserted; inserts none."""
        self._client.execute(statement, [])

    def close(self) -> None:
        """Give the connection back."""
        self._client.disconnect()


class Connections:
    """A pool of up to `connections_max` connections, made when they are needed."""

    def __init__(self, url: str, database: str, connections_max: int) -> None:
        self._url, self._database = url, database
        self._free = threading.Semaphore(connections_max)
        self._idle: list[Connection] = []
        self._lock = threading.Lock()

    async def use(self, work: Callable[[Connection], T]) -> T:
        """Run work with a connection in a thread, and return its result; it goes on there even if nobody waits."""
        return await asyncio.to_thread(self._use, work)

    def _use(self, work: Callable[[Connection], T]) -> T:
        with self._free:
            with self._lock:
                connection = self._idle.pop() if self._idle else Connection(self._url, self._database)
            try:
                found = work(connection)
            except BaseException as error:
                if isinstance(error, ServerException):  # old servers append their stack, 3 KB that say nothing of ours
                    error.message = error.message.partition("Stack trace:")[0].strip()
                connection.close()
                raise
            with self._lock:
                self._idle.append(connection)
            return found

    async def close(self) -> None:
        """Give connections back."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

"""An API on stores that a test can fill, empty and take down; tokens for it."""

import asyncio
import time
from contextlib import asynccontextmanager

import httpx
import orjson
from joserfc import jwt
from joserfc.jwk import OctKey
from pydantic import SecretStr
from redis.exceptions import ConnectionError as RedisDown

from config.settings import Settings, load
from stream_app.api.app import Stores, create_app
from stream_app.api.guard.rate_window import LocalWindow
from stream_app.api.stores.ports import ReadResult
from stream_app.domain.cells import CellKey
from stream_app.domain.report import (
    Place,
    count_document,
    figure_document,
    iso_ms,
    operator_entry,
    shown_groups,
    sum_slots,
)
from stream_app.domain.tables import MONTHLY, TABLES
from stream_app.sinks.clickhouse_reader import KnownOperator
from stream_app.sinks.clickhouse_writes import WriteUnderWay
from stream_app.sinks.redis_documents import default_answer
from stream_app.sinks.redis_keys import document_key, groups_key

SECRET = "a secret for tests that is long enough"
PREFIX = "/smart-bi/crm"


def token(operators="M1", *, secret=SECRET, alg="HS256", key=None, kid=None, **claims):
    """A token; claims of None are left out."""
    listed = [operators] if isinstance(operators, str) else operators
    said = {"scope": "crm:read", "operators": listed, "exp": int(time.time()) + 60, "rate": 100_000} | claims
    header = {"alg": alg} | ({"kid": kid} if kid else {})
    return jwt.encode(
        header, {name: value for name, value in said.items() if value is not None}, key or OctKey.import_key(secret)
    )


def bearer(operators="M1", **claims):
    return {"Authorization": f"Bearer {token(operators, **claims)}"}


class FakeDocuments:
    """Redis as a dictionary."""

    def __init__(self, view=None, as_of_ms=1_795_500_009_000, tables=TABLES):
        self.down = False
        self.documents, self.entries, self.live = {}, {}, {}
        if view is not None:
            self.live = {b"%d" % partition: iso_ms(as_of_ms).encode() for partition in range(8)}
            for name in view.operators():
                operator, groups = view.operator(name), view.groups(name)
                self.entries[name] = orjson.dumps(operator_entry(name, operator))
                listed = [
                    {"groupId": group, "name": shown_groups(groups)[group]}
                    for group in sorted(shown_groups(groups).keys() - {"ALL"})
                ]
                self.documents[groups_key(name)] = orjson.dumps({"groups": [{"groupId": "ALL", "name": None}, *listed]})
                for group_id, group in groups.items():
                    for table in tables:
                        document = default_answer(table, view, name, operator, group_id, group)
                        if document:
                            self.documents[document_key(table, name, group_id)] = document

    async def read(self, keys):
        await self.ping()
        return ReadResult([self.documents.get(key) for key in keys], dict(self.live))

    async def operators(self, ids):
        await self.ping()
        return {name: entry for name, entry in self.entries.items() if ids is None or name in ids}, dict(self.live)

    async def ping(self):
        if self.down:
            raise RedisDown("down")


class FakeCells:
    """ClickHouse out of a view."""

    def __init__(self, view=None, as_of_ms=1_795_500_004_000):
        self.view, self.as_of, self.down, self.asked = view, as_of_ms, False, 0
        self.under_way = 0  # so many questions come while rows are being written

    def _up(self):
        self.asked += 1
        if self.down:
            raise OSError("down")

    def _settled(self):
        self._up()
        if self.under_way:
            self.under_way -= 1
            raise WriteUnderWay("M1")

    async def operator(self, operator_id):
        self._settled()
        operator = self.view.operator(operator_id) if self.view else None
        return KnownOperator(operator, self.view.partition) if operator else None

    async def operators(self):
        self._up()
        if self.view is None:
            return {}
        return {name: operator_entry(name, self.view.operator(name)) for name in self.view.operators()}

    async def groups(self, operator_id):
        self._up()
        return shown_groups(self.view.groups(operator_id)) if self.view else {}

    async def as_of_ms(self):
        self._up()
        return dict.fromkeys(range(8), self.as_of) if self.view else {}

    def _cells(self, table, operator_id, group):
        """By period."""
        stored = self.view.scan_cells(table, operator_id) if self.view else ()
        return {key.period: cell for key, cell in stored if key.group == group}

    def _place(self, operator_id, known, group, cells):
        version = max((cell.version for cell in cells.values()), default=0)
        return Place(operator_id, known.operator, group, known.partition, self.as_of, version)

    async def figures(self, table, operator_id, known, group, periods, currency):
        self._settled()
        cells = self._cells(table, operator_id, group)
        place = self._place(operator_id, known, group, cells)
        return figure_document(table, place, [cells.get(period) for period in periods], periods, currency)

    async def counts(self, table, operator_id, known, group, periods):
        self._settled()
        cells = self._cells(table, operator_id, group)
        counts = sum_slots(table, [cells.get(period) for period in periods])
        return count_document(table, self._place(operator_id, known, group, cells), counts, periods)

    async def has_documents(self, operator_id, known, group):
        self._up()
        key = CellKey(operator_id, group, MONTHLY.current(known.operator))
        return self.view is not None and self.view.cells(MONTHLY, [key]) != [None]


def settings(**changes) -> Settings:
    return load().model_copy(update={"jwt_secret": SecretStr(SECRET)} | changes)


async def _nothing():
    return None


@asynccontextmanager
async def api(documents=None, cells=None, found=None, tables=TABLES, **changes):
    """A client of an API on these stores."""
    stores = found or Stores(documents or FakeDocuments(), cells or FakeCells(), LocalWindow(), _nothing)
    app = create_app(settings(**changes), stores, tables=tables)
    queue, said = asyncio.Queue(), asyncio.Queue()
    queue.put_nowait({"type": "lifespan.startup"})
    running = asyncio.create_task(app({"type": "lifespan", "state": {}}, queue.get, said.put))
    assert (await said.get())["type"] == "lifespan.startup.complete"
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
            yield client
    finally:
        queue.put_nowait({"type": "lifespan.shutdown"})
        await running

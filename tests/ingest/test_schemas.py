"""What ingest does while a schema is waited for: nothing is appended, nothing is given up, and others go on."""

import asyncio
import json

import pytest

from stream_app.ingest.ingest import Ingest, IngestConf, NotTakenError
from stream_app.ports.records import Batch
from stream_app.sources import wire
from stream_app.sources.maps.map_load import load_topic
from stream_app.sources.registry import PAYMENTS, mapped
from tests.ingest.test_take import NOW_MS, Appender
from tests.support.schema_registry import avro
from tests.support.waiting import until

SCHEMA = {"type": "record", "name": "S", "fields": [{"name": "id", "type": "string"}, {"name": "at", "type": "long"}]}
MAP = """
[topic]
name = "shop.sessions"
number = 1
format = "avro"
[row]
operator_id = { value = "M1" }
[session]
session_id = { path = "id" }
status = { value = "COMPLETED" }
started_at = { path = "at", formats = ["epoch_ms"] }
"""


class Registry:
    """One that answers when it is let."""

    def __init__(self):
        self.answers, self.asked, self.known = asyncio.Event(), [], {}

    def lacks(self, ids):
        return not set(ids) <= set(self.known)

    async def of(self, ids):
        if self.lacks(ids):
            self.asked.append(set(ids))
            await self.answers.wait()
            self.known |= {7: wire.schema("AVRO", json.dumps(SCHEMA)), **dict.fromkeys(set(ids) - {7})}
        return {each: self.known[each] for each in ids}


def batch(*values):
    offsets = list(range(len(values)))
    return [Batch([None] * len(values), list(values), offsets, [NOW_MS] * len(values), len(values))]


@pytest.fixture
async def registry():
    return Registry()


@pytest.fixture
async def ingest(registry):
    conf = IngestConf(
        {"shop.sessions": mapped(load_topic(MAP.encode())), "charging.payments": PAYMENTS}, "events", 1, "dead-letters", {}, 13, False, 30_000
    )  # fmt: skip
    made = Ingest(conf, Appender(), lambda: NOW_MS / 1000, schemas=registry)
    await made.start()
    return made


GOOD, UNKNOWN = avro(7, SCHEMA, {"id": "s", "at": NOW_MS}), b"\0\0\0\0\6abc"


async def test_records_wait_for_their_schemas(ingest, registry):
    """They are read once the registry answers; one whose schema nobody knows is then a dead letter."""
    records = batch(GOOD, UNKNOWN, None)
    assert ingest.lacks("shop.sessions", records)
    learning = asyncio.ensure_future(ingest.learn("shop.sessions", 3, records))
    await until("it is asked", lambda: registry.asked)
    assert ingest.waiting == {("shop.sessions", 3)}
    assert not ingest.lacks("charging.payments", batch(b"{"))
    await ingest.take("charging.payments", 0, batch(b"{"))
    registry.answers.set()
    await learning
    assert not ingest.waiting
    assert not ingest.lacks("shop.sessions", records)
    await ingest.take("shop.sessions", 3, records)
    letters = ingest._appender.records["dead-letters", 0]
    assert [(letter.key, dict(letter.headers)["reason"]) for letter in letters] == [
        (b"charging.payments/0/0", b"not_json"), (b"shop.sessions/3/1", b"unknown_schema"), (b"shop.sessions/3/2", b"tombstone"),
    ]  # fmt: skip
    assert letters[1].value == UNKNOWN
    assert ("events", 0) in ingest._appender.records
    assert registry.asked == [{6, 7}]


async def test_a_worker_that_stops_leaves_them_to_the_next(ingest, registry):
    waiting = [ingest.learn("shop.sessions", 3, batch(GOOD)), ingest.take("shop.sessions", 4, batch(GOOD))]
    tasks = [asyncio.ensure_future(each) for each in waiting]
    await until("both ask", lambda: len(registry.asked) == 2)
    ingest.refuse()
    for task in tasks:
        with pytest.raises(NotTakenError):
            await task
    assert ("dead-letters", 0) not in ingest._appender.records
    assert not ingest.waiting

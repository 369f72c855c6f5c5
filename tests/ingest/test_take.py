"""What ingest makes of a source record: a table, over an appender in memory."""

import json

import pytest
from prometheus_client import CollectorRegistry

from stream_app.domain.events import PAYMENT, RECEIVED, SESSION
from stream_app.formats.frames import decode_frame, frames
from stream_app.formats.limits import KEY_BYTES_MAX, NAME_BYTES_MAX, RECORD_BYTES_MAX, VALUE_BYTES_MAX
from stream_app.formats.murmur2 import partition_for
from stream_app.ingest.ingest import Ingest, IngestConf
from stream_app.ingest.metrics import IngestMetrics
from stream_app.kernel.source_records import new_reader
from stream_app.ports.records import NO_TIMESTAMP, Batch
from stream_app.sources.maps.map_load import load_topic
from stream_app.sources.registry import CUSTOMER_GROUPS, GROUPS, OPERATORS, PAYMENTS, SESSIONS, mapped

NOW_MS = 1_795_500_000_000
YEARS_AGO_MS = NOW_MS - 3 * 365 * 86_400_000
PARTITIONS = 3
READER = None
ORDERS = """
[topic]
name = "shop.orders"
number = 1
[row]
operator_id = { path = "merchant" }
[session]
session_id = { path = "id" }
status = { value = "COMPLETED" }
started_at = { path = "at" }
[payment]
payment_id = { path = "id" }
status = { path = "state", values = { paid = "SUCCEEDED" } }
amount_received = { path = "total" }
currency = { value = "EUR" }
paid_at = { path = "at" }
"""
SOURCES = {
    "shop.orders": mapped(load_topic(ORDERS.encode())),
    "charging.sessions": SESSIONS,
    "charging.payments": PAYMENTS,
    "crm.groups": GROUPS,
    "crm.operators": OPERATORS,
    "crm.customer-groups": CUSTOMER_GROUPS,
}


class Appender:
    """Keeps what is appended: (topic, partition) -> records."""

    def __init__(self):
        self.records, self.calls = {}, 0

    async def start(self):
        pass

    async def stop(self):
        pass

    async def partitions(self, topic):
        return 1

    async def append(self, records):
        self.calls += 1
        for at, some in records.items():
            self.records.setdefault(at, []).extend(some)
        return NOW_MS


def session(**fields):
    return json.dumps(
        {"session_id": "s", "operator_id": "M1", "status": "ACTIVE", "started_at": NOW_MS} | fields
    ).encode()


@pytest.fixture(params=[False, True], ids=["in Python", "native"], autouse=True)
def reader(request, monkeypatch):
    """Each test both ways: the outcome is the same."""
    monkeypatch.setattr(f"{__name__}.READER", new_reader() if request.param else None)


async def taken(topic, values, *, partition=4, stream_clock=False, keys=None, timestamp=NOW_MS, again=False):
    """(frames' parts by partition, dead letters) of these values, at offsets from 100 on."""
    appender, registry = Appender(), CollectorRegistry()
    conf = IngestConf(SOURCES, "events", PARTITIONS, "dead-letters", {}, 13, stream_clock, 30_000, again)
    ingest = Ingest(conf, appender, lambda: NOW_MS / 1000, IngestMetrics(SOURCES, registry), reader=READER)
    await ingest.start()
    offsets = list(range(100, 100 + len(values)))
    keys = keys or [b"key-%d" % n for n in offsets]
    await ingest.take(
        topic, partition, [Batch(keys, list(values), offsets, [timestamp] * len(values), offsets[-1] + 1)]
    )
    parts = {
        at[1]: found
        for at, some in appender.records.items()
        if at[0] == "events" and (found := [part for _, frame, _ in some for part in decode_frame(frame)[1]])
    }
    assert registry.get_sample_value("crm_ingest_records_total", {"topic": topic}) == len(values)
    return parts, appender.records.get(("dead-letters", 0), [])


@pytest.mark.parametrize("operator", ["M1", "M2", "大客户", "op|with%signs"])
async def test_an_event_goes_to_the_partition_of_its_operator(operator):
    """Whatever the source's partition was."""
    parts, letters = await taken("charging.sessions", [session(operator_id=operator)])
    ((at, (part,)),) = parts.items()
    assert at == partition_for(operator.encode(), PARTITIONS)
    assert (part.operator, part.kind, part.ids) == (operator, SESSION, [b"s"])
    assert letters == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{", b"not_json"),
        (None, b"tombstone"),
        (session(operator_id=""), b"bad_id"),
        (session(status="NONSENSE"), b"unknown_status"),
    ],
)
async def test_a_record_that_cannot_be_used_becomes_a_dead_letter(value, reason):
    """With its reason, and the place that it came from as key; the good ones beside it are kept."""
    parts, (letter,) = await taken("charging.sessions", [session(), value])
    assert letter.key == b"charging.sessions/4/101"
    assert letter.value == (value or b"")
    assert ("source-offset", b"101") in letter.headers
    assert dict(letter.headers)["reason"] == reason
    assert [part.ids for some in parts.values() for part in some] == [[b"s"]]


async def test_an_order_becomes_a_session_and_its_payment():
    """By a map, whose refusals are dead letters; old ones carry their value."""
    order = {"merchant": "M1", "id": "o1", "at": "2026-11-03T08:29:59Z", "state": "paid", "total": "12.50"}
    others = {"id": "o2", "state": "lost"}, {"id": "o3", "total": None}, {"id": "o4", "at": "2020-01-01T00:00:00Z"}
    values = [json.dumps(order | fields).encode() for fields in ({}, *others)]
    parts, (letter,) = await taken("shop.orders", values)
    (some,) = parts.values()
    found = {(part.kind, id_): row for part in some for id_, row in zip(part.ids, part.rows, strict=True)}
    sessions, payments = [(SESSION, id_) for id_ in (b"o1", b"o3", b"o4")], [(PAYMENT, id_) for id_ in (b"o1", b"o4")]
    assert sorted(found) == sorted(sessions + payments)
    assert found[PAYMENT, b"o1"][RECEIVED] == 1250
    assert [raw[1] for part in some for raw in part.raws.values()] == [values[3]] * 2
    assert (letter.value, dict(letter.headers)["reason"]) == (values[1], b"unknown_status")


@pytest.mark.parametrize("key", [None, b"", b"k"])
async def test_a_letter_tells_no_key_from_an_empty_one(key):
    """Sent again, the record is what it was."""
    _, (letter,) = await taken("charging.sessions", [b"{"], keys=[key])
    assert dict(letter.headers)["source-key"] == key


@pytest.mark.parametrize("timestamp", [NO_TIMESTAMP, NOW_MS])
async def test_a_record_without_a_timestamp_is_read_again_like_any_other(timestamp):
    """When it was read first, nobody knows: it is not taken for one that came from the future."""
    parts, _ = await taken("charging.sessions", [session()], timestamp=timestamp, again=True)
    assert [part.ids for some in parts.values() for part in some] == [[b"s"]]


@pytest.mark.parametrize(
    ("topic", "value", "stream_clock", "carries", "why"),
    [
        ("charging.sessions", session(), False, False, "young: the ledger will take it"),
        ("charging.sessions", session(started_at=YEARS_AGO_MS), False, True, "it may be too late for the ledger"),
        ("charging.sessions", session(), True, True, "with stream time other workers may be further on"),
        ("crm.groups", b'{"operator_id":"M1","group_id":"g","name":"n","version":1}', True, False, "it has no time"),
    ],
)
async def test_an_event_that_may_be_too_late_carries_its_source_record(topic, value, stream_clock, carries, why):
    """So that its dead letter holds the record as it came."""
    parts, _ = await taken(topic, [value], stream_clock=stream_clock)
    ((part,),) = parts.values()
    assert part.raws == ({0: [b"key-100", value]} if carries else {}), why


async def test_a_source_record_that_travels_along_is_cut_as_its_letter_would_be():
    """A frame holds it in any case: it must not exceed what the events topic takes."""
    value = session(started_at=YEARS_AGO_MS, note="x" * (4 << 20))
    parts, _ = await taken("charging.sessions", [value], keys=[b"k" * (1 << 20)])
    ((part,),) = parts.values()
    assert part.raws == {0: [b"k" * KEY_BYTES_MAX, value[:VALUE_BYTES_MAX]]}
    (frame,) = frames([part])
    assert len(frame) < RECORD_BYTES_MAX - 4096


@pytest.mark.parametrize(
    ("topic", "fields", "size"),
    [
        ("crm.groups", {"group_id": "g", "name": "n" * (NAME_BYTES_MAX - 64)}, None),
        ("crm.groups", {"group_id": "g", "name": "n" * NAME_BYTES_MAX}, NAME_BYTES_MAX),
        ("crm.operators", {"timezone": "UTC", "currency": "EUR", "name": "n" * NAME_BYTES_MAX}, NAME_BYTES_MAX),
        ("crm.customer-groups", {"customer_id": "c", "group_ids": ["g" * 200] * 9000}, None),
        (
            "crm.customer-groups",
            {"customer_id": "c", "group_ids": [f"{n:04}{'😀' * 196}" for n in range(2000)]},
            3 << 19,
        ),
    ],
)
async def test_an_event_that_exceeds_what_a_frame_takes_is_rejected(topic, fields, size):
    """What is kept of it counts, not what came: doubled groups are one. The good ones beside it are kept."""
    good = {
        "operator_id": "M1",
        "group_id": "g",
        "customer_id": "c",
        "name": "n",
        "group_ids": [],
        "timezone": "UTC",
        "currency": "EUR",
    }
    parts, letters = await taken(
        topic, [json.dumps(good).encode(), json.dumps({"operator_id": "M1"} | fields).encode()]
    )
    (some,) = parts.values()
    assert sum(len(part.rows) for part in some) == (2 if size is None else 1)
    if size is not None:
        ((_, _, headers),) = letters
        assert dict(headers)["reason"] == b"too_large"
        assert dict(headers)["detail"].endswith(b"bytes, must have %d at most" % size)
    assert all(len(frame) < RECORD_BYTES_MAX for frame in frames(some))


async def test_many_records_are_decoded_piece_by_piece_and_none_is_lost():
    parts, letters = await taken("charging.sessions", [session(session_id=f"s-{n}") for n in range(9000)])
    ids = [id_ for some in parts.values() for part in some for id_ in part.ids]
    assert ids == [b"s-%d" % n for n in range(9000)]
    assert letters == []

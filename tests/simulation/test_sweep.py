"""Rows past retention go away in the background, and only those."""

import json
from datetime import UTC, datetime

from stream_app.partition.frozen_rows import CommittedRows
from tests.oracle import Clock, Record, truth
from tests.simulation.compare import differences
from tests.simulation.world import EVENTS_PARTITIONS, World

FIRST = int(datetime(2025, 3, 10, 12, tzinfo=UTC).timestamp() * 1000)
LATER = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp() * 1000)


def _records(start_ms: int, first_offset: int) -> list[Record]:
    out = []
    for n in range(700):
        event = {"operator_id": "M1", "customer_id": f"c-{n % 50}"}
        session = {
            **event,
            "session_id": f"s-{start_ms}-{n}",
            "status": "COMPLETED",
            "started_at": start_ms - n * 60_000,
        }
        payment = {
            **event,
            "payment_id": f"p-{start_ms}-{n}",
            "status": "SUCCEEDED",
            "amount_received": 100,
            "currency": "EUR",
            "paid_at": start_ms - n * 60_000,
        }
        for topic, value in (("charging.sessions", session), ("charging.payments", payment)):
            out.append(Record(topic, 0, first_offset + n, start_ms, None, json.dumps(value).encode()))
    return out


async def test_entities_and_contributions_past_retention_are_deleted_from_the_store_and_the_changelog():
    """1,400 entities leave retention while the lane has nothing else to do; the newer ones stay."""
    world = World(7, wall_now_ms=LATER)
    old, new = _records(FIRST, 0), _records(LATER, 10_000)
    await world.feed([Clock(FIRST), *old])
    partition = next(p for p in range(EVENTS_PARTITIONS) if len(world.kafka.events[p]) > 1)
    await world.run(partition, len(world.kafka.events[partition]))
    rows = world.disks[partition].rows
    assert sum(key.startswith(b"e") for key in rows) == 1400
    size_before = sum(len(value) for key, value in rows.items() if key.startswith(b"c"))

    await world.feed([Clock(LATER), *new])

    def is_swept() -> bool:
        entities = sum(key.startswith(b"e") for key in rows)
        return entities == 1400 and sum(len(rows[key]) for key in rows if key.startswith(b"c")) <= size_before

    await world.idle(partition, is_swept)
    assert all(str(LATER).encode() in key for key in rows if key.startswith(b"e"))
    assert differences(truth(new, now=LATER), [CommittedRows(partition, world.disks[partition])]) == []
    deleted = [key for key, value in world.kafka.changelog[partition] if key.startswith(b"e") and value is None]
    assert len(deleted) == 1400

"""Zones and groups that change while records come in: counted anew in steps, apart from other operators, and killed between any two of them."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from stream_app.domain import calendar, ledger, working
from stream_app.formats import rows
from stream_app.partition import frozen_rows, partition_state
from stream_app.partition import lane as lane_module
from stream_app.partition.frozen_rows import CommittedRows
from stream_app.partition.lane import Lane
from stream_app.ports.kafka import Range
from stream_app.ports.records import Batch
from tests.oracle import Clock, Record, truth
from tests.simulation.compare import differences
from tests.simulation.world import EVENTS_PARTITIONS, Log, World

NOW_MS = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp() * 1000)
ZONES = ("Asia/Tokyo", "America/St_Johns", "Europe/Berlin", "Pacific/Chatham", "UTC")


def _records(world: World) -> list[Record]:
    """Sessions, payments, memberships and zones of two operators, as mixed as the world's seed says."""
    rng, values = world.rng, []
    for n in range(120):
        event = {"operator_id": rng.choice(("M1", "M1", "M2")), "customer_id": f"c-{rng.randrange(9)}", "version": n}
        at = NOW_MS - rng.randrange(400 * 24) * 3_600_000
        topic, value = rng.choice(
            [
                (
                    "charging.sessions",
                    {"session_id": f"s-{rng.randrange(40)}", "status": "COMPLETED", "started_at": at},
                ),
                (
                    "charging.payments",
                    {
                        "payment_id": f"p-{rng.randrange(40)}",
                        "status": "SUCCEEDED",
                        "amount_received": n,
                        "currency": "EUR",
                    }
                    | {"paid_at": at},
                ),
                ("crm.customer-groups", {"group_ids": rng.sample(["vip", "fleet", "new"], rng.randrange(3))}),
            ]
        )
        values.append((topic, event | value))
        if n % 15 == 7:
            zone = {"operator_id": event["operator_id"], "timezone": rng.choice(ZONES), "currency": "EUR", "version": n}
            values.append(("crm.operators", zone))
    return [Record(topic, 0, n, NOW_MS, None, json.dumps(value).encode()) for n, (topic, value) in enumerate(values)]


async def _live(world: World, partition: int, iterations: int) -> tuple[bool, bool, bool]:
    """Let a lane work on all events for up to so many iterations of the loop, then kill it: has it committed all, was it between steps, was an operator behind?"""
    events, disk, crashes = world.kafka.events[partition], world.disks[partition], []

    async def crash(exc: Exception) -> None:
        crashes.append(exc)

    world.kafka.replay(partition, disk)
    lane = Lane(world.conf, partition, disk, Log(world.kafka, partition), lambda *_: None, lambda _: None, crash)
    await lane.start(Range(0, len(events)))
    first = lane.fetch_from
    count = len(events) - first
    await lane.put([Batch([None] * count, events[first:], list(range(first, len(events))), [0] * count, len(events))])
    for _ in range(world.rng.randrange(iterations)):
        await asyncio.sleep(0)
    is_done, is_between = lane.committed == len(events), lane._stepping or lane._apart_task is not None
    (raw,) = disk.load([rows.POSITION])
    is_behind = raw is not None and rows.decode_position(raw).ahead is not None
    tasks = [task for task in (lane._task, lane._commit_task) if task is not None]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not crashes
    return is_done, is_between, is_behind


@pytest.mark.parametrize("apart_rows", [4, 1_000_000])
@pytest.mark.parametrize("seed", range(8))
async def test_kills_between_the_steps_of_a_changed_zone_change_nothing(seed, apart_rows, monkeypatch):
    """Whether other operators go on meanwhile or not, and also with events of the operator behind it, changes of groups, and another change of its zone: as if it were done at once."""
    monkeypatch.setattr(partition_state, "_APART_ROWS", apart_rows)
    monkeypatch.setattr(calendar, "_STEP_ROWS", 1)
    for module in (ledger, working):
        monkeypatch.setattr(module, "STEP_CELLS", 20)
    monkeypatch.setattr(frozen_rows, "_STEP_ROWS", 1)
    monkeypatch.setattr(lane_module, "_SLICE_BYTES", 1)
    monkeypatch.setattr(lane_module, "_TICK_BYTES_MAX", 1)  # a frame a tick
    world = World(seed, wall_now_ms=NOW_MS)
    records = _records(world)
    await world.feed([Clock(NOW_MS), *records])
    between: list[bool] = []
    behind: list[bool] = []
    for partition in range(EVENTS_PARTITIONS):
        is_done = False
        while not is_done:
            is_done, is_between, is_behind = await _live(
                world, partition, 250 + 50 * len(between)
            )  # longer and longer: one apart begins anew
            between.append(is_between)
            behind.append(is_behind)
    assert sum(between) >= 3
    assert any(behind) == (apart_rows == 4)
    views = [CommittedRows(partition, disk) for partition, disk in enumerate(world.disks)]
    assert differences(truth(records, now=NOW_MS), views) == []

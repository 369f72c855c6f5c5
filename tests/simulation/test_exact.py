"""Ingest and lanes, as they are, against the oracle: any input, in any order, in any batches, whatever crashes."""

import asyncio
import json
import logging

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from stream_app.domain.tables import HALF_HOUR, MONTHLY
from stream_app.formats.rows import IN_PIECES, PIECES
from stream_app.partition import partition_state, pieces
from stream_app.partition.frozen_rows import CommittedRows
from tests.oracle import Clock, Record, Truth, truth
from tests.simulation.compare import differences
from tests.simulation.world import EVENTS_PARTITIONS, World
from tests.support.strategies import OCPI_OPERATORS, History, histories, late_histories, month_end_histories

SLOW = settings(
    deadline=None, suppress_health_check=list(HealthCheck), max_examples=60, phases=(Phase.explicit, Phase.generate)
)


@pytest.fixture(autouse=True)
def _quiet(caplog):
    """Crashes are what is tested; their traces would fill the screen."""
    caplog.set_level(logging.CRITICAL)


def _check(world: World, expected: Truth) -> None:
    views = [CommittedRows(partition, disk) for partition, disk in enumerate(world.disks)]
    assert differences(expected, views) == []
    assert dict(world.dead_letters()).keys() == set(expected.bad)
    world.check_topics(views)


async def _live(world: World) -> None:
    for partition in range(EVENTS_PARTITIONS):
        await world.run(partition, len(world.kafka.events[partition]))


@SLOW
@given(histories(max_size=60), st.randoms(use_true_random=False), st.integers(0, 2**32), st.integers(1, 4))
def test_any_permutation_duplication_and_batching_equals_the_oracle_at_every_tick(history, rng, seed, steps):
    """Records arrive in any order, some twice; results are right after each part of them, not only after the last."""

    async def play() -> None:
        world = World(seed, wall_now_ms=history.wall_now_ms, ocpi_operators=OCPI_OPERATORS)
        records = list(history.records)
        rng.shuffle(records)
        await world.feed([Clock(history.now_ms)])
        for step in range(1, steps + 1):
            done = records[: len(records) * step // steps]
            await world.feed(done[len(records) * (step - 1) // steps :])
            await _live(world)
            _check(world, truth(done, now=history.now_ms, wall_now=history.wall_now_ms, settings=history.settings))

    asyncio.run(play())


@SLOW
@given(histories(max_size=60), st.integers(0, 2**32), st.sampled_from((0, 1_000_000)))
def test_a_crash_between_any_two_steps_changes_nothing(history, seed, apart_rows):
    """Before and after the commit, before and after the store's write, on the same disk and on an empty one, with operators apart while their zones change."""

    async def play() -> None:
        world = World(seed, crashes=0.6, wall_now_ms=history.wall_now_ms, ocpi_operators=OCPI_OPERATORS)
        await world.feed([Clock(history.now_ms), *history.records])
        for partition in range(EVENTS_PARTITIONS):
            end = len(world.kafka.events[partition])
            for stop in sorted(world.rng.randrange(end + 1) for _ in range(3)):
                await world.run(partition, stop)
        await _live(world)
        note(f"crashed {world.crashed} times")
        _check(
            world, truth(history.records, now=history.now_ms, wall_now=history.wall_now_ms, settings=history.settings)
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition_state, "_APART_ROWS", apart_rows)
        asyncio.run(play())


@settings(SLOW, max_examples=20)
@given(histories(max_size=60), st.integers(0, 2**32), st.sampled_from((16, 60, 200)))
def test_rows_in_pieces_change_nothing(history, seed, bytes_max):
    """Limits so low that most rows are in pieces, and come and go over them: written, crashed, recovered, swept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "ROW_BYTES_MAX", bytes_max)

        async def play() -> None:
            world = World(seed, crashes=0.5, wall_now_ms=history.wall_now_ms, ocpi_operators=OCPI_OPERATORS)
            await world.feed([Clock(history.now_ms), *history.records])
            await _live(world)
            now = truth(history.records, now=history.now_ms, wall_now=history.wall_now_ms, settings=history.settings)
            _check(world, now)
            for disk in world.disks:
                found = {key for key in disk.rows if key.startswith(PIECES)}
                heads = {key for key, value in disk.rows.items() if key not in found and value.startswith(IN_PIECES)}
                assert {key[1:-6] for key in found} == heads, "no piece is left behind"

        asyncio.run(play())


@SLOW
@given(late_histories(max_size=60), st.integers(0, 2**32), st.sampled_from((0.0, 0.5)))
def test_time_passes_and_what_is_late_is_rejected_as_the_oracle_does(history: History, seed, crashes):
    """Clock records between the others: roll-over, retention, late events, corrections to times that are not kept any more."""

    async def play() -> None:
        world = World(seed, crashes=crashes, wall_now_ms=history.wall_now_ms, ocpi_operators=OCPI_OPERATORS)
        world.repeats = False  # what is repeated after a clock record may be late the second time
        for item in history.items:
            await world.feed([item])
        await _live(world)
        expected = truth(history.items, wall_now=history.wall_now_ms, settings=history.settings, ordered=True)
        _check(world, expected)

    asyncio.run(play())


@SLOW
@given(month_end_histories(), st.randoms(use_true_random=False), st.integers(0, 2**32), st.sampled_from((0.0, 0.5)))
def test_when_a_zone_becomes_known_or_changes_makes_no_difference(history: History, rng, seed, crashes):
    """Announcements at other places among the same records and clock records: the same is rejected, and the same is shown."""

    def is_announcement(item: Record | Clock) -> bool:
        return isinstance(item, Record) and item.topic == "crm.operators"

    moved = [item for item in history.items if not is_announcement(item)]
    for item in filter(is_announcement, history.items):
        moved.insert(rng.randrange(len(moved) + 1), item)

    async def play(items: list[Record | Clock]) -> None:
        world = World(seed, crashes=crashes, wall_now_ms=history.wall_now_ms, ocpi_operators=OCPI_OPERATORS)
        world.repeats = False  # what is repeated after a clock record may be late the second time
        for item in items:
            await world.feed([item])
            if world.rng.random() < 0.2:
                await _live(world)
        await _live(world)
        _check(world, truth(history.items, wall_now=history.wall_now_ms, settings=history.settings, ordered=True))

    asyncio.run(play(history.items))
    asyncio.run(play(moved))


@SLOW
@given(histories(max_size=40, bad=False), st.integers(0, 2**32))
def test_contributions_taken_back_leave_zero(history, seed):
    """Every session and payment is followed by a version that does not count: all cells are zero, and nobody is left over."""

    async def play() -> None:
        world = World(seed, wall_now_ms=history.wall_now_ms, ocpi_operators=OCPI_OPERATORS)
        await world.feed([Clock(history.now_ms), *history.records])
        undone = []
        for record in history.records:
            event = json.loads(record.value)
            if record.topic == "charging.sessions":
                event["energy_kwh"] = 0  # one of 1e400 would be written as Infinity
                event |= {"status": "INVALID", "version": 2**53}
            elif record.topic == "charging.payments":
                event |= {"status": "FAILED", "version": 2**53}
            else:
                continue
            undone.append(record._replace(offset=record.offset + 1_000_000, value=json.dumps(event).encode()))
        await world.feed(undone)
        await _live(world)
        records = [*history.records, *undone]
        _check(world, truth(records, now=history.now_ms, wall_now=history.wall_now_ms, settings=history.settings))
        if not any(record.topic == "ocpi.cdrs" for record in records):
            for partition, disk in enumerate(world.disks):
                view = CommittedRows(partition, disk)
                for name in view.operators():
                    assert not any(cell.counts() for _, cell in view.scan_cells(MONTHLY, name))
                    assert not any(any(cell.slots) for _, cell in view.scan_cells(HALF_HOUR, name))

    asyncio.run(play())

"""The state of the first version is gone on with: exact, with versions that never fall, and rows written anew as they are touched."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Collection
from datetime import UTC, datetime
from itertools import count

import msgspec
import pytest

from stream_app.domain import figures
from stream_app.domain.local_time import QUARTER_MS
from stream_app.domain.tables import HALF_HOUR, MONTHLY, TABLES
from stream_app.formats import rows
from stream_app.partition.frozen_rows import CommittedRows, FrozenRows
from tests.oracle import Clock, Record, Truth, truth
from tests.simulation import first_version_world
from tests.simulation.compare import differences
from tests.simulation.first_version_world import Recording
from tests.simulation.world import EVENTS_PARTITIONS, RESULT_TOPICS, World
from tests.support import first_version
from tests.support.scenario import as_records, build, versions_never_fall

NOW = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp() * 1000)
SEEDS = (1, 2, 3)
ENTITIES = 300
RENAMED = {"monthly": RESULT_TOPICS[MONTHLY.name], "half-hour": RESULT_TOPICS[HALF_HOUR.name]}
NEWEST = bytes([rows.FORMAT])


def _records(seed: int) -> tuple[list[Record], list[Record]]:
    """Those that the first version reads, and those that come later."""
    records = as_records(build(seed, ENTITIES, NOW), NOW - 1_000_000)
    before, later = records[: len(records) // 2], records[len(records) // 2 :]
    taken = [record for record in before if first_version.would_take(record.value)]
    return [record for record in before if record not in taken], [*taken, *later]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Recording]:
    """What the first version made of the first half of each scenario, by seed."""
    tree = first_version.unpack(tmp_path_factory.mktemp("first-version"))
    histories = [(seed, NOW, [record[:6] for record in _records(seed)[0]]) for seed in SEEDS]
    done = subprocess.run(
        [sys.executable, first_version_world.__file__],
        input=msgspec.msgpack.encode(histories),
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return dict(zip(SEEDS, msgspec.msgpack.decode(done.stdout, type=list[Recording]), strict=True))


def _world(seed: int, recording: Recording) -> World:
    """A world of today's version that holds what the first one left."""
    world = World(seed, wall_now_ms=NOW)
    world.kafka.events = [list(frames) for frames in recording.events]
    world.kafka.changelog = [list(records) for records in recording.changelog]
    for topic, records in recording.results.items():
        world.kafka.results[RENAMED.get(topic, topic)] = list(records)
    for partition, disk in enumerate(world.disks):
        world.kafka.replay(partition, disk)
    return world


def _is_renewed(world: World, partition: int) -> bool:
    operators = FrozenRows(world.disks[partition]).operators().values()
    return all(operator.figures == figures.VERSION for operator in operators)


def _result_records(world: World) -> list[Record]:
    """The results topics as records, for checks of outputs."""
    return [
        Record(topic, 0, offset, 0, *record)
        for topic in RESULT_TOPICS.values()
        for offset, record in zip(count(), world.kafka.results[topic], strict=False)
    ]


def _check(world: World, wanted: Truth, refused: Collection[first_version.Place]) -> None:
    """`refused`: what the first version put into the dead letters, though it can be used by the rules of today."""
    views = [CommittedRows(partition, disk) for partition, disk in enumerate(world.disks)]
    assert differences(wanted, views) == []
    assert dict(world.dead_letters()).keys() == {*wanted.bad, *refused}
    world.check_topics(views)
    assert versions_never_fall(_result_records(world)) == []


async def _live(world: World) -> None:
    """Apply all, and do what is done in the background."""
    for partition in range(EVENTS_PARTITIONS):
        await world.idle(partition, lambda: _is_renewed(world, partition))  # noqa: B023  # awaited at once


@pytest.mark.parametrize("seed", SEEDS)
def test_the_state_of_the_first_version_is_gone_on_with_and_equals_the_oracle(recordings, seed):
    """After more records, and after the sources were read again: then energy is known of all."""
    before, later = _records(seed)
    records = [*before, *later]
    world = _world(seed, recordings[seed])
    assert all(value[:1] != NEWEST for disk in world.disks for key, value in disk.rows.items() if key != rows.POSITION)

    async def play() -> None:
        await world.feed(later)
        await _live(world)
        everything = truth(records, now=NOW, wall_now=NOW)
        refused = first_version.refused(before, dict(world.dead_letters()), everything.bad)
        assert refused
        by_format = first_version.in_frames(frame for frames in world.kafka.events for frame in frames)
        without = by_format[True] - by_format[False]
        assert len(without) > 50
        read = [record for record in records if record.place not in refused]
        _check(world, truth(read, now=NOW, wall_now=NOW, without_energy=without), refused)

        world.read_again()
        await world.feed(before)
        await _live(world)
        _check(world, everything, refused)

    asyncio.run(play())


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_are_written_anew_as_they_are_touched_and_cells_without_it(recordings, seed):
    """A cell shows today's figures though nothing was said of it; a row that nobody needed stays as it was."""
    _, later = _records(seed)
    world = _world(seed, recordings[seed])
    cells = tuple(table.prefix.encode() for table in TABLES)

    async def play() -> None:
        await world.feed(later)
        await _live(world)
        for disk in world.disks:
            older = {key[:1] for key, value in disk.rows.items() if key != rows.POSITION and value[:1] != NEWEST}
            assert older.isdisjoint(cells)
            assert rows.OPERATORS not in older
            assert b"e" in older
        touched = {
            key for changelog in world.kafka.changelog for key, value in changelog if (value or b"")[:1] == NEWEST
        }
        assert {key[:1] for key in touched} >= {b"e", b"c", b"g", rows.OPERATORS, *cells}

    asyncio.run(play())


def test_a_version_stands_for_one_content_though_no_frame_came(recordings):
    """A worker that is started on an older state shows nothing else under the versions that are out already."""
    (seed, *_), (recording, *_) = SEEDS, recordings.values()
    world = _world(seed, recording)

    async def play() -> None:
        for partition in range(EVENTS_PARTITIONS):
            looks = count()
            await world.idle(partition, lambda: next(looks) > 20)  # noqa: B023  # awaited at once
        assert versions_never_fall(_result_records(world)) == []
        await world.feed([Clock(NOW + QUARTER_MS)])
        await _live(world)
        assert versions_never_fall(_result_records(world)) == []

    asyncio.run(play())

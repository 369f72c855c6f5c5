"""Workers come and go over a town whose changelog is compacted, whose tombstones expire, and whose generation changes: each output is right at each moment.

Right is internally consistent: each output at each moment is the oracle's answer to a prefix of the input, the one that its version names.
"""

import asyncio
import logging
import random
from datetime import UTC, datetime
from unittest.mock import patch

import msgspec
import pytest

from stream_app.formats.murmur2 import partition_for
from stream_app.partition import lane, lanes, outbox, partition_state
from stream_app.partition.conf import Pace
from stream_app.partition.frozen_rows import CommittedRows
from stream_app.ports.kafka import Sample
from stream_app.rebuild.gone import show_zeros, without_cell
from stream_app.rebuild.shown import Name, cell_of, own_records
from tests.oracle import Clock, truth
from tests.simulation.compare import differences
from tests.simulation.crew import Worker, open_store
from tests.simulation.town import TOMBSTONES_S, Disk, Documents, Rows, Town
from tests.simulation.world import EVENTS_PARTITIONS, RESULT_TOPICS, RESULTS, World
from tests.support import virtual_time
from tests.support.prefixes import Prefixes
from tests.support.scenario import as_records, build
from tests.support.virtual_time import VirtualTime

NOW_MS = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp() * 1000)
ENTITIES = 60
SEEDS = 6
MACHINES = 3


@pytest.fixture(autouse=True)
def _quiet(caplog):
    """Losses are what is tested; what they log would fill the screen."""
    caplog.set_level(logging.CRITICAL)


class Play:
    """A town and its workers, and what happens to them, from a seed."""

    def __init__(self, seed: int, clock: VirtualTime) -> None:
        self.rng, self.clock = random.Random(seed), clock
        random.seed(seed)  # of back-offs
        self.world = World(seed, wall_now_ms=NOW_MS)
        self.records = as_records(build(seed, ENTITIES, NOW_MS), NOW_MS - 1_000_000)
        self.town = Town(seed, clock, self.world, Prefixes({record.place: record for record in self.records}))
        self.documents, self.rows = Documents(self.town), Rows(self.town)
        self.conf = msgspec.structs.replace(self.world.conf, pace=Pace(0.25, 1.0))
        self.disks: list[dict[tuple[int, int], Disk]] = [{} for _ in range(MACHINES)]
        self.workers: dict[int, Worker] = {}
        self.zombies: list[Worker] = []
        self.builders: list[Worker] = []
        self.samples: list[Sample] = []
        self.done: list[str] = []

    # -- what happens

    async def feed(self) -> None:
        """All records, some at a time."""
        await self.world.feed([Clock(NOW_MS)])
        at = 0
        while at < len(self.records):
            end = at + self.rng.randrange(1, 16)
            await self.world.feed(self.records[at:end])
            at = end
            await asyncio.sleep(self.rng.uniform(0.05, 0.8))

    async def observe(self) -> None:
        """The frontier: what ingest has acknowledged by now lies in the events partitions up to their ends of now."""
        while True:
            await asyncio.sleep(0.1)
            ends = {p: len(frames) for p, frames in enumerate(self.world.kafka.events)}
            self.samples.append(Sample(int(self.clock.time() * 1000), ends))
            for worker in [*self.workers.values(), *self.zombies, *self.builders]:
                worker.sample(self.samples[-1])

    def start(self, machine: int) -> None:
        interruptions = self.rng.choice((0.0, 0.0, 0.1))
        self.workers[machine] = Worker(
            self.town, self.conf, self.disks[machine], (self.documents, self.rows), interruptions=interruptions
        )

    def kill(self) -> None:
        if self.workers:
            machine = self.rng.choice(sorted(self.workers))
            self.workers.pop(machine).kill()

    def pause(self) -> None:
        """A zombie: the group gives its partitions away, and it knows nothing of it."""
        if self.workers:
            machine = self.rng.choice(sorted(self.workers))
            zombie = self.workers.pop(machine)
            zombie.pause()
            self.zombies.append(zombie)
            self.disks[machine] = {}  # its directory is in use

    async def resume(self) -> None:
        """A zombie goes on, and learns some seconds later that nothing is its own any more."""
        if self.zombies:
            zombie = self.zombies.pop(self.rng.randrange(len(self.zombies)))
            zombie.kafka.owned = set()
            zombie.resume()
            await asyncio.sleep(self.rng.uniform(0, 3))
            await self._recover(zombie, set())
            zombie.kill()

    async def rebalance(self) -> None:
        """Partitions among those that run, and at times one more or less of them."""
        for machine in range(MACHINES):
            if machine not in self.workers and self.rng.random() < 0.5:
                self.start(machine)
        if not self.workers:
            self.start(0)
        given = {machine: set[int]() for machine in self.workers}
        for partition in range(EVENTS_PARTITIONS):
            given[self.rng.choice(sorted(given))].add(partition)
        for machine, worker in self.workers.items():  # a cooperative client gives away first
            worker.kafka.owned = worker.kafka.owned & given[machine]
        await asyncio.gather(*(self._recover(worker, given[machine]) for machine, worker in self.workers.items()))

    async def _recover(self, worker: Worker, partitions: set[int]) -> None:
        recovering = asyncio.ensure_future(worker.recover(partitions))
        await asyncio.wait({recovering}, timeout=60)
        assert worker.failure is None, worker.failure
        assert recovering.done(), "a worker that runs recovers"
        recovering.result()

    def compact(self) -> None:
        for changelog in self.town.changelogs.values():
            changelog.compact(self.clock.time(), self.rng.choice((0, 5, 40)))

    def days_pass(self) -> None:
        """Tombstones expire, and a machine that was away for so long has a store that is too old."""
        self.clock.jump(TOMBSTONES_S * self.rng.uniform(0.6, 3))
        self.compact()

    def lose_disk(self) -> None:
        for machine in range(MACHINES):
            if machine not in self.workers:
                self.disks[machine].clear()

    async def sinks_away(self) -> None:
        sink = self.rng.choice((self.documents, self.rows))
        sink.away = True
        await asyncio.sleep(self.rng.uniform(0, 8))
        sink.away = False

    def empty_documents(self) -> None:
        self.documents.empty()

    async def wait(self) -> None:
        await asyncio.sleep(self.rng.uniform(0, 4))

    # -- the next generation

    async def rebuild(self) -> None:
        """Another generation takes over, as `stream_app/rebuild/run.py` brings it about; workers begin anew with it."""
        if self.conf.generation > 1:
            return
        town, old = self.town, self.conf.generation
        self.conf = msgspec.structs.replace(self.conf, generation=old + 1)
        muted = msgspec.structs.replace(self.conf, muted=True)
        builder = Worker(town, muted, {}, (self.documents, self.rows))
        self.builders.append(builder)
        await self._recover(builder, set(range(EVENTS_PARTITIONS)))
        await self._passed(builder, {p: town.range(p).end for p in range(EVENTS_PARTITIONS)})
        retired = {
            partition: town.retire((old, partition), self.conf.generation) for partition in range(EVENTS_PARTITIONS)
        }
        await self._passed(builder, {partition: position.applied for partition, position in retired.items()})
        await self._remove_gone(builder)
        builder.lanes.unmute({partition: position.offset for partition, position in retired.items()})
        await asyncio.sleep(self.rng.uniform(0, 5))
        for worker in self.workers.values():
            assert worker.failure is None, worker.failure
            worker.kill()
        self.workers.clear()
        await self._recover(builder, set())
        builder.kill()
        await self.rebalance()

    async def _remove_gone(self, builder: Worker) -> None:
        """What the retired generation shows and the new one does not have."""
        views = {one.partition: one.view for one in builder.lanes.open_lanes()}
        own = await own_records(list(views.values()), RESULTS)
        gone: dict[int, list[Name]] = {}
        for name in {
            (table, key) for table, topic in RESULT_TOPICS.items() for at, key in self.town.shown if at == topic
        } - own.keys():
            _, cell, _ = cell_of(name)
            gone.setdefault(partition_for(cell.operator.encode(), EVENTS_PARTITIONS), []).append(name)
        await show_zeros(builder.lanes.open_lanes, gone)
        for partition, names in gone.items():
            for table, key in without_cell(views[partition], names):
                self.town.publish(RESULT_TOPICS[table], key, None)

    async def _passed(self, builder: Worker, ends: dict[int, int]) -> None:
        while any(one.committed < ends[one.partition] for one in builder.lanes.open_lanes()):  # noqa: ASYNC110  # lanes tell nobody
            await asyncio.sleep(0.1)

    # -- what is checked between

    def check(self) -> None:
        """What as-of claims now, of documents and of the results topics."""
        for partition, as_of_ms in self.documents.as_of_ms.items():
            self.town.claim(f"partition {partition}", self.documents.of(partition), self._end(partition, as_of_ms))
        for worker in self.workers.values():
            for one in worker.lanes.serving_lanes():
                self.town.claim_topics(one.partition, self._end(one.partition, one.frontiers.as_of(one.published)))
        assert self.town.wrong == [], f"after {self.done}"
        for worker in self.workers.values():
            assert worker.failure is None, worker.failure

    def _end(self, partition: int, as_of_ms: int) -> int:
        """The end of an events partition that an as-of stands for."""
        return max((sample.ends[partition] for sample in self.samples if sample.time_ms <= as_of_ms), default=0)

    async def step(self) -> None:
        happens = self.rng.choice((
            self.kill, self.pause, self.resume, self.resume, self.rebalance, self.rebalance, self.rebalance, self.compact, self.days_pass,
            self.lose_disk, self.sinks_away, self.empty_documents, self.wait, self.wait, self.rebuild,
        ))  # fmt: skip
        self.done.append(happens.__name__)
        found = happens()
        if found is not None:
            await found
        await asyncio.sleep(self.rng.uniform(0, 2))
        self.check()

    async def settle(self) -> None:
        """Everybody is there, and all has come through."""
        while self.zombies:
            await self.resume()
        await self.rebalance()
        deadline = self.clock.monotonic() + 60
        while self.clock.monotonic() < deadline:
            await asyncio.sleep(1)
            if all(self._is_through(partition) for partition in range(EVENTS_PARTITIONS)):
                break
        await asyncio.sleep(5)
        self.check()

    def _is_through(self, partition: int) -> bool:
        end = len(self.world.kafka.events[partition])
        found = [
            lane
            for worker in self.workers.values()
            for lane in worker.lanes.serving_lanes()
            if lane.partition == partition
        ]
        return len(found) == 1 and found[0].committed == found[0].published == end

    def check_end(self) -> None:
        expected = truth(self.records, now=NOW_MS, wall_now=NOW_MS)
        owned = [worker.lanes.serving_lanes() for worker in self.workers.values()]
        views = [CommittedRows(lane.partition, lane.store) for some in owned for lane in some]
        assert sorted(view.partition for view in views) == list(range(EVENTS_PARTITIONS))
        assert differences(expected, views) == []
        assert len(self.town.letters) == len(expected.bad)
        for partition in range(EVENTS_PARTITIONS):
            self.town.claim_topics(partition, len(self.world.kafka.events[partition]))
        assert self.town.wrong == []
        for key, row in expected.monthly.items():
            assert self.rows.store[key].items() >= row.items(), key
        for operator in expected.operators:
            for group in {"ALL"} | expected.groups_with_data(operator):
                assert self.documents.has(operator, group), (operator, group)


def _play(seed: int) -> int:
    async def main(clock: VirtualTime) -> int:
        play = Play(seed, clock)
        observing, feeding = asyncio.create_task(play.observe()), asyncio.create_task(play.feed())
        await play.rebalance()
        while not feeding.done():
            await play.step()
        feeding.result()
        await play.settle()
        play.check_end()
        assert not observing.done()
        return play.town.checks

    rows = (0, 1_000_000)[seed % 2]  # whether an operator is applied apart while its zone is changed
    with patch.object(lanes, "Store", open_store), patch.object(partition_state, "_APART_ROWS", rows):
        return virtual_time.run(main, NOW_MS, lane, lanes, outbox)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_each_output_is_at_each_moment_the_oracles_answer_to_a_prefix_of_the_input(seed):
    """Kills, zombies with what they had in memory, takeovers, old stores, compacted changelogs, expired tombstones, sinks that are away or emptied."""
    assert _play(seed) > 1_000, "checks of outputs"

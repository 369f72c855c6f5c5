"""Workers of a simulation: the real lanes and sink writers, on the Kafka, the sinks and the disks of a town. They are killed, paused, moved, and replaced.

A worker that is killed or paused stops at its next word with the world outside, wherever that is. A paused one goes on later as it was, with what it had in
memory, whoever owns its partitions by then.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from stream_app.partition.conf import Conf
from stream_app.partition.lanes import Lanes
from stream_app.partition.sink_writer import SinkWriter
from stream_app.ports.kafka import ChangelogLost, Fenced, Interrupted, Range, Replayed, Sample
from stream_app.ports.records import Batch, Records
from stream_app.ports.sinks import Dirty, View
from tests.simulation.town import TOMBSTONES_S, Disk, Documents, Rows, Town

_FETCH_MAX: Final = 6
_SINKS_S: Final = (0.1, 1.0)


class Gate:
    """What a worker passes before each word with the world outside: closed for one that is paused, for ever for one that is killed."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()

    async def passed(self, takes_s: float = 0.0) -> None:
        await asyncio.sleep(takes_s)
        await self._open.wait()

    def close(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()


class Transactions:
    """The transactions of a partition (ports.kafka.Log), which may be interrupted before or after they are committed."""

    def __init__(self, town: Town, gate: Gate, place: tuple[int, int], interruptions: float) -> None:
        self._town, self._gate, self._place, self._interruptions = town, gate, place, interruptions
        self._epoch = -1

    async def open(self) -> None:
        await self._gate.passed(0.01)
        self._town.epochs[self._place] += 1
        self._epoch = self._town.epochs[self._place]

    async def close(self) -> None:
        await self._gate.passed()

    async def partitions(self, topic: str) -> int:
        return 2

    async def commit(self, rows: Mapping[bytes, bytes | None], records: Records, offset: int) -> int:
        rng = self._town.rng
        await self._gate.passed(rng.uniform(0, 0.05))
        if self._town.epochs[self._place] != self._epoch:
            raise Fenced("another owner")
        if rng.random() < self._interruptions:
            raise Interrupted("before it was committed")
        position = self._town.commit(self._place, rows, records)
        await self._gate.passed(rng.uniform(0, 0.05))
        if rng.random() < self._interruptions:
            raise Interrupted("nobody knows whether it was committed")
        return position


class WorkersKafka:
    """What lanes use of Kafka (ports.kafka.Kafka). `owned`: the partitions that the group has given to the worker."""

    def __init__(self, town: Town, gate: Gate, generation: int, interruptions: float) -> None:
        self._town, self._gate, self._generation, self._interruptions = town, gate, generation, interruptions
        self.owned: set[int] = set()

    def new_log(self, partition: int) -> Transactions:
        return Transactions(self._town, self._gate, (self._generation, partition), self._interruptions)

    async def owns(self, partition: int) -> bool:
        await self._gate.passed()
        return partition in self.owned

    async def ranges(self, topic: str, partitions: Sequence[int]) -> dict[int, Range]:
        await self._gate.passed()
        return {partition: self._town.range(partition) for partition in partitions}

    async def tombstones_ms(self, topic: str) -> int:
        return int(TOMBSTONES_S * 1000)

    async def replay(self, topic: str, stores: Mapping[int, Replayed]) -> int:
        for partition, store in stores.items():
            records = self._town.changelogs[self._generation, partition].records
            if store.log > len(records):
                raise ChangelogLost(partition, "the changelog ends before")
            at = store.log
            while at < len(records):
                await self._gate.passed(0.001)
                end = min(at + self._town.rng.randrange(1, 50), len(records))
                store.write({record[0]: record[1] for record in records[at:end] if record}, end)
                at = end
        return 0


class _Behind:
    """A sink that a worker reaches through its gate only."""

    def __init__(self, sink: Documents | Rows, gate: Gate) -> None:
        self._sink, self._gate = sink, gate
        self.name, self.errors, self.keeps_past = sink.name, sink.errors, sink.keeps_past

    async def compare(self, view: View) -> Dirty:
        await self._gate.passed()
        return await self._sink.compare(view)

    def claimed_ms(self, partition: int) -> int:
        return self._sink.claimed_ms(partition)

    async def write(self, changes: Sequence[tuple[View, Dirty]]) -> None:
        for change in changes:  # one that is paused stops between any two
            await self._gate.passed(0.01)
            await self._sink.write([change])

    async def write_as_of(self, as_of_ms: dict[int, int]) -> set[int]:
        await self._gate.passed()
        return await self._sink.write_as_of(as_of_ms)

    async def look_over(self, view: View) -> Dirty:
        return Dirty()

    async def close(self) -> None:
        pass


class Machine(NamedTuple):
    """Stands in for the folder of a worker's stores."""

    disks: dict[tuple[int, int], Disk]
    generation: int

    def mkdir(self, **_: object) -> None:
        pass

    def __truediv__(self, partition: str) -> tuple[dict[tuple[int, int], Disk], tuple[int, int]]:
        return self.disks, (self.generation, int(partition))


def open_store(where: tuple[dict[tuple[int, int], Disk], tuple[int, int]], _cache: object) -> Disk:
    """Stands in for the store of the lanes (stream_app.partition.lanes.Store)."""
    disks, place = where
    return disks.setdefault(place, Disk())


class Worker:
    """One worker, from its start to its kill. `disks`: of its machine, by generation and partition; `sinks`: what it copies results into."""

    def __init__(
        self,
        town: Town,
        conf: Conf,
        disks: dict[tuple[int, int], Disk],
        sinks: Sequence[Documents | Rows],
        *,
        interruptions: float = 0.0,
    ) -> None:
        self._town, self._disks, self.conf = town, disks, conf
        self.gate = Gate()
        self.kafka = WorkersKafka(town, self.gate, conf.generation, interruptions)
        self.is_paused = self.is_dead = False
        self.failure: Exception | None = None
        self._next: dict[int, int] = {}
        self.lanes = Lanes(self.kafka, Machine(disks, conf.generation), 1, self._crash, self._seek)  # type: ignore[arg-type]
        self.lanes.configure(conf)
        self.lanes.writers = [
            SinkWriter(_Behind(sink, self.gate), every_s, self.lanes.serving_lanes)
            for sink, every_s in zip(sinks, _SINKS_S, strict=True)
        ]
        self._tasks = [asyncio.create_task(writer.run()) for writer in self.lanes.writers]
        self._tasks.append(asyncio.create_task(self._consume()))

    async def _crash(self, exc: Exception) -> None:
        self.failure = exc
        self.kill()

    async def _seek(self) -> None:
        self._next = self.lanes.positions()

    async def recover(self, partitions: set[int]) -> None:
        """The group has given these partitions to the worker."""
        self.kafka.owned = partitions
        await self.lanes.recover(partitions)
        await self._seek()

    async def _consume(self) -> None:
        """Fetch, a few frames at a time."""
        while True:
            await self.gate.passed(self._town.rng.uniform(0.01, 0.1))
            for partition, at in list(self._next.items()):
                frames = self._town.world.kafka.events[partition]
                end = min(len(frames), at + self._town.rng.randrange(1, _FETCH_MAX))
                if at < end and partition in self.kafka.owned:
                    count = end - at
                    batch = Batch([None] * count, list(frames[at:end]), list(range(at, end)), [0] * count, end)
                    self._next[partition] = end
                    await self.lanes.put(partition, [batch])

    def sample(self, sample: Sample) -> None:
        """A sample of the frontier was reached."""
        if not (self.is_paused or self.is_dead):
            self.lanes.reached(sample)

    def pause(self) -> None:
        """SIGSTOP."""
        self.is_paused = True
        self.gate.close()

    def resume(self) -> None:
        """SIGCONT."""
        self.is_paused = False
        if not self.is_dead:
            self.gate.open()

    def kill(self) -> None:
        """kill -9: its disks are as a crash leaves them, and what it still does reaches nobody."""
        self.is_dead = True
        self.gate.close()
        for place, disk in list(self._disks.items()):
            self._disks[place] = disk.after_crash(self._town.rng)
        for task in self._tasks:
            task.cancel()

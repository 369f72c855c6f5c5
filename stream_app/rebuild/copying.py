"""The events topic copied into one with another number of partitions: frames are regrouped by operator.

The copy goes on until the new generation serves, since ingest writes to the old topic until then. At least once: events
are upserts, so one that is copied twice changes nothing. Clock records go to every partition.
"""

from collections.abc import Callable, Sequence

from aiokafka import TopicPartition

from stream_app.access.kafka import KafkaAccess
from stream_app.formats.frames import FramePart, clock_frame, decode_frame, frames
from stream_app.formats.murmur2 import partition_for
from stream_app.kafka.readers import new_reader
from stream_app.ports.kafka import Appender
from stream_app.ports.records import Batch, RecordFields


def regrouped(values: Sequence[bytes | None], partitions: int) -> dict[int, list[RecordFields]]:
    """Regroup frames of one partition: records by partition of a topic that has `partitions`, in order.

    Each advance of their clock goes to each partition, at its place among the events: what was too late there is too
    late here.
    """
    out: dict[int, list[RecordFields]] = {}
    parts: dict[int, list[FramePart]] = {}

    def write_parts() -> None:
        for at, some in parts.items():
            out.setdefault(at, []).extend((None, frame, []) for frame in frames(some))
        parts.clear()

    clock = 0
    for value in values:
        assert value is not None, "the events topic holds no tombstones"
        now, some = decode_frame(value)
        if now is not None and now > clock:
            write_parts()
            clock = now
            for at in range(partitions):
                out.setdefault(at, []).append((None, clock_frame(clock), []))
        for part in some:
            parts.setdefault(partition_for(part.operator.encode(), partitions), []).append(part)
    write_parts()
    return out


class Copying:
    """Copies events from one events topic into another.

    `positions`: by partition of the old topic, the next offset that is not copied yet.
    """

    def __init__(
        self,
        kafka: KafkaAccess,
        consumer_group: str,
        source: tuple[str, int],
        target: tuple[str, int],
        appender: Appender,
    ) -> None:
        self._topic, count = source
        self._target, self._partitions = target
        self._tps = [TopicPartition(self._topic, partition) for partition in range(count)]
        self._appender = appender
        self._kafka, self._consumer_group = kafka, consumer_group
        self.positions: dict[int, int] = {}

    async def run(self, wanted: Callable[[], bool]) -> None:
        """Copy as long as `wanted` says so. `Raises` KafkaError."""
        self._consumer = new_reader(self._kafka, consumer_group=self._consumer_group)
        await self._consumer.start()
        try:
            self._consumer.assign(self._tps)
            for tp in self._tps:
                self.positions[tp.partition] = await self._consumer.position(tp)
            while wanted():
                for tp, batches in (await self._consumer.getmany(*self._tps, timeout_ms=100)).items():
                    await self._copy(tp, batches)
        finally:
            await self._consumer.stop()

    async def _copy(self, tp: TopicPartition, batches: Sequence[Batch]) -> None:
        whole = Batch.joined(batches)
        found = regrouped(whole.values, self._partitions)
        await self._appender.append({(self._target, at): records for at, records in found.items()})
        await self._consumer.commit({tp: whole.next_offset})
        self.positions[tp.partition] = whole.next_offset

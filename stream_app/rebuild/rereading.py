"""The source topics read again, from their first retained record on.

Fields that an older version did not keep are filled in.

Events that come of it have the stamp of the first reading, so one that says nothing new changes nothing. Ingest goes on
beside it, with offsets of its own. What can't be used has its dead letter already, and gets none again.
"""

from collections.abc import Callable, Mapping

from aiokafka import TopicPartition

from stream_app.access.kafka import KafkaAccess
from stream_app.ingest.ingest import Ingest
from stream_app.kafka.readers import new_reader


class Rereading:
    """Reads source topics up to the ends that they have at the start; `partitions`: number by existing topic.

    `done`, `todo`: records read, and to be read in all.
    """

    def __init__(self, kafka: KafkaAccess, consumer_group: str, partitions: Mapping[str, int], ingest: Ingest) -> None:
        self._partitions, self._ingest = partitions, ingest
        self._kafka, self._consumer_group = kafka, consumer_group
        self.done = self.todo = 0

    async def run(self, told: Callable[[], None]) -> None:
        """Read the source topics up to those ends; `told` is called after each step. `Raises` KafkaError."""
        self._consumer = new_reader(self._kafka, consumer_group=self._consumer_group)
        await self._consumer.start()
        try:
            tps = [
                TopicPartition(topic, partition)
                for topic, count in self._partitions.items()
                for partition in range(count)
            ]
            self._consumer.assign(tps)
            ends: Mapping[TopicPartition, int] = await self._consumer.end_offsets(tps)
            positions = {tp: await self._consumer.position(tp) for tp in tps}
            self.todo = sum(max(0, ends[tp] - positions[tp]) for tp in tps)
            left = {tp for tp in tps if positions[tp] < ends[tp]}
            while left:
                for tp, batches in (await self._consumer.getmany(*left, timeout_ms=200)).items():
                    await self._ingest.take(tp.topic, tp.partition, batches)
                    await self._consumer.commit({tp: batches[-1].next_offset})
                    self.done += batches[-1].next_offset - positions[tp]
                    positions[tp] = batches[-1].next_offset
                    told()
                left = {tp for tp in left if await self._consumer.position(tp) < ends[tp]}
        finally:
            await self._consumer.stop()

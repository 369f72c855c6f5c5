"""Seeks of several who ask at once: the thread works on two calls at a time."""

import asyncio
from types import SimpleNamespace

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata
from faust.types import TP

from stream_app.faust_seam.fetch_thread import FetchThread
from stream_app.kafka.read_records import ReadRecords

ONE, OTHER = TP("events", 0), TP("events", 1)


class Consumer:
    """A consumer of both partitions. `answer`: set when the group's coordinator may answer the first question."""

    def __init__(self) -> None:
        self.answer, self.asked = asyncio.Event(), asyncio.Event()
        self.positions: dict[TopicPartition, int] = {}
        self._coordinator = SimpleNamespace(fetch_committed_offsets=self._committed)

    async def _committed(self, partitions):
        if not self.asked.is_set():
            self.asked.set()
            await self.answer.wait()
        return {tp: OffsetAndMetadata(10, "") for tp in partitions}

    def assignment(self):
        return {TopicPartition(*ONE), TopicPartition(*OTHER)}

    def seek(self, tp, offset):
        self.positions[tp] = offset


class Thread(FetchThread):
    """Its calls are worked on at once."""

    def __init__(self, consumer: Consumer) -> None:
        self._asked, self._read, self._seeking = consumer, ReadRecords(lambda *_: None), asyncio.Lock()

    def _ensure_consumer(self):
        return self._asked

    async def call_thread(self, fun, *args):
        return await fun(*args)


async def test_a_seek_of_before_an_owner_came_does_not_move_its_partition():
    consumer = Consumer()
    thread = Thread(consumer)
    first = asyncio.create_task(thread.seek_all({ONE: 4}))
    await consumer.asked.wait()
    later = asyncio.create_task(thread.seek_all({ONE: 5, OTHER: 9}))  # the frame before the one that comes next, at 10
    await asyncio.wait({later}, timeout=0.1)
    consumer.answer.set()
    await asyncio.gather(first, later)
    assert consumer.positions == {TopicPartition(*ONE): 5, TopicPartition(*OTHER): 9}
    assert thread.epoch == 2

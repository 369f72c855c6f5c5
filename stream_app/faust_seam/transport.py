"""Faust's transport, a fetch at a time: what a fetch returned for a partition is one Faust message.

To Faust the message stands at the last offset of its batches, and its value is a list of kafka.batches.Batch. Which offsets may be committed
follows from the messages that were delivered and acknowledged in order; when all are, it is the consumer's own position, past control records,
aborted transactions and compacted gaps. Faust's accounting of gaps is switched off: it stalls on topics that have them. Where a partition
goes on is for its owner to say (`App.positions`); the group's offset is asked only where there is none.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from aiokafka.errors import IllegalStateError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode import Service

from stream_app.clients.waiting import until_kafka_answers
from stream_app.faust_seam.fetch_thread import FetchThread

_POLL_S = 0.2  # how long a fetch waits for records, so that positions past control records are seen soon
_ACTIVE_S = 10.0  # between two notes that the app's loop runs
_STOP_S = 5.0  # for the last commit


class Consumer(driver.Consumer):
    """Faust's Consumer, whose messages are whole fetches and whose offsets are accounted for by fetch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_flight: dict[TP, deque[ConsumerMessage]] = defaultdict(deque)  # in order, those to be committed
        self._read_up_to: dict[TP, int] = {}
        self._settled: dict[TP, int] | None = None  # what had been read up to when all of it was found to be committed

    def _new_consumer_thread(self) -> FetchThread:
        return FetchThread(self, loop=self.loop, beacon=self.beacon)

    def member_id(self) -> str:
        """Id by which the consumer group knows this consumer; empty while it is in none."""
        thread: FetchThread = self._thread  # type: ignore[assignment]  # _new_consumer_thread
        return str(thread._ensure_consumer()._coordinator.member_id)  # noqa: SLF001

    @Service.task
    async def _be_active(self) -> None:
        """Note that the app's loop runs, also while there is nothing to be fetched: no partition is ours, all are full, or Kafka is away in a rebalance.

        By its fetches alone, aiokafka takes a consumer without any for one that hangs: it leaves the group for others, and does not join again.
        """
        while not self.should_stop:
            consumer = self._thread._consumer  # noqa: SLF001  # of the driver's thread
            if consumer is not None:
                consumer._subscription._last_fetch_ended = time.monotonic()  # noqa: SLF001
            await self.sleep(_ACTIVE_S)

    @Service.task
    async def _commit_handler(self) -> None:
        """Commit from time to time. Faust's timer, which makes up for its drift, takes as much as all else that is to be done where nothing comes."""
        while not self.should_stop:
            await asyncio.sleep(self.commit_interval)
            await self.commit()

    @Service.task
    async def _commit_livelock_detector(self) -> None:
        """Look for nothing. To Faust a partition that came lately has stood still since the worker's start, and each gets a line; what stands still the monitor says."""

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # as Faust has it
        """Commit what may be: nothing, where all was found to be committed and nothing has come since."""
        if self._read_up_to == self._settled and not any(self._in_flight.values()):
            return False
        done = await super().commit(topics, start_new_transaction)
        if not done and not any(self._in_flight.values()):  # else the next one sees
            left = self._filter_committable_offsets(self._filter_tps_with_pending_acks())
            self._settled = None if left else dict(self._read_up_to)
        return done

    def _forget(self, tps: Iterable[TP]) -> None:
        for tp in tps:
            self._in_flight.pop(tp, None)
            self._read_up_to.pop(tp, None)
            self._settled = None

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Drop the messages in flight of revoked partitions: their next owner reads them."""
        self._forget(revoked)
        await super().on_partitions_revoked(revoked)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ARG002, ASYNC109  # Faust's name; it waits a second
        """Messages, one for each partition that a fetch brought records of."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]  # as Faust does
        active = self._get_active_partitions() - self.app.full()  # type: ignore[attr-defined]  # our App
        if not active:
            await self.sleep(_POLL_S)
            return
        thread: FetchThread = self._thread  # type: ignore[assignment]  # _new_consumer_thread
        records, positions, epoch, back = await thread.fetch(active, _POLL_S)
        self._forget(back)
        if self.should_stop or epoch != thread.epoch:  # the seek came later: it is all read again
            return
        if not self.flow_active:  # a rebalance; if its seek was before this fetch, none would follow
            with suppress(IllegalStateError):
                await self.perform_seek()
            return
        for tp, batches in records.items():
            if not self.flow_active or epoch != thread.epoch:  # a rebalance began, its seek follows
                return
            with suppress(IllegalStateError):  # revoked this moment
                self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            message = _message(tp, batches, self.app.consumer_generation_id)
            if (self._read_offset[tp] or 0) > message.offset:  # a topic made anew begins at zero
                self._read_offset[tp] = self._committed_offset[tp] = None
            if self.app.topics.acks_enabled_for(tp.topic):  # of others nobody asks, and they would stay for ever
                self._in_flight[tp].append(message)
            self._read_up_to.pop(tp, None)
            yield tp, message
        if self.flow_active and epoch == thread.epoch:
            self._read_up_to.update(positions)

    async def on_stop(self) -> None:
        """Commit what may be, if the thread and Kafka still answer.

        A failure of any part of the worker ends the thread by itself, before the app is stopped. A call that comes between its last one and its
        end gets no answer, and Faust would wait for ever: the worker would neither work nor end. So it is while brokers are away. What is not
        committed is read again.
        """
        commit = asyncio.ensure_future(super().on_stop())
        ended = asyncio.ensure_future(self._thread._shutdown.wait())  # noqa: SLF001  # set in this loop, when the thread takes no calls any more
        await asyncio.wait((commit, ended), timeout=_STOP_S, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if commit.done():
            await commit
        else:
            commit.cancel()

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek, and give the offsets that every partition goes on from. Faust calls this after each recovery, before it lets records through."""
        await self.perform_seek()
        return {tp: offset for tp, offset in self._committed_offset.items() if offset is not None}

    async def perform_seek(self) -> None:
        """Seek every partition to its owner's position, or to the group's committed offset."""
        self._forget(list(self._in_flight) + list(self._read_up_to))
        thread: FetchThread = self._thread  # type: ignore[assignment]  # _new_consumer_thread
        committed = await thread.seek_all(self.app.positions())  # type: ignore[attr-defined]  # our App
        self._forget(list(self._in_flight) + list(self._read_up_to))
        for tp in self.assignment():
            self._read_offset[tp], self._committed_offset[tp] = None, committed.get(tp)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing to note: gaps lie inside messages, whose end is what counts."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        enabled = self.app.topics.acks_enabled_for
        tps = [tp for tp in {*self._in_flight, *self._read_up_to} if enabled(tp.topic)]
        return (tp for tp in tps if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        """The offset that may be committed: behind the last message of an unbroken row of acknowledged ones.

        Messages count, not their offsets: one of before a seek says nothing about one that ends at the same offset after it.
        """
        in_flight, new = self._in_flight[tp], None
        while in_flight and in_flight[0].acked:
            new = in_flight.popleft().offset + 1
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return new if in_flight else self._read_up_to.get(tp, new)

    def _should_commit(self, tp: TP, offset: int) -> bool:
        thread: FetchThread = self._thread  # type: ignore[assignment]  # _new_consumer_thread
        return not thread.is_committed(tp, offset)  # lower ones are not either: a topic made anew begins at zero


def _message(tp: TP, batches: list[Any], generation_id: int) -> ConsumerMessage:
    return ConsumerMessage(
        tp.topic,
        tp.partition,
        batches[-1].offsets[-1],
        batches[-1].timestamps[-1] / 1000,
        0,
        None,
        None,
        batches,  # type: ignore[arg-type]  # a fetch, not bytes
        None,
        None,
        None,
        tp,
        generation_id=generation_id,
    )


class Transport(driver.Transport):
    """Faust's Transport, with this consumer. Topics that tables declare are made once Kafka answers."""

    Consumer = Consumer

    async def _really_create_topic(self, *args: Any, **kwargs: Any) -> None:
        create = super()._really_create_topic
        await until_kafka_answers(lambda: create(*args, **kwargs), "the topic of a table")

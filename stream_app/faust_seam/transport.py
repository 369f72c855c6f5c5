"""Faust's transport, a fetch at a time: what a fetch returned for a partition is one Faust message.

To Faust the message stands at the last offset of its batches, and its value is a list of kafka.batches.Batch. Which offsets may be committed
follows from the messages that were delivered and acknowledged in order; when all are, it is the consumer's own position, past control records,
aborted transactions and compacted gaps. Faust's accounting of gaps is switched off: it stalls on topics that have them. Where a partition
goes on is for its owner to say (`App.positions`); the group's offset is asked only where there is none.
"""

import asyncio
import logging
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode import Service

from stream_app.clients.waiting import passes, until_kafka_answers
from stream_app.kafka.read_records import ReadRecords
from stream_app.trouble import Trouble

log = logging.getLogger(__name__)

_POLL_S = 0.2  # how long a fetch waits for records, so that positions past control records are seen soon
_FAILED_S = 1.0  # rest after a fetch that failed
_GROUP_S = 1.0  # between two looks at whether the consumer still takes part in its group
_QUIET_S = 30.0  # between two lines that it does not
_ACTIVE_S = 10.0  # between two notes that the app's loop runs
_STOP_S = 5.0  # for the last commit
_FETCH_WAIT_MS = 100  # a waiting fetch holds up partitions that had records when it was sent; Faust fixes 1,500
_QUIET_WAIT_MS = 500  # where none has any, each of them ends the wait
_QUIET_FETCHES = 5  # without a record, one after the other


class Fetched(NamedTuple):
    """The outcome of a fetch: batches by partition, the consumer's positions right behind them; partitions that lost what was read of them."""

    records: dict[TP, list[Any]]
    positions: dict[TP, int]
    epoch: int
    back: frozenset[TP]


class Thread(driver.AIOKafkaConsumerThread):
    """The thread that fetches. `epoch` counts its seeks: what was fetched in an earlier one is not what the partitions go on with."""

    epoch = 0
    _empty = 0  # fetches without a record, since the last with one

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read = ReadRecords(self.consumer.app.lost)  # type: ignore[attr-defined]  # our App
        self._committed: dict[TopicPartition, OffsetAndMetadata] = {}  # as the group has it

    @Service.task
    async def _follow_group(self) -> None:
        """Take what the group's coordinator could not go on with, and have the consumer join again; what does not pass by itself ends the worker.

        aiokafka takes no part in the group, neither beats nor joins, until somebody has taken the error. It gives it to who asks for records, which is
        what nobody does in a rebalance, and Faust never does in the way that takes it.
        """
        failing: Trouble[str] = Trouble(_QUIET_S)
        while not self.should_stop:
            coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001
            try:
                coordinator.check_errors()
                failing.is_over([""])
            except KafkaError as exc:
                if not passes(exc):
                    raise
                if failing.has("", time.monotonic()):
                    log.warning("the consumer group is joined again: %s", exc)
                coordinator.request_rejoin()
            await asyncio.sleep(_GROUP_S)

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # noqa: SLF001  # sources may be transactional; Faust ties it to its own exactly_once
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS  # noqa: SLF001
        commit = consumer.commit

        async def commit_with_epochs(offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
            noted = {tp: self._read.committing(tp, at.offset) for tp, at in offsets.items()}
            await commit(noted)
            self._committed |= noted

        consumer.commit = commit_with_epochs
        return consumer

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Say nothing. To Faust a partition that came lately has stood still since the worker's start, and each gets a line; what stands still the monitor says."""

    def is_committed(self, tp: TP, offset: int) -> bool:
        """Whether the group has just that: the offset, and what was read up to there. What took the place of lost records may end where those did."""
        return bool(self._committed.get(tp) == self._read.committing(tp, offset))

    async def on_thread_stop(self) -> None:
        """Stop the consumer. One that rests between two fetches hands the cancellation of its own task on, and Faust would wait for the thread for ever."""
        try:
            await super().on_thread_stop()
        except asyncio.CancelledError:
            await self._ensure_consumer()._client.close()  # noqa: SLF001

    async def fetch(self, active: set[TP], timeout_s: float) -> Fetched:
        """Records, positions and epoch of one moment: read in the thread that moves them."""
        return await self.call_thread(self._fetch, self._ensure_consumer(), active, timeout_s)  # type: ignore[no-any-return]

    async def _fetch(self, consumer: Any, active: set[TP], timeout_s: float) -> Fetched:
        try:
            records = await self._fetch_records(consumer, active, timeout=timeout_s)
        except KafkaError as exc:  # the consumer hands on what its coordinator answered, and goes on
            if not passes(exc):
                raise
            log.warning("a fetch failed, and is tried again: %s", exc)
            await asyncio.sleep(_FAILED_S)
            records = {}
        self._empty = 0 if records else self._empty + 1
        is_quiet = self._empty >= _QUIET_FETCHES
        consumer._fetcher._fetch_max_wait_ms = _QUIET_WAIT_MS if is_quiet else _FETCH_WAIT_MS  # noqa: SLF001
        epoch = self.epoch
        records = await self._read.follow(consumer, records)
        positions = {}
        assignment = consumer._subscription.subscription and consumer._subscription.subscription.assignment  # noqa: SLF001
        if assignment is not None:
            for tp in assignment.tps:
                state = assignment.state_value(tp)
                if state is not None and state.has_valid_position:
                    positions[ensure_TP(tp)] = state.position
        back = frozenset(map(ensure_TP, self._read.back))
        return Fetched({ensure_TP(tp): found for tp, found in records.items()}, positions, epoch, back)

    async def seek_all(self, own: Mapping[TP, int]) -> dict[TP, int | None]:
        """Seek every partition, to where its owner says or to the committed offset, else to its beginning; the committed ones."""
        return await self.call_thread(self._seek_all, self._ensure_consumer(), own)  # type: ignore[no-any-return]

    async def _seek_all(self, consumer: Any, own: Mapping[TP, int]) -> dict[TP, int | None]:
        others = [tp for tp in consumer.assignment() if ensure_TP(tp) not in own]
        what = "the positions of a consumer"
        committed = await until_kafka_answers(lambda: consumer._coordinator.fetch_committed_offsets(others), what)  # noqa: SLF001  # with metadata
        found = {tp: committed[tp].offset if tp in committed else None for tp in others}
        fresh = [tp for tp, offset in found.items() if offset is None]
        first = await until_kafka_answers(lambda: consumer.beginning_offsets(fresh), what) if fresh else {}
        # From here on nothing may come between: a fetch belongs to the time before all seeks, or after them.
        for tp in consumer.assignment():
            if ensure_TP(tp) in own:
                consumer.seek(tp, own[ensure_TP(tp)])
            elif tp in found:
                consumer.seek(tp, first[tp] if found[tp] is None else found[tp])
        self.epoch += 1
        self._read.begin(others, committed)
        self._committed = dict(committed)
        return {ensure_TP(tp): offset for tp, offset in found.items()}


class Consumer(driver.Consumer):
    """Faust's Consumer, whose messages are whole fetches and whose offsets are accounted for by fetch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_flight: dict[TP, deque[ConsumerMessage]] = defaultdict(deque)  # in order, those to be committed
        self._read_up_to: dict[TP, int] = {}

    def _new_consumer_thread(self) -> Thread:
        return Thread(self, loop=self.loop, beacon=self.beacon)

    def member_id(self) -> str:
        """Id by which the consumer group knows this consumer; empty while it is in none."""
        thread: Thread = self._thread  # type: ignore[assignment]  # _new_consumer_thread
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

    def _forget(self, tps: Iterable[TP]) -> None:
        for tp in tps:
            self._in_flight.pop(tp, None)
            self._read_up_to.pop(tp, None)

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
        thread: Thread = self._thread  # type: ignore[assignment]  # _new_consumer_thread
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
        thread: Thread = self._thread  # type: ignore[assignment]  # _new_consumer_thread
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
        thread: Thread = self._thread  # type: ignore[assignment]  # _new_consumer_thread
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
    """Faust's Transport, with this consumer and thread. Topics that tables declare are made once Kafka answers."""

    Consumer = Consumer

    async def _really_create_topic(self, *args: Any, **kwargs: Any) -> None:
        create = super()._really_create_topic
        await until_kafka_answers(lambda: create(*args, **kwargs), "the topic of a table")

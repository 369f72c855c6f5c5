"""Faust's transport, a fetch at a time: what a fetch returned for a partition is one Faust message.

To Faust the message stands at the last offset of its batches, and its value is a list of kafka.batches.Batch. Which offsets may be committed
follows from the messages that were delivered and acknowledged in order; when all are, it is the consumer's own position, past control records,
aborted transactions and compacted gaps. Faust's accounting of gaps is switched off: it stalls on topics that have them. Where a partition
goes on is for its owner to say (`App.positions`); the group's offset is asked only where there is none.
"""

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

_POLL_S = 0.2  # how long a fetch waits for records, so that positions past control records are seen soon
_FETCH_WAIT_MS = 100  # a waiting fetch holds up all partitions of its broker; Faust fixes 1,500


class Thread(driver.AIOKafkaConsumerThread):
    """The thread that fetches."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # noqa: SLF001  # sources may be transactional; Faust ties it to its own exactly_once
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS  # noqa: SLF001
        return consumer

    async def fetch(self, active: set[TP], timeout_s: float) -> tuple[dict[TP, list[Any]], dict[TP, int]]:
        """Records, and the positions right after them: read in the thread that moves them."""
        consumer = self._ensure_consumer()
        return await self.call_thread(self._fetch, consumer, active, timeout_s)  # type: ignore[no-any-return]

    async def _fetch(
        self, consumer: Any, active: set[TP], timeout_s: float
    ) -> tuple[dict[TP, list[Any]], dict[TP, int]]:
        records = await self._fetch_records(consumer, active, timeout=timeout_s)
        positions = {}
        assignment = consumer._subscription.subscription and consumer._subscription.subscription.assignment  # noqa: SLF001
        if assignment is not None:
            for tp in assignment.tps:
                state = assignment.state_value(tp)
                if state is not None and state.has_valid_position:
                    positions[ensure_TP(tp)] = state.position
        return {ensure_TP(tp): found for tp, found in records.items()}, positions


class Consumer(driver.Consumer):
    """See the module."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_flight: dict[TP, deque[int]] = defaultdict(deque)  # last offsets of delivered messages, in order
        self._read_up_to: dict[TP, int] = {}

    def _new_consumer_thread(self) -> Thread:
        return Thread(self, loop=self.loop, beacon=self.beacon)

    def _forget(self, tps: Iterable[TP]) -> None:
        for tp in tps:
            self._in_flight.pop(tp, None)
            self._read_up_to.pop(tp, None)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """What a revoked partition had in flight will be read by its next owner."""
        self._forget(revoked)
        await super().on_partitions_revoked(revoked)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ARG002, ASYNC109  # Faust's name; it waits a second
        """Messages, one for each partition that a fetch brought records of."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]  # as Faust does
        active = self._get_active_partitions()
        if not active:
            await self.sleep(_POLL_S)
            return
        generation_id = self.app.consumer_generation_id
        records, positions = await self._thread.fetch(active, _POLL_S)  # type: ignore[attr-defined]  # our Thread
        if self.should_stop:
            return
        if not self.flow_active:  # a rebalance: the recovery that follows seeks again
            with suppress(IllegalStateError):
                await self.perform_seek()
            return
        for tp, batches in records.items():
            if not self.flow_active or self.app.consumer_generation_id != generation_id:
                return
            if tp not in active and tp not in self._buffered_partitions:
                return
            with suppress(IllegalStateError):  # revoked this moment
                self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            last = batches[-1].offsets[-1]
            if (self._read_offset[tp] or 0) > last:  # a topic made anew begins at zero
                self._read_offset[tp] = self._committed_offset[tp] = None
            self._in_flight[tp].append(last)
            self._read_up_to.pop(tp, None)
            yield tp, _message(tp, last, batches, generation_id)
        if self.flow_active and self.app.consumer_generation_id == generation_id:
            self._read_up_to.update(positions)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Where every partition goes on. Faust asks after each recovery, before it lets records through."""
        assigned = self.assignment()
        self._forget(list(self._in_flight) + list(self._read_up_to))
        own = {tp: offset for tp, offset in self.app.positions().items() if tp in assigned}  # type: ignore[attr-defined]  # our App
        committed: dict[Any, int] = {}
        if others := [TopicPartition(*tp) for tp in assigned if tp not in own]:
            consumer = self._thread._ensure_consumer()  # noqa: SLF001
            committed = await self._thread.call_thread(consumer.seek_to_committed, *others)
            # without a committed offset it would stay past records that a rebalance threw away
            if fresh := [tp for tp, offset in committed.items() if not offset]:
                await self._thread.seek_to_beginning(*fresh)
        if own:
            await self.seek_wait(own)
        return {**{ensure_TP(tp): offset for tp, offset in committed.items()}, **own}

    async def perform_seek(self) -> None:
        """Go on where `seek_to_committed` says."""
        for tp, offset in (await self.seek_to_committed()).items():
            self._read_offset[tp] = self._committed_offset[tp] = offset or None

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Gaps lie inside messages."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        enabled = self.app.topics.acks_enabled_for
        tps = [tp for tp in {*self._in_flight, *self._read_up_to} if enabled(tp.topic)]
        return (tp for tp in tps if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        """The offset that may be committed: behind the last message of an unbroken row of acknowledged ones."""
        acked, in_flight, new = self._acked_index[tp], self._in_flight[tp], None
        while in_flight and in_flight[0] in acked:
            last = in_flight.popleft()
            acked.discard(last)
            new = last + 1
        self._acked[tp][:] = acked
        return new if in_flight else self._read_up_to.get(tp, new)

    def _should_commit(self, tp: TP, offset: int) -> bool:
        return offset != self._committed_offset[tp]  # lower ones too: a topic made anew begins at zero


def _message(tp: TP, last: int, batches: list[Any], generation_id: int) -> ConsumerMessage:
    return ConsumerMessage(
        tp.topic,
        tp.partition,
        last,
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
    """Faust's, with our consumer."""

    Consumer = Consumer

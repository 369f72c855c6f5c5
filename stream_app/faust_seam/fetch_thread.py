"""The thread that Faust's consumer fetches in, and takes part in its consumer group.

Beside `transport`, whose messages are its fetches. Invariant: records, positions and the number of seeks of a fetch are of one moment.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service

from stream_app.clients.waiting import passes, until_kafka_answers
from stream_app.kafka.read_records import ReadRecords
from stream_app.trouble import Trouble

log = logging.getLogger(__name__)

_FAILED_S = 1.0  # rest after a fetch that failed
_GROUP_S = 1.0  # between two looks at whether the consumer still takes part in its group
_QUIET_S = 30.0  # between two lines that it does not
_FETCH_WAIT_MS = 100  # a waiting fetch holds up partitions that had records when it was sent; Faust fixes 1,500
_QUIET_WAIT_MS = 500  # where none has any, each of them ends the wait
_QUIET_FETCHES = 5  # without a record, one after the other


class Fetched(NamedTuple):
    """The outcome of a fetch: batches by partition, the consumer's positions right behind them; partitions that lost what was read of them."""

    records: dict[TP, list[Any]]
    positions: dict[TP, int]
    epoch: int
    back: frozenset[TP]


class FetchThread(driver.AIOKafkaConsumerThread):
    """The thread that fetches. `epoch` counts its seeks: what was fetched in an earlier one is not what the partitions go on with."""

    epoch = 0
    _empty = 0  # fetches without a record, since the last with one

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read = ReadRecords(self.consumer.app.lost)  # type: ignore[attr-defined]  # our App
        self._committed: dict[TopicPartition, OffsetAndMetadata] = {}  # as the group has it
        self._seeking = asyncio.Lock()  # the thread works on two calls at a time

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
        """Seek every partition, to where its owner says or to the committed offset, else to its beginning; the committed ones.

        Seeks end in the order that they were asked for in. One of before an owner came takes its partition to the committed offset; were it the last,
        the owner would wait for ever for the frame before that, and drop all others.
        """
        return await self.call_thread(self._seek_all, self._ensure_consumer(), own)  # type: ignore[no-any-return]

    async def _seek_all(self, consumer: Any, own: Mapping[TP, int]) -> dict[TP, int | None]:
        async with self._seeking:
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

"""Ingest: source records into the events topic, by operator; clock records, by time. Stateless and at least once.

What is taken is acknowledged when Kafka has it, good records in the events topic, bad ones in the dead letters. An event that the ledger may
reject as too late carries its source record along, so that its dead letter holds the value as it came. Nothing is taken while this machine's clock
is off the broker's: it decides what lies in the future.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from stream_app.domain.events import ENTITIES, PARTITIONS_MAX, TIME, TIMESTAMP, SourceEvents
from stream_app.domain.local_time import QUARTER_MS, retained_from, zone
from stream_app.formats.frames import EncodedPart, FramePart, Raws, clock_frame, frames, frames_of_encoded, probe_frame
from stream_app.formats.limits import KEY_BYTES_MAX, VALUE_BYTES_MAX, cut
from stream_app.formats.murmur2 import partition_for
from stream_app.ingest.broker_clock import BrokerClock
from stream_app.ingest.metrics import IngestMetrics
from stream_app.ingest.schemas import NoSchemas, Schemas
from stream_app.ingest.traces import begun, carried_on
from stream_app.kernel.source_records import SourceRecordsReader, Taken
from stream_app.ports.kafka import Appender
from stream_app.ports.records import NO_TIMESTAMP, Batch, RecordFields
from stream_app.ports.tracing import Span, Tracing, ending
from stream_app.sinks.dead_letters import dead_letter
from stream_app.sources import FUTURE_MS, read, wire
from stream_app.sources.mapped import ByKind
from stream_app.sources.registry import CUSTOMER_GROUPS, PAYMENTS, SESSIONS, MappedTopic, SourceTopic
from stream_app.sources.wire import Known

log = logging.getLogger(__name__)

_CHUNK = 4000  # records decoded without letting other work in: some 20 ms
_time = itemgetter(TIME)
_partition_of = lru_cache(20_000)(partition_for)  # of operators, whose records come again and again
_MARGIN = 3 * 96  # quarter hours: more than zones, clocks and delays differ
_CLOCK_POLL_S = 0.5
_NATIVE = {SESSIONS, PAYMENTS, CUSTOMER_GROUPS}  # source topics that `reader` knows, beside simple maps


class NotTakenError(Exception):
    """Ingest was stopped while records waited for a clock that is right, or for a schema: they are still to be taken."""


class IngestConf(NamedTuple):
    """Names of topics, and rules. `sources`: source topics by their names in Kafka."""

    sources: Mapping[str, SourceTopic]
    events: str
    events_partitions: int
    dead_letters: str
    ocpi_operators: Mapping[str, str]
    retention_months: int
    stream_clock: bool
    clock_skew_ms_max: int
    again: bool = False  # the records were read before: what can't be used of them has its dead letter


class Ingest:
    """One worker's ingest. `appender` writes to the events topic and the dead letters; `now`: the wall clock, seconds; `schemas`: of a schema registry.

    `tracing`: where traces are followed. `reader`: of the native library, which takes what most records are; without it all are read in Python, with the
    same outcome. `waiting`: (topic, partition) of those of whose records a schema is waited for.
    """

    def __init__(
        self,
        conf: IngestConf,
        appender: Appender,
        now: Callable[[], float] = time.time,
        metrics: IngestMetrics | None = None,
        schemas: Schemas | None = None,
        tracing: Tracing | None = None,
        reader: SourceRecordsReader | None = None,
    ) -> None:
        self._conf, self._appender, self._tracing = conf, appender, tracing
        # With a clock of the stream any event may be the first one that is too late, and one that is read again has rules of its own.
        self._reader = None if conf.stream_clock or conf.again else reader
        self._schemas = schemas or NoSchemas()
        self.waiting: set[tuple[str, int]] = set()
        self._metrics = metrics or IngestMetrics(conf.sources)
        self._clock = BrokerClock(self._broker_ms, conf.clock_skew_ms_max, now)
        self._clock_written = 0  # quarter hours
        self._dead_partitions = 0
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Connect."""
        await self._appender.start()
        self._dead_partitions = await self._appender.partitions(self._conf.dead_letters)

    def refuse(self) -> None:
        """Wait no more for a clock that is right, nor for schemas: what waits for one `Raises` NotTakenError."""
        self._stopping.set()

    async def stop(self) -> None:
        """Disconnect."""
        await self._appender.stop()

    # -- records

    def lacks(self, topic: str, batches: Sequence[Batch]) -> bool:
        """Whether a schema of these records has to be asked for."""
        return self._conf.sources[topic].uses_schemas and self._schemas.lacks(_ids(batches))

    async def learn(self, topic: str, partition: int, batches: Sequence[Batch]) -> None:
        """Back when the schemas of these records are known, however long their registry is away. `Raises` NotTakenError."""
        self.waiting.add((topic, partition))
        try:
            await self._known(_ids(batches))
        finally:
            self.waiting.discard((topic, partition))

    async def _known(self, ids: set[int]) -> Known:
        if not self._schemas.lacks(ids):
            return await self._schemas.of(ids)
        asking, stopping = asyncio.ensure_future(self._schemas.of(ids)), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((asking, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise NotTakenError
            return await asking
        finally:
            asking.cancel()
            stopping.cancel()

    async def take(self, topic: str, partition: int, batches: Sequence[Batch]) -> None:
        """Append what the records of one source partition say; back when Kafka has all of it. `Raises` NotTakenError."""
        whole = Batch.joined(batches)  # a producer that does not linger makes batches of one record
        for start in range(0, len(whole), _CHUNK):
            chunk = whole if len(whole) <= _CHUNK else whole.cut(slice(start, start + _CHUNK))
            await self._take(topic, partition, chunk)

    async def _take(self, topic: str, partition: int, batch: Batch) -> None:
        source, now_ms = self._conf.sources[topic], await self._right_now_ms()
        spans = (
            begun(self._tracing, topic, partition, batch.offsets, batch.headers)
            if self._tracing and batch.headers
            else {}
        )
        records: dict[tuple[str, int], list[RecordFields]] = {}
        schemas = await self._known(wire.ids(batch.values)) if source.uses_schemas else wire.NONE_KNOWN
        rest, unknown_energy = batch, 0
        if not spans and (taken := self._natively(source, batch, partition, now_ms, schemas)) is not None:
            rest, unknown_energy = batch.picked(taken.left), taken.unknown_energy
            for at, encoded in self._by_partition(taken).items():
                records[self._conf.events, at] = [(None, frame, []) for frame in frames_of_encoded(encoded)]
        found = read(
            source,
            rest.values,
            rest.offsets,
            rest.timestamps,
            partition,
            now_ms=now_ms,
            ocpi_operators=self._conf.ocpi_operators,
            schemas=schemas,
        )
        for index, rejection in () if self._conf.again else found.rejections:
            letter = dead_letter(
                topic, partition, rest.offsets[index], rest.keys[index], rest.values[index], rejection, now_ms
            )
            at = partition_for(letter.key, self._dead_partitions)
            records.setdefault((self._conf.dead_letters, at), []).append(letter)
            if index in spans:
                spans[index].fail(rejection.reason)
        self._add_frames(records, found.by_kind, rest, spans, now_ms)
        clock = self._stream_clock(found.by_kind)
        for at in range(self._conf.events_partitions) if clock else ():
            records.setdefault((self._conf.events, at), []).append((None, clock_frame(clock), []))
        with ending(spans.values()):
            await self._appender.append(records)
        self._clock_written = max(self._clock_written, clock)
        self._metrics.count(topic, len(batch), len(found.rejections), found.by_kind, unknown_energy)

    def _add_frames(
        self,
        records: dict[tuple[str, int], list[RecordFields]],
        by_kind: ByKind,
        batch: Batch,
        spans: Mapping[int, Span],
        now_ms: int,
    ) -> None:
        """The frames of what Python has read, to the partitions of its operators; with the traces that they carry on."""
        parts: dict[int, list[FramePart]] = {}
        order: dict[int, list[tuple[str, list[int]]]] = {}
        for kind, by_operator in by_kind.items():
            old = None if self._conf.again else self._old(kind, now_ms)
            for operator, part in by_operator.items():
                if self._conf.again and kind in ENTITIES:
                    part = _not_in_the_future(part)  # noqa: PLW2901  # the others of it
                at = partition_for(operator.encode(), self._conf.events_partitions)
                raws = {} if old is None else _raws(part, old, batch.keys, batch.values)
                ids = [entity.encode() for entity in part.ids]
                parts.setdefault(at, []).append(FramePart(operator, kind, ids, part.rows, raws, self._conf.again))
                if spans:
                    order.setdefault(at, []).append((operator, part.indexes))
        for at, some in parts.items():
            made = list(frames(some))
            headers = carried_on(spans, order[at], made) if spans else [[] for _ in made]
            own = records.setdefault((self._conf.events, at), [])
            own += [(None, *frame) for frame in zip(made, headers, strict=True)]

    def _natively(self, source: SourceTopic, batch: Batch, partition: int, now_ms: int, schemas: Known) -> Taken | None:
        """What the native library takes of these records; None where it is not asked. What may be too late is left: it carries its source record."""
        if self._reader is None:
            return None
        of_values = batch.values, batch.offsets, batch.timestamps, source.number * PARTITIONS_MAX + partition
        old, latest_ms = self._old(source.kind, now_ms), now_ms + FUTURE_MS
        oldest_ms = 0 if old is None else old * QUARTER_MS
        if isinstance(source, MappedTopic):
            program = source.map_reader.program(schemas)
            if program is None:
                return None
            return self._reader.read_mapped(program, *of_values, oldest_ms=oldest_ms, latest_ms=latest_ms)
        if source not in _NATIVE:
            return None
        return self._reader.read(source.kind, *of_values, oldest_ms=oldest_ms, latest_ms=latest_ms)

    def _by_partition(self, taken: Taken) -> dict[int, list[EncodedPart]]:
        """Parts by the events partition of their operators."""
        parts: dict[int, list[EncodedPart]] = {}
        for operator, part in taken.parts:
            parts.setdefault(_partition_of(operator, self._conf.events_partitions), []).append(part)
        return parts

    def _stream_clock(self, by_kind: Mapping[int, Mapping[str, SourceEvents]]) -> int:
        """The event time that is to be written with these events, behind them; 0: none.

        With them, so that records that are acknowledged have moved the time, whatever ends the worker then.
        """
        if not self._conf.stream_clock or self._conf.again:
            return 0
        parts = [part for kind, some in by_kind.items() if kind in ENTITIES for part in some.values()]
        latest = max((row[TIME] for part in parts for row in part.rows), default=0)
        return latest if latest > self._clock_written else 0

    def _old(self, kind: int, now_ms: int) -> int | None:
        """Before which time an event may be too late for the ledger; None where time does not matter."""
        if kind not in ENTITIES:
            return None
        if self._conf.stream_clock:  # other workers may be further on
            return 1 << 62
        return retained_from(zone("UTC"), now_ms // QUARTER_MS, self._conf.retention_months)[1] + _MARGIN

    def lost(self, partition: tuple[str, int], first: int, end: int) -> None:
        """Say that Kafka has lost source records that it had acknowledged and that were read: (topic, partition), the first offset and the end."""
        if first < end:
            log.error(
                "%s/%d has lost records that Kafka had acknowledged: those at offsets %d to %d were read, and are gone. What comes in their place is "
                "read, too; what was lost stays counted: see docs/operating.md, What happens when",
                *partition,
                first,
                end - 1,
            )
            self._metrics.count_lost(partition[0], end - first)

    # -- time

    async def run_clock(self) -> None:
        """Write clock records for ever, of the wall clock: when a quarter of an hour has passed. With a stream clock those go with events."""
        while True:
            now_ms = await self._clock.now_ms()
            if now_ms is not None and (now := now_ms // QUARTER_MS) > self._clock_written:
                frame: RecordFields = (None, clock_frame(now), [])
                partitions = range(self._conf.events_partitions)
                await self._appender.append({(self._conf.events, at): [frame] for at in partitions})
                self._clock_written = now
            await asyncio.sleep(_CLOCK_POLL_S)

    async def _right_now_ms(self) -> int:
        """The time, once this machine's clock is right. `Raises` NotTakenError."""
        while (now_ms := await self._clock.now_ms()) is None:
            if self._stopping.is_set():
                raise NotTakenError
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _CLOCK_POLL_S)
        return now_ms

    async def _broker_ms(self) -> int | None:
        """The time of the broker, which stamps the events topic."""
        return await self._appender.append({(self._conf.events, 0): [(None, probe_frame(), [])]})


def _ids(batches: Sequence[Batch]) -> set[int]:
    return {number for batch in batches for number in wire.ids(batch.values)}


def _not_in_the_future(part: SourceEvents) -> SourceEvents:
    """Without events that were rejected as in the future when they were read first, as far as Kafka's timestamp tells when that was."""
    kept = [
        i
        for i, row in enumerate(part.rows)
        if row[TIMESTAMP] == NO_TIMESTAMP or row[TIME] * QUARTER_MS <= row[TIMESTAMP] + FUTURE_MS
    ]
    return SourceEvents([part.ids[i] for i in kept], [part.rows[i] for i in kept], [part.indexes[i] for i in kept])


def _raws(part: SourceEvents, old: int, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> Raws:
    if min(map(_time, part.rows), default=old) >= old:  # as nearly always
        return {}
    return {
        i: [cut(keys[index], KEY_BYTES_MAX), cut(values[index], VALUE_BYTES_MAX)]
        for i, (row, index) in enumerate(zip(part.rows, part.indexes, strict=True))
        if row[TIME] < old
    }

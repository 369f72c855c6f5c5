"""The state of a partition: from frames to what a transaction holds, the ledger between bytes and bytes.

No I/O but the store's reads.

Invariant: `freeze` gives, for one offset, the changed rows with the position they stand for, the records of results
topics and dead letters, and what sinks must copy: all of one state, made without letting anything in between.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from stream_app.domain import probe
from stream_app.domain.cells import CellKey
from stream_app.domain.events import DecodedEvents, Events
from stream_app.domain.ledger import Frozen, Ledger
from stream_app.domain.steps import outcome
from stream_app.domain.tables import TABLES, Table
from stream_app.formats import rows
from stream_app.formats.frames import FramePart, UnreadPart, decode_frame, read_frame
from stream_app.formats.rows import Position, version_of
from stream_app.kernel.upserts import new_upserts
from stream_app.partition.apart import OperatorsApart
from stream_app.partition.conf import Conf
from stream_app.partition.frozen_rows import FrozenRows, encoding
from stream_app.partition.outbox import Outbox, Records, shown
from stream_app.partition.past_cells import PastCells
from stream_app.partition.traces import Traces
from stream_app.ports.sinks import Dirty
from stream_app.ports.tracing import Span, Tracing

_SWEEP_ROWS = 200
_APART_ROWS = 5_000  # entities of an operator that is counted anew beside the others: fewer take some 40 ms


class Tick(NamedTuple):
    """What one transaction holds, and what follows from it.

    `offset`: up to which the rows hold everything. `published`: the one up to which results topics do, or None.
    """

    rows: dict[bytes, bytes]
    records: Records
    offset: int
    published: int | None
    dirty: Dirty
    spans: Sequence[Span] = ()  # of what it sends


class PartitionState:
    """The ledger of one partition. `position`: what its rows stand for.

    `read`: the offset to read next. `applied`: the one behind the last frame of which anything is applied, which is beyond
    `read` where an earlier owner had operators apart; `apart`: those that are now. `last_frame`, `frame_before`: checksums of
    the last two frames below `read`, which the caller knows. `must_freeze`: nothing is applied before the next freeze.

    A muted one, of a generation that is being built beside the one that serves, publishes nothing until it is unmuted:
    no results, no dead letters. It keeps the dead letters of the last frames, since they are its to send if the serving
    generation never applied those.

    `keeps_past` holds cells that leave retention for the sink that keeps them for ever: not of one that is built from an
    events topic whose beginning is gone, since months of it may be counted in part.
    """

    def __init__(
        self,
        conf: Conf,
        partition: int,
        frozen: FrozenRows,
        position: Position,
        partitions: dict[str, int],
        *,
        muted: bool = False,
        keeps_past: bool = True,
        tracing: Tracing | None = None,
    ) -> None:
        self._conf, self.partition, self._rows, self.position = conf, partition, frozen, position
        frozen.find_pieces()
        upserts = new_upserts(frozen.load) if conf.native else None
        self._ledger = Ledger(frozen, conf.ledger, position.now, upserts=upserts)
        self._read = decode_frame if upserts is None else read_frame
        self._outbox = Outbox(conf, partition, partitions)
        self.muted = muted
        self._past = PastCells(frozen, partition) if keeps_past else None
        self._sweeping: tuple[str, tuple[bytes, str] | None] | None = None
        self.changed = False  # since the last freeze
        self.events = 0  # applied since the start
        self.read, self.last_frame, self.frame_before = position.offset, position.last_frame, 0
        self.applied = self._first = position.applied
        self._kept: tuple[int | None, Sequence[Events]] | None = None  # what is not applied yet of the last frame
        self.must_freeze = False
        self.apart = OperatorsApart(frozen, conf.ledger, position)
        self.traces: Traces | None = None
        if tracing is not None:
            (row,) = frozen.load([rows.TRACES])
            self.traces = Traces(tracing, conf.topics.events, partition, row, position.offset)
        if not muted:
            self._recall()

    def _recall(self) -> None:
        """Cells that an earlier owner changed, and did not publish. None, if it published all up to its position."""
        published = self.position.published
        if published >= version_of(self._conf.generation, self.applied):
            return
        self._outbox.recall(self._rows, self._ledger.work.operators.keys() - {probe.OPERATOR}, published)

    @property
    def unpublished(self) -> bool:
        """Is there something for the results topics, of what was frozen?"""
        return self._outbox.has_cells

    @property
    def cells(self) -> int:
        """How many cells have changed since the last freeze."""
        return sum(map(len, self._ledger.work.cells.values()))

    # -- applying

    def apply(self, frames: Sequence[bytes]) -> None:
        """Apply the frames that follow. `Raises` FrameError; then this state must be dropped."""
        for _ in self.applying(frames):
            pass

    def applying(self, frames: Sequence[bytes]) -> Generator[None, None, int]:
        """Apply the frames that follow, in steps: changed groups take long. Nothing may be frozen or tidied between them.

        Returns how many: where an operator is apart from the next one on, what was applied must be frozen first.
        """
        decoded = [_events(*self._read(frame)) for frame in frames]
        own: list[tuple[int | None, list[Events]]] = []
        for index, (clock, parts) in enumerate(decoded):
            if self.apart and clock is not None and clock > self._ledger.work.now:  # it moves all operators
                yield from self._apply(own)
                own = []
                yield from self._rejoin()
            begin = [part.operator for part in parts if self._takes_long(part)]
            if begin and (self.changed or index):
                decoded, self.must_freeze = decoded[:index], True
                break
            for name in begin:
                self._begin_apart(name)
            rest = self.apart.hold(self.read, parts)
            own.append((clock, rest if self.read >= self.applied else []))  # else an earlier owner has applied it
            self.read += 1
            self.events += sum(part.count for part in parts)
        yield from self._apply(own)
        self.must_freeze = self.must_freeze and self.changed
        return len(decoded)

    def _apply(self, frames: Sequence[tuple[int | None, Sequence[Events]]]) -> Iterator[None]:
        """Apply what was read; as long as operators are apart, all but the last frame: their own rows need a later version than all before."""
        if self._kept is not None:
            frames, self._kept = [self._kept, *frames], None
        if self.apart and frames:
            *frames, self._kept = frames
        yield from self._ledger.applying(frames)
        self.applied = max(self.applied, self.read - (self._kept is not None))
        self._outbox.reject(self._ledger.late, self.applied)
        self.changed = self.changed or bool(frames)

    def _takes_long(self, part: Events) -> bool:
        """Should the operator be apart from these events on? Not while nobody sees the results of the others."""
        if self.muted or self.read < self.applied or part.operator in self.apart or not self._ledger.rezones(part):
            return False
        found = self._rows.scan(rows.entities_prefix(part.operator))
        return sum(1 for _ in islice(found, _APART_ROWS)) == _APART_ROWS

    def _begin_apart(self, name: str) -> None:
        """An operator, of which all is frozen but what the last frame holds, is apart from that one on."""
        self.apart.begin(name, self._ledger.work.now, self.applied, self.last_frame)
        if self._kept is not None:
            clock, parts = self._kept
            self._kept = clock, self.apart.hold(self.applied, parts)

    def rejoining(self) -> Generator[None, None, None]:
        """Take over the operators apart, in steps, once all of them are near to it. Nothing may be frozen or tidied between them."""
        # The frame behind those that an earlier owner had applied is there, too: rows of the place before were shown already.
        is_behind = self.position.ahead is not None and self.read <= self.position.ahead.offset
        if self.apart and self.apart.are_near and not is_behind:
            yield from self._rejoin()

    def _rejoin(self) -> Iterator[None]:
        yield from self.apart.catching_up()
        kept = [] if self._kept is None else [self._kept]
        self._kept = None
        yield from self._ledger.applying(kept)
        self.applied = max(self.applied, self.read)
        self._outbox.reject(self._ledger.late, self.applied)
        for name, ledger, late in self.apart.end():
            self._ledger.take_over(ledger, name)
            self._outbox.reject(late, self.applied)
        self.changed = True

    @property
    def complete(self) -> int:
        """The offset up to which all operators hold everything."""
        return self.apart.complete(self.applied, self.last_frame)[0]

    def tidy(self) -> bool:
        """Renew the cells of an operator, or delete a few rows past retention; False when there is nothing to do."""
        if self.apart:
            return False
        if self.applied > self._first:  # else cells would change under a version that an earlier owner has shown
            for operator in self._ledger.outdated():
                self._ledger.renew(operator, version_of(self._conf.generation, self.applied))
                self.changed = True
                return True
        if self._sweeping is None:
            unswept = self._ledger.unswept()
            if not unswept:
                return False
            self._sweeping = unswept[0], None
        operator, after = self._sweeping
        after = self._ledger.sweep(operator, after, _SWEEP_ROWS)
        self._sweeping = None if after is None else (operator, after)
        self.changed = True
        return True

    # -- freezing

    def freeze(self, as_of_ms: int, *, publish: bool) -> Tick:
        """All that changed since the last freeze, as one transaction."""
        return outcome(self.freezing(as_of_ms, publish=publish))

    def freezing(self, as_of_ms: int, *, publish: bool) -> Generator[None, None, Tick]:
        """The same in steps, for what is large; nothing may be applied or tidied between them.

        With `publish` it holds the results topics' records of all cells that changed since those were last published.
        """
        version = version_of(self._conf.generation, self.applied)
        frozen = yield from self._ledger.freezing(version, as_of_ms)
        self.changed = self.must_freeze = False
        records: Records = {}
        if not self.muted:
            yield from self._show(frozen, records, version, as_of_ms, publish=publish)
        self._move_position(as_of_ms)
        changes = yield from encoding(frozen)
        if self._past is not None:
            changes |= self._past.changes(shown(frozen.dropped))
        changes = self._rows.freeze(changes)
        changes[rows.POSITION] = rows.encode_position(self.position)
        published = None if self.unpublished or self.muted else self.complete
        spans: Sequence[Span] = ()
        if self.traces is not None:
            traced, spans = self.traces.frozen(self.position.offset)
            changes |= traced
        return Tick(changes, records, self.complete, published, self._dirty(frozen), spans)

    def _move_position(self, as_of_ms: int) -> None:
        position = self.position
        position.now, position.as_of = self._ledger.work.now, as_of_ms
        if self.read >= self.applied:  # else it stays where the earlier owner left it
            last_frame = self.last_frame if self.read == self.applied else self.frame_before
            position.offset, position.last_frame = self.apart.complete(self.applied, last_frame)
            position.ahead = self.apart.ahead(self.applied, last_frame)

    def _show(
        self,
        frozen: Frozen,
        records: Records,
        version: int,
        as_of_ms: int,
        *,
        publish: bool,
    ) -> Iterator[None]:
        """The records of results topics and dead letters that go with what was frozen."""
        self._outbox.tombstones(shown(frozen.dropped), version, as_of_ms, records)
        yield from self._outbox.changed(frozen.cells)
        if publish:
            yield from self._outbox.publish(self._ledger.work, self.traces, records)
        if not self.unpublished:
            self.position.published = version
            if self.traces is not None:
                self.traces.published(self.apart.__contains__)
        self._outbox.send_letters(records)

    def forget_letters(self, offset: int) -> None:
        """Drop dead letters of events that the serving generation has applied, up to this offset."""
        self._outbox.forget_letters(offset)

    def show(self, cells: Iterable[tuple[Table[Any], CellKey, str]]) -> None:
        """Show cells, those of figures in a currency, from now on, where they are kept: what the serving generation shows goes on to be shown.

        With zeros where nothing counts. Which of those a generation has follows also from how events fell into transactions.
        """
        for table, key, currency in cells:
            self._ledger.show(table, key, currency)
        self.changed = True

    def unmute(self) -> None:
        """Serve from now on: all cells are to be published."""
        self.muted = False
        self._recall()
        self.changed = True

    @property
    def past(self) -> tuple[int, int]:
        """Cells past retention that are held, and that were let go before the sink that keeps them had them."""
        return (len(self._past), self._past.let_go) if self._past is not None else (0, 0)

    def release(self, written: Mapping[str, Iterable[CellKey]]) -> None:
        """The sink that keeps cells for ever has these past retention, by name of table."""
        if self._past is not None and self._past.release(written):
            self.changed = True

    def committed(self) -> None:
        """Note that the store holds the last tick."""
        self._rows.committing = {}

    def _dirty(self, frozen: Frozen) -> Dirty:
        dirty = Dirty({table.name: set(frozen.cells[table.name]) for table in TABLES}, set(frozen.relisted))
        for operator, group in frozen.hidden:
            today = self._ledger.work.operators[operator]
            for table in TABLES:
                dirty.cells[table.name].add(CellKey(operator, group, table.current(today)))
        return dirty


def _events(clock: int | None, parts: Sequence[FramePart | UnreadPart]) -> tuple[int | None, Sequence[Events]]:
    return clock, [_decoded(part) if isinstance(part, FramePart) else part for part in parts]


def _decoded(part: FramePart) -> Events:
    operator, kind, ids, found, raws, again = part
    return DecodedEvents(operator, kind, ids, rows.entity_keys(operator, kind, ids), found, raws, again)

"""Records of a topic with a map -> rows of our own kinds: what `decode` is for the topics of the contract.

The map makes the fields of the contract of a record, and the rules of the contract have the last word on them (`canonical`). One value may say something of
several entities of several kinds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, Never

from stream_app.domain.errors import Reason as Unusable
from stream_app.domain.errors import Rejection
from stream_app.domain.events import CDR, GROUP, MEMBERSHIP, OPERATOR, PAYMENT, SESSION, VERSION, Row, SourceEvents
from stream_app.ports.map_program import MapProgram
from stream_app.sources import compiled, envelopes, map_program, ocpi, wire
from stream_app.sources.clean import is_plain
from stream_app.sources.envelopes import Found
from stream_app.sources.events import SOURCES, Event
from stream_app.sources.exact import Fields, UnusableError, shown
from stream_app.sources.limits import BYTES_MAX, too_large
from stream_app.sources.lookups import DOUBTS
from stream_app.sources.maps import map_file as m
from stream_app.sources.maps.cells import Reason, RefusedError, epoch_ms
from stream_app.sources.maps.paths import ROOT, as_text, steps, walk
from stream_app.sources.maps.sections import Said, Sections
from stream_app.sources.maps.values import Refusal
from stream_app.sources.records import Source
from stream_app.sources.wire import Known

_UNUSABLE: Final = {
    Reason.NOT_A_TEXT: Unusable.WRONG_TYPE,
    Reason.EMPTY: Unusable.MISSING_FIELD,
    Reason.WRONG_ENCODING: Unusable.BAD_ID,
    Reason.BAD_ID: Unusable.BAD_ID,
    Reason.BAD_TIME: Unusable.BAD_TIME,
    Reason.BAD_NUMBER: Unusable.WRONG_TYPE,
    Reason.TOO_MANY_DIGITS: Unusable.OUT_OF_RANGE,
    Reason.OUT_OF_RANGE: Unusable.OUT_OF_RANGE,
    Reason.UNKNOWN_STATUS: Unusable.UNKNOWN_STATUS,
    Reason.UNKNOWN_CURRENCY: Unusable.UNKNOWN_CURRENCY,
    Reason.OTHER_CURRENCY: Unusable.UNKNOWN_CURRENCY,
    Reason.UNKNOWN_ZONE: Unusable.UNKNOWN_ZONE,
    Reason.RESERVED_GROUP: Unusable.RESERVED_GROUP,
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES: Final = {SESSION: "session_id", PAYMENT: "payment_id", MEMBERSHIP: "customer_id"}
_DELETED: Final = "; of a deleted row, Debezium tells all columns only with REPLICA IDENTITY FULL in PostgreSQL and binlog_row_image=FULL in MySQL"
Append = tuple[Callable[[str], None], Callable[[Row], None], Callable[[int], None]]
ByKind = dict[int, dict[str, SourceEvents]]  # kind of events -> operator -> events


class Stamp(NamedTuple):
    """Where a value stands in Kafka. `partition`: numbered on over the topics of a kind."""

    timestamp: int
    offset: int
    partition: int


class TopicReader:
    """A map of a topic, made ready to read values."""

    def __init__(self, map_: m.TopicMap) -> None:
        self.map = map_
        sections = {
            OPERATOR: map_.operator,
            GROUP: map_.group,
            MEMBERSHIP: map_.groups,
            SESSION: map_.session,
            PAYMENT: map_.payment,
            CDR: map_.cdr,
        }
        self.kinds = tuple(kind for kind, section in sections.items() if section)
        self._sections = Sections(map_, _cell, _items)
        self._places = m.by_key(map_)
        self._program = map_program.program(map_)
        self.read = compiled.reader(map_)  # the fast way, if it has one that is the same for all settings
        self._cdr_reader = compiled.cdr_reader(map_.topic) if map_.cdr else None
        self.uses_schemas = map_.topic.format in wire.FORMATS
        self._by_schema: dict[wire.Schema, compiled.Read | None] = {}

    def program(self, schemas: Known) -> MapProgram | None:
        """For the native library, if the map is one that it knows, and some of the schemas that have been seen, in a topic by schemas."""
        return None if self._program is None else self._program.of(schemas)

    def fast(self, ocpi_operators: Mapping[str, str]) -> compiled.Read | None:
        """The fast way, if the map has one."""
        return self._cdr_reader(ocpi_operators) if self._cdr_reader else self.read

    def by_schema(self, schemas: Known) -> dict[bytes, compiled.Read] | None:
        """The fast way of each schema by what values of it begin with; None where one has none, so that values are to be opened first."""
        found = {}
        for number, schema in schemas.items():
            if schema is None or schema.format != self.map.topic.format:
                continue
            if schema not in self._by_schema:
                self._by_schema[schema] = compiled.reader(self.map, schema.objects) if schema.objects else None
            read = self._by_schema[schema]
            if read is None:
                return None
            found[wire.header(number)] = read
        return found

    def opened(self, value: bytes | None, schemas: Known, *more: Any) -> tuple[list[Event], Rejection | None]:
        """The same as `exact`, of a value by a schema."""
        (opened,), refused = wire.opened(self.map.topic.format, [value], schemas)
        return ([], refused[0]) if refused else self.exact(opened, *more)

    def exact(
        self, value: bytes | None, stamp: Stamp, latest_ms: int, ocpi_operators: Mapping[str, str]
    ) -> tuple[list[Event], Rejection | None]:
        """What the records of a value say, and why those that can't be used can't be: each record by itself. Raises nothing."""
        events: dict[tuple[int, str, str], Event] = {}
        refused: list[tuple[int, Rejection]] = []
        count = 0
        try:
            for found in envelopes.found(self.map.topic, value):
                count += 1
                try:
                    some = list(self._events(found, stamp, latest_ms, ocpi_operators))
                except UnusableError as error:
                    refused.append((count, error.rejection))
                    continue
                for event in some:
                    key = event[:3]
                    other = events.get(key)  # of an entity twice in a value, whose stamps differ in the version at most
                    if other is None or event.row[VERSION] >= other.row[VERSION]:
                        events[key] = event
        except UnusableError as error:
            refused.append((count + 1, error.rejection))
        return list(events.values()), _joined(refused, count)

    def _events(self, found: Found, stamp: Stamp, latest_ms: int, ocpi_operators: Mapping[str, str]) -> Iterator[Event]:
        """What a record says. `Raises` UnusableError."""
        if self.map.cdr:
            if found.is_deleted or type(found.record) is not dict:
                what = "deleted" if found.is_deleted else shown(found.record)
                raise UnusableError(Unusable.WRONG_TYPE, f"the record is {what}, must be a CDR object")
            yield _event(CDR, ocpi.source(ocpi_operators), found.record, stamp, latest_ms)
            return
        if type(found.record) not in (dict, list):
            raise UnusableError(Unusable.WRONG_TYPE, f"the record is {shown(found.record)}, must be an object")
        at = _EPOCH + timedelta(milliseconds=found.at_ms if found.at_ms is not None else max(stamp.timestamp, 0))
        said = self._sections.taken_back(found, at) if found.is_deleted else self._sections.said(found)
        if isinstance(said, Refusal):
            hint = _DELETED if found.is_deleted else ""
            places = ", ".join(self._places.get(said.key, ["a constant"]))
            detail = f"by the map's {said.key} ({places}): {said.detail}, {said.reason.value}{hint}"
            raise UnusableError(_UNUSABLE[said.reason], detail)
        if found.was is not None:
            yield from self._no_more(found, at, said, stamp, latest_ms)
        for each in said:
            yield _event(each.kind, SOURCES[each.kind], _plain(each.fields), stamp, latest_ms)

    def _no_more(
        self, found: Found, at: datetime, said: Sequence[Said], stamp: Stamp, latest_ms: int
    ) -> Iterator[Event]:
        """What the row before the change said, and the changed one does not: it was moved to another id or operator, or is excluded now."""
        before = self._sections.taken_back(found._replace(record=found.was), at)
        if isinstance(before, Refusal):
            return  # not all of the row before is told
        names = {(each.kind, each.operator, each.fields[_NAMES[each.kind]]) for each in said if each.kind in _NAMES}
        for each in before:
            if (each.kind, each.operator, each.fields[_NAMES[each.kind]]) not in names:
                with suppress(UnusableError):  # the row before could not be used, and counts nowhere
                    yield _event(each.kind, SOURCES[each.kind], _plain(each.fields), stamp, latest_ms)


def _event(kind: int, source: Source, fields: dict[str, Any], stamp: Stamp, latest_ms: int) -> Event:
    record = source.exact(Fields(fields), latest_ms)
    row = source.row(record, stamp.timestamp, stamp.offset, stamp.partition, latest_ms)
    assert row is not None
    if kind in BYTES_MAX and (rejection := too_large(BYTES_MAX[kind], row)):
        raise UnusableError(*rejection)
    return Event(kind, record.operator_id, record.id, row)


def _joined(refused: Sequence[tuple[int, Rejection]], count: int) -> Rejection | None:
    """One rejection for a value: its letter is one."""
    if not refused:
        return None
    at, (reason, detail) = refused[0]
    if count > 1:
        others = f"; so are {len(refused) - 1} others" if len(refused) > 1 else ""
        detail = f"record {at} of {count} is refused{others}: {detail}"
    return Rejection(reason, detail)


def decode_mapped(
    reader: TopicReader,
    values: Sequence[bytes | None],
    offsets: Sequence[int],
    timestamps: Sequence[int],
    partition: int,
    latest_ms: int,
    ocpi_operators: Mapping[str, str],
    schemas: Known = wire.NONE_KNOWN,
) -> tuple[ByKind, list[tuple[int, Rejection]]]:
    """Values of one partition of a topic with a map: rows, and what could not be used by its index in the batch. Raises for no value.

    `schemas`: those of all ids, in a topic by a schema registry.
    """
    out: ByKind = {kind: {} for kind in reader.kinds}
    refused: Mapping[int, Rejection] = {}
    reads = reader.by_schema(schemas) if reader.uses_schemas and values else None  # most often the library has read all
    if reader.uses_schemas and reads is None:
        values, refused = wire.opened(reader.map.topic.format, values, schemas)
    rejections = list(refused.items())
    read, plain = reader.fast(ocpi_operators) or _never, reads is not None or is_plain(values)
    appends: dict[int, dict[str, Append]] = {kind: {} for kind in reader.kinds}
    for index, value, offset, timestamp in zip(range(len(values)), values, offsets, timestamps, strict=True):
        if refused and index in refused:
            continue
        try:
            if reads is not None:
                read = reads[value[: wire.HEADER]]  # type: ignore[index]  # TypeError for a null value
            events = read(value, timestamp, offset, partition, latest_ms)
            if not plain and not compiled.is_clean(value, events):
                raise LookupError  # as the others are raised further down
        except DOUBTS:
            stamp = Stamp(timestamp, offset, partition)
            events, rejection = (
                reader.exact(value, stamp, latest_ms, ocpi_operators)
                if reads is None
                else reader.opened(value, schemas, stamp, latest_ms, ocpi_operators)
            )
            if rejection is not None:
                rejections.append((index, rejection))
        for kind, operator, id_, row in events:
            try:
                add_id, add_row, add_index = appends[kind][operator]
            except KeyError:
                part = out[kind][operator] = SourceEvents([], [], [])
                add_id, add_row, add_index = part.ids.append, part.rows.append, part.indexes.append
                appends[kind][operator] = add_id, add_row, add_index
            add_id(id_)
            add_row(row)
            add_index(index)
    return out, rejections


def _never(*_: object) -> Never:
    raise LookupError


def _cell(found: Found, name: str) -> str:
    value = _at(found, name)
    text = as_text(value)
    if text is None:
        raise RefusedError(Reason.NOT_A_TEXT, f"{name} is {shown(value)}")
    return text


def _items(found: Found, name: str) -> list[str] | None:
    value = _at(found, name)
    if type(value) is not list:
        return None
    texts = [as_text(each) for each in value]
    if None in texts:
        raise RefusedError(Reason.NOT_A_TEXT, f"{name} has {shown(value[texts.index(None)])}")
    return [text for text in texts if text is not None]


def _at(found: Found, name: str) -> Any:
    path = steps(name)
    return walk(found.root, path[1:]) if path[0] == ROOT else walk(found.record, path)


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: epoch_ms(value) if isinstance(value, datetime) else value for name, value in fields.items()}

"""Records of a topic with a map -> rows of our own kinds: what `decode` is for the topics of the contract.

The map makes the fields of the contract of a record, and the rules of the contract have the last word on them (`canonical`). One value may say something of
several entities of several kinds.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from stream_app.domain.errors import Reason as Unusable
from stream_app.domain.errors import Rejection
from stream_app.domain.events import GROUP, MEMBERSHIP, OPERATOR, PAYMENT, SESSION, Row, SourceEvents
from stream_app.sources import canonical
from stream_app.sources.exact import Fields, UnusableError, parse_any, shown
from stream_app.sources.limits import BYTES_MAX, too_large
from stream_app.sources.maps import map_file as m
from stream_app.sources.maps.cells import Reason, RefusedError, epoch_ms
from stream_app.sources.maps.paths import ROOT, as_text, steps, walk
from stream_app.sources.maps.sections import Refusal, Sections
from stream_app.sources.records import Source, SourceRecord

SOURCES: Final[dict[int, Source]] = {
    OPERATOR: canonical.OPERATORS,
    GROUP: canonical.GROUPS,
    MEMBERSHIP: canonical.MEMBERSHIPS,
    SESSION: canonical.SESSIONS,
    PAYMENT: canonical.PAYMENTS,
}
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
ByKind = dict[int, dict[str, SourceEvents]]  # kind of events -> operator -> events


class Found(NamedTuple):
    """A record, and the whole value that it stands in."""

    record: Any
    root: Any


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
        }
        self.kinds = tuple(kind for kind, section in sections.items() if section)
        self._sections = Sections(map_, _cell, _items)

    def exact(
        self, value: bytes | None, timestamp: int, offset: int, partition: int, latest_ms: int
    ) -> list[tuple[int, SourceRecord, Row]]:
        """The usable records of the contract in a value, each with its kind of events and its row. `Raises` UnusableError."""
        data = parse_any(value)
        if type(data) is not dict:
            raise UnusableError(Unusable.NOT_JSON, f"the value is {shown(data)}, must be a JSON object")
        said = self._sections.said(Found(data, data))
        if isinstance(said, Refusal):
            raise UnusableError(_UNUSABLE[said.reason], f"by the map's {said.key}: {said.detail} ({said.reason.value})")
        events = []
        for kind, _, fields in said:
            source = SOURCES[kind]
            record = source.exact(Fields(_plain(fields)), latest_ms)
            row = source.row(record, timestamp, offset, partition, latest_ms)
            assert row is not None
            if kind in BYTES_MAX and (rejection := too_large(BYTES_MAX[kind], value, row)):
                raise UnusableError(*rejection)
            events.append((kind, record, row))
        return events


def decode_mapped(
    reader: TopicReader,
    values: Sequence[bytes | None],
    offsets: Sequence[int],
    timestamps: Sequence[int],
    partition: int,
    latest_ms: int,
) -> tuple[ByKind, list[tuple[int, Rejection]]]:
    """Values of one partition of a topic with a map: rows, and what could not be used by its index in the batch. Raises for no value."""
    out: ByKind = {kind: {} for kind in reader.kinds}
    rejections: list[tuple[int, Rejection]] = []
    for index, value, offset, timestamp in zip(range(len(values)), values, offsets, timestamps, strict=True):
        try:
            events = reader.exact(value, timestamp, offset, partition, latest_ms)
        except UnusableError as error:
            rejections.append((index, error.rejection))
            continue
        for kind, record, row in events:
            parts, operator = out[kind], record.operator_id
            try:
                part = parts[operator]
            except KeyError:
                part = parts[operator] = SourceEvents([], [], [])
            part.ids.append(record.id)
            part.rows.append(row)
            part.indexes.append(index)
    return out, rejections


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

"""Values of a source partition to rows by operator: the door of `sources`, and ingest's hot path.

Each value goes the fast way (msgspec, one call a value: as fast as one call a batch, and no two broken values can pair up into valid
ones). Whatever raises there, or leaves a doubt, goes the exact way, which alone rejects. So the outcome of a value never depends on its
neighbours, and both ways agree on what the fast one accepts.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from stream_app.domain.errors import Rejection
from stream_app.domain.events import PARTITIONS_MAX, Row, SourceEvents
from stream_app.sources.clean import is_clean, is_plain
from stream_app.sources.exact import Fields, UnusableError, parse
from stream_app.sources.limits import BYTES_MAX, too_large
from stream_app.sources.mapped import ByKind, decode_mapped
from stream_app.sources.registry import MappedTopic, SourceTopic
from stream_app.sources.wire import NONE_KNOWN, Known

FUTURE_MS = 86_400_000  # how far ahead of the clock a time may be
_DOUBTS = (msgspec.MsgspecError, RecursionError, TypeError, UnicodeDecodeError)  # TypeError: a tombstone


class Decoded(NamedTuple):
    """Rows by operator, in source order, and what could not be used by its index in the batch."""

    parts: dict[str, SourceEvents]
    rejections: list[tuple[int, Rejection]]


class Read(NamedTuple):
    """Rows by kind of events and operator, in source order, and what could not be used by its index in the batch."""

    by_kind: ByKind
    rejections: list[tuple[int, Rejection]]


def read(
    topic: SourceTopic,
    values: Sequence[bytes | None],
    offsets: Sequence[int],
    timestamps: Sequence[int],
    partition: int,
    *,
    now_ms: int,
    ocpi_operators: Mapping[str, str],
    schemas: Known = NONE_KNOWN,
) -> Read:
    """Values of one partition of any source topic; `schemas`: those of all ids, in a topic by a schema registry. Raises for no value; too late is not known here."""
    if isinstance(topic, MappedTopic):
        at = topic.number * PARTITIONS_MAX + partition
        return Read(
            *decode_mapped(
                topic.map_reader, values, offsets, timestamps, at, now_ms + FUTURE_MS, ocpi_operators, schemas
            )
        )
    found = decode(topic, values, offsets, timestamps, partition, now_ms=now_ms, ocpi_operators=ocpi_operators)
    return Read({topic.kind: found.parts}, found.rejections)


def decode(
    topic: SourceTopic,
    values: Sequence[bytes | None],
    offsets: Sequence[int],
    timestamps: Sequence[int],
    partition: int,
    *,
    now_ms: int,
    ocpi_operators: Mapping[str, str],
) -> Decoded:
    """Values of one partition of a topic of the contract; likewise."""
    source, partition = topic.reader(ocpi_operators), topic.number * PARTITIONS_MAX + partition
    read, make_row, latest_ms, plain = source.read, source.row, now_ms + FUTURE_MS, is_plain(values)
    result, bytes_max = Decoded({}, []), BYTES_MAX.get(topic.kind)
    appends: dict[str, tuple[Callable[[str], None], Callable[[Row], None], Callable[[int], None]]] = {}
    for index, value, offset, timestamp in zip(range(len(values)), values, offsets, timestamps, strict=True):
        try:
            record = read(value)
            row = (
                make_row(record, timestamp, offset, partition, latest_ms)
                if record is not None and (plain or is_clean(source, value, record))
                else None
            )
        except _DOUBTS:
            row = None
        if row is None:
            try:
                record = source.exact(Fields(parse(value)), latest_ms)
            except UnusableError as error:
                result.rejections.append((index, error.rejection))
                continue
            row = make_row(record, timestamp, offset, partition, latest_ms)
            assert row is not None
        if bytes_max and value is not None and len(value) > bytes_max and (rejection := too_large(bytes_max, row)):
            result.rejections.append((index, rejection))
            continue
        operator = record.operator_id
        try:
            add_id, add_row, add_index = appends[operator]
        except KeyError:
            part = result.parts[operator] = SourceEvents([], [], [])
            add_id, add_row, add_index = appends[operator] = part.ids.append, part.rows.append, part.indexes.append
        add_id(record.id)
        add_row(row)
        add_index(index)
    return result

"""The first records of a topic -> rows, by which a first map is guessed: the envelope, the records in it, and what stands where in them.

Under topic_map.py. Invariant: a path of a row leads to that value by the map's own rules. Pure: no I/O.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from stream_app.sources import envelopes, wire
from stream_app.sources.exact import UnusableError, parse_any
from stream_app.sources.maps.map_file import Topic
from stream_app.sources.maps.paths import as_text
from stream_app.sources.wire import Known

_PLAIN_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_DEEPEST, _ITEMS = 6, 4
_RECORDS_OF_A_KEY = 4  # on average; where there are more, a key names something else than an entity: a charging station


class TopicRecord(NamedTuple):
    """A record as Kafka has it."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Table(NamedTuple):
    """Rows of a topic: `header` are paths, each row has the text at each, empty where there is none."""

    topic: Topic
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def table(name: str, number: int, records: Sequence[TopicRecord], schemas: Known) -> Table:
    """The rows of what was read of a topic; of several records of one key the last one where keys tell entities apart, for so shall ids.

    `schemas`: those of a schema registry that values name.
    """
    newest = {record.key if record.key is not None else (record.partition, record.offset): record for record in records}
    told = newest.values() if len(newest) * _RECORDS_OF_A_KEY >= len(records) else records
    values = [record.value for record in told if record.value is not None]
    form = wire.most_common_format(values, schemas)
    if form is not None:
        values = [value for value in wire.opened(form, values, schemas)[0] if value is not None]
    topic = _written_as(name, number, values)
    if form is not None:
        topic = msgspec.structs.replace(topic, format=form)
    rows = [dict(_texts(found.record)) for value in values for found in _found(topic, value)]
    header = list(dict.fromkeys(path for row in rows for path in row))
    return Table(topic, header, [[row.get(path, "") for path in header] for row in rows])


def _found(topic: Topic, value: bytes) -> Iterator[envelopes.Found]:
    try:
        yield from (found for found in envelopes.found(topic, value) if not found.is_deleted)
    except UnusableError:
        return  # what the map makes of it says why


def _written_as(name: str, number: int, values: Sequence[bytes]) -> Topic:
    """The topic as most of its values are written."""
    plain = Topic(name, number)
    tried = [
        *(Topic(name, number, envelope=envelope) for envelope in ("debezium", "cloudevents", "ocpi")),
        Topic(name, number, records="$"),
        plain,
        Topic(name, number, format="json-lines"),
    ]
    best = max(tried, key=lambda topic: sum(_fits(topic, value) for value in values))  # of equals the first
    return best if any(_fits(best, value) for value in values) else plain


def _fits(topic: Topic, value: bytes) -> bool:
    try:
        found = list(envelopes.found(topic, value))
        if topic.envelope == "debezium":
            return all(type(each.record) is dict for each in found)
        if topic.envelope == "ocpi":
            return "status_code" in parse_any(value)
    except UnusableError:
        return False
    known = (dict,) if topic.records else (dict, list)
    return bool(found) and all(type(each.record) in known for each in found)


def _texts(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """The paths of an object or list that lead to a text, a number or nothing; of a long list those of its first items."""
    text = as_text(value)
    if text is not None:
        yield path, text
    elif depth <= _DEEPEST and type(value) is list:
        for at, below in enumerate(value[:_ITEMS]):
            yield from _texts(below, f"{path}[{at}]", depth + 1)
    elif depth <= _DEEPEST:
        for name, below in value.items():
            yield from _texts(below, f"{path}.{_step(name)}" if path else _step(name), depth + 1)


def _step(name: str) -> str:
    return name if name and _PLAIN_NAME.issuperset(name) else json.dumps(name, ensure_ascii=False)

"""The fast way of a map: its paths become types that msgspec parses into, its sections one function that makes records of the contract of them.

Under `mapped`, beside the exact way, which has the last word: whatever is not surely right raises here, and is read again there. So both ways agree on what this
one takes. Maps that say what nobody has in masses, such as times in several formats, have the exact way alone (`reader` gives None).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from stream_app.domain.events import CDR, CUSTOMER, ENTITIES, GROUP_IDS, MEMBERSHIP, SESSION_ID
from stream_app.sources import compiled_lists, ocpi
from stream_app.sources.clean import check_utf_8, has_controls
from stream_app.sources.compiled_sections import SectionsFunction, alone
from stream_app.sources.compiled_values import UncompiledError
from stream_app.sources.events import Event
from stream_app.sources.maps import map_file as m
from stream_app.sources.maps.paths import ROOT, Step, steps
from stream_app.sources.objects import GROUPS, ID, TEXT, VERSION, Moment, Node, Objects

Events = list[Event]
# Of a value, Kafka's timestamp, offset and partition, and the latest time.
Read = Callable[[bytes | None, int, int, int, int], Events]

_PREFIXES: Final[Mapping[str, str | None]] = {"plain": None, "cloudevents": "data", "debezium": "after"}
_PAYLOAD: Final = "payload"  # where the JSON converter of Kafka Connect, with schemas, has the value
_CHANGES: Final = ("c", "u", "r")  # Debezium's: created, updated, read


def reader(map_: m.TopicMap, objects: Objects | None = None) -> Read | None:
    """Values to the rows of the records of the contract in them; None where the map has the exact way alone, or makes CDRs (`cdr_reader`).

    The function takes what is surely right, and raises what DOUBTS of lookups.py names on all else. Of JSON it looks for no control characters in ids, and takes
    bytes that are not UTF-8 in fields that no path names (`is_clean`). `objects`: of values by a schema, of which nothing is left to be looked at.
    """
    if map_.cdr:
        return None
    try:
        return _Reader(map_, objects).read()
    except UncompiledError:
        return None


def cdr_reader(topic: m.Topic) -> Callable[[Mapping[str, str]], Read] | None:
    """The same of a topic whose records are CDRs, once the setting is known that names operators by country and party."""
    try:
        found = compiled_lists.records(topic, ocpi.Wire)
    except UncompiledError:
        return None
    if found is None:
        one = compiled_lists.decoder(ocpi.Wire)
        found = lambda value: (one(value),)  # noqa: E731

    def reader_of(operators: Mapping[str, str]) -> Read:
        def read(value: bytes | None, timestamp: int, offset: int, partition: int, latest_ms: int) -> Events:
            events: Events = []
            for wire in found(value):
                record = ocpi.plain(wire, operators)
                row = None if record is None else ocpi.row(record, timestamp, offset, partition, latest_ms)
                if record is None or row is None:
                    raise LookupError
                events.append(Event(CDR, record.operator_id, record.id, row))
            return alone(events)

        return read

    return reader_of


def is_clean(value: bytes | None, events: Events) -> bool:
    """Whether the ids of what was read so are free of control characters. `Raises` UnicodeDecodeError, also for a field that no path names."""
    check_utf_8(value)
    return not has_controls(text for event in events for text in _ids(Event(*event)))


def _ids(event: Event) -> Iterator[str | None]:
    yield from (event.operator, event.id)
    if event.kind == MEMBERSHIP:
        yield from event.row[GROUP_IDS]
    elif event.kind in ENTITIES:
        yield event.row[CUSTOMER]
        yield from event.row[SESSION_ID : SESSION_ID + 1]


class _Reader:
    def __init__(self, map_: m.TopicMap, objects: Objects | None) -> None:
        self._map, self._objects = map_, objects

    def read(self) -> Read:
        """Compile it. `Raises` UncompiledError."""
        topic, root = self._map.topic, Node()
        prefix = _PREFIXES.get(topic.envelope)
        if prefix and (topic.format == "json-lines" or topic.records):
            raise UncompiledError
        is_one = prefix is not None or (
            topic.envelope == "plain" and topic.format != "json-lines" and not topic.records
        )
        if self._objects and not is_one:
            raise UncompiledError
        types = _types_by_schema(self._map) if self._objects else _types(self._map)
        for name, _ in m.places(self._map):
            path = _absolute(name, prefix)
            if not path or not isinstance(path[0], str) or (not is_one and name.startswith(ROOT)):
                raise UncompiledError
            root.want(path, types.get(name, Any))
        if prefix is not None:
            row = root.fields.get(prefix)
            if not isinstance(row, Node):
                raise UncompiledError
            return self._of_events(root, row) if topic.envelope == "cloudevents" else self._of_changes(root, row)
        found = None if is_one else compiled_lists.records(topic, root.type())
        function = self._function(root, root)
        read: Read = function.of_bytes(self._decoder(root), "r = e") if found is None else function.of_list(found)
        return read

    def _decoder(self, root: Node) -> Callable[[Any], Any]:
        return self._objects(root) if self._objects else compiled_lists.decoder(root.type())

    def _function(self, root: Node, row: Node, *, names_only: bool = False) -> SectionsFunction:
        return SectionsFunction(self._map, root, row, looks_at_ids=self._objects is not None, names_only=names_only)

    def _of_events(self, root: Node, row: Node) -> Read:
        """Of CloudEvents."""
        root.want(("specversion",))
        version, data = root.attribute("specversion"), root.attribute("data")
        lead = f"if e.{version}.__class__ is not str: raise TypeError", f"r = e.{data}"
        read: Read = self._function(root, row).of_bytes(self._decoder(root), *lead)
        return read

    def _of_changes(self, root: Node, row: Node) -> Read:
        """Of Debezium: a row as it was must say nothing that it says no more."""
        root.want(("op",))
        root.fields["before"] = row
        if _PAYLOAD in root.fields:
            raise UncompiledError
        outer = Node({**root.fields, _PAYLOAD: root})  # behind the others: so they are the same attributes in both
        decode, payload = self._decoder(outer), outer.attribute(_PAYLOAD)
        names = self._function(root, row, names_only=True).of_record()
        op, before, after = (root.attribute(name) for name in ("op", "before", "after"))

        def check(change: Any, events: Events, *stamp: int) -> None:
            if not names(change, getattr(change, before), *stamp) <= {event[:3] for event in events}:
                raise LookupError

        read: Read = self._function(root, row).of_bytes(
            decode,
            f"if (wrapped := e.{payload}) is not None and e.{op} is not None: raise TypeError",
            "if wrapped is not None: e = wrapped",
            f"if e.{op} not in {_CHANGES}: raise LookupError",
            f"r = e.{after}",
            check=(f"e.{before} is not None", check),
        )
        return read


def _types(map_: m.TopicMap) -> dict[str, Any]:
    """The types of places that the map reads in one way only."""
    found: dict[str, Any] = {}

    def note(spec: Any, type_: Any) -> None:
        for name in (
            (spec.paths or [spec.name])
            if isinstance(spec, m.Text)
            else [spec.name]
            if isinstance(spec, m.Place)
            else []
        ):
            found[name] = type_ if found.get(name, type_) is type_ else Any

    for spec in (map_.row.operator_id, map_.row.customer_id) if map_.row else ():
        note(spec, Any if spec and spec.values else ID)
    for section in filter(None, (map_.session, map_.payment)):
        for field in section.__struct_fields__:
            spec = getattr(section, field)
            is_id = field in ("session_id", "payment_id") and not spec.values if spec else False
            note(
                spec,
                ID if is_id else TEXT if field in ("status", "currency") else VERSION if field == "version" else Any,
            )
    if map_.groups:
        note(map_.groups.group_ids, GROUPS)
    for name, key in m.places(map_):
        if "where[" in key:
            found[name] = Any
    return found


_TIMES: Final = ("session.started_at", "session.ended_at", "payment.paid_at", "groups.at")


def _types_by_schema(map_: m.TopicMap) -> dict[str, Any]:
    """The types of places that a schema may have a form of its own for."""
    found: dict[str, Any] = {}
    for name, key in m.places(map_):
        type_ = Moment.ANY if key in _TIMES else GROUPS if key == "groups.group_ids" else Any
        found[name] = type_ if found.get(name, type_) is type_ else Any
    return found


def _absolute(name: str, prefix: str | None) -> tuple[Step, ...]:
    path = steps(name)
    if path[0] == ROOT:
        return path[1:]
    return path if prefix is None else (prefix, *path)

"""The fast way of a map: its paths become types that msgspec parses into, its sections one function that makes records of the contract of them.

Under `mapped`, beside the exact way, which has the last word: whatever is not surely right raises here, and is read again there. So both ways agree on what this
one takes. Compiled is what comes in masses: sessions and payments, one record a value; other maps have the exact way alone (`compiled` is None).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from stream_app.domain.events import PAYMENT, SESSION
from stream_app.domain.money import DIGITS
from stream_app.sources.canonical import Payment, Session
from stream_app.sources.compiled_values import GIVEN, UncompiledError, Values
from stream_app.sources.events import SOURCES, Event
from stream_app.sources.exact import Fractional
from stream_app.sources.function_text import FunctionText
from stream_app.sources.maps import map_file as m
from stream_app.sources.maps.paths import ROOT, Step, steps
from stream_app.sources.objects import ID, TEXT, VERSION, Node

Events = list[Event]
# Of a value, Kafka's timestamp, offset and partition, and the latest time.
Read = Callable[[bytes | None, int, int, int, int], Events]

_PREFIXES: Final[Mapping[str, str | None]] = {"plain": None, "cloudevents": "data", "debezium": "after"}
_CHANGES: Final = frozenset("cur")  # Debezium's: created, updated, read


def compiled(map_: m.TopicMap) -> Read | None:
    """Values to the records of the contract in them, each with its kind; None where the map has the exact way alone.

    The function takes what is surely right, and raises what DOUBTS of lookups.py names on all else. It looks for no control characters in ids, and takes
    bytes that are not UTF-8 in fields that no path names.
    """
    topic = map_.topic
    if topic.envelope not in _PREFIXES or topic.format == "json-lines" or topic.records:
        return None
    if map_.groups or map_.operator or map_.group or map_.cdr:
        return None
    try:
        return _read(map_)
    except UncompiledError:
        return None


def _read(map_: m.TopicMap) -> Read:
    envelope, root, prefix = map_.topic.envelope, Node(), _PREFIXES[map_.topic.envelope]
    types = _types(map_)
    for name, _ in m.places(map_):
        path = _absolute(name, prefix)
        if not path or not isinstance(path[0], str):
            raise UncompiledError
        root.want(path, types.get(name, Any))
    if prefix is None:
        plain: Read = _Function(map_, root, root).made(_decoder(root))
        return plain
    row = root.fields.get(prefix)
    if not isinstance(row, Node):
        raise UncompiledError
    if envelope == "cloudevents":
        return _of_events(map_, root, row)
    return _of_changes(map_, root, row)


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
    for name, key in m.places(map_):
        if "where[" in key:
            found[name] = Any
    return found


def _of_events(map_: m.TopicMap, root: Node, row: Node) -> Read:
    root.want(("specversion",))
    decode, events = _decoder(root), _Function(map_, root, row).made()
    version, data = root.attribute("specversion"), root.attribute("data")

    def read(value: bytes | None, timestamp: int, offset: int, partition: int, latest_ms: int) -> Events:
        event = decode(value)
        if type(getattr(event, version)) is not str:
            raise TypeError
        return events(event, getattr(event, data), timestamp, offset, partition, latest_ms)  # type: ignore[no-any-return]

    return read


def _of_changes(map_: m.TopicMap, root: Node, row: Node) -> Read:
    """Of Debezium: a row as it was must say nothing that it says no more."""
    root.want(("op",))
    root.fields["before"] = row
    outer = Node({"payload": root, **root.fields})
    decode, events = _decoder(outer), _Function(map_, root, row).made()
    names = _Function(map_, root, row, names_only=True).made()
    op, before, after = (root.attribute(name) for name in ("op", "before", "after"))
    outer_op, payload = outer.attribute("op"), outer.attribute("payload")
    outer_names = [(outer.attribute(name), root.attribute(name)) for name in root.fields]
    unwrapped = root.type()

    def read(value: bytes | None, timestamp: int, offset: int, partition: int, latest_ms: int) -> Events:
        change = decode(value)
        wrapped = getattr(change, payload)
        if wrapped is None:
            change = unwrapped(**{inner: getattr(change, of) for of, inner in outer_names})
        elif getattr(change, outer_op) is not None:
            raise TypeError
        else:
            change = wrapped
        if getattr(change, op) not in _CHANGES:
            raise LookupError
        found: Events = events(change, getattr(change, after), timestamp, offset, partition, latest_ms)
        was = getattr(change, before)
        if was is not None:
            said = {event[:3] for event in found}
            if not names(change, was, timestamp, offset, partition, latest_ms) <= said:
                raise LookupError
        return found

    return read


def _decoder(node: Node) -> Callable[[Any], Any]:
    decode: Callable[[Any], Any] = msgspec.json.Decoder(node.type(), float_hook=Fractional).decode
    return decode


def _absolute(name: str, prefix: str | None) -> tuple[Step, ...]:
    path = steps(name)
    if path[0] == ROOT:
        return path[1:]
    return path if prefix is None else (prefix, *path)


class _Function:
    """A function of a map: the lines that make records of its values.

    The function takes the whole value and the record in it. It gives the records that are said; with `names_only` their kinds, operators and ids, as a set.
    """

    def __init__(self, map_: m.TopicMap, root: Node, row: Node, *, names_only: bool = False) -> None:
        self._map, self._names_only = map_, names_only
        self._text = FunctionText({"Session": Session, "Payment": Payment, **GIVEN})
        self._values = Values(map_, root, row, self._text)

    def made(self, decode: Callable[[Any], Any] | None = None) -> Any:
        """Compile it; with `decode` it takes the bytes of a value that is the record. `Raises` UncompiledError."""
        takes = "e, r" if decode is None else "value"
        if decode is not None:
            self._text.line(f"e = r = {self._text.name(decode)}(value)")
        self._text.line("out = []")
        with self._values.if_all(self._map.where):
            self._sections()
        self._text.line(f"return {'set(out)' if self._names_only else 'out'}")
        return self._text.made(f"{takes}, timestamp, offset, partition, latest_ms")

    def _sections(self) -> None:
        whose = self._map.row
        assert whose is not None  # map_load sees to it, but for CDRs
        operator, spec = self._values.id(whose.operator_id), whose.customer_id
        customer = self._values.customer(spec) if spec and not self._names_only else "None"
        if session := self._map.session:
            with self._values.if_all(session.where):
                self._session(session, operator, customer)
        if payment := self._map.payment:
            with self._values.if_all(payment.where):
                self._payment(payment, operator, customer)

    def _session(self, spec: m.Session, operator: str, customer: str) -> None:
        name = self._values.id(spec.session_id)
        if self._names_only:
            self._text.line(f"out.append(({SESSION}, {operator}, {name}))")
            return
        status = self._values.word(spec.status, {state: state for state in m.SESSION_STATES})
        started = self._values.time(spec.started_at)
        ended = self._values.time(spec.ended_at, is_needed=False) if spec.ended_at else "None"
        energy = self._values.energy(spec.energy_kwh) if spec.energy_kwh else "None"
        version = self._values.version(spec.version)
        self._event(
            SESSION,
            operator,
            name,
            f"Session({name}, {operator}, {status}, {started}, {customer}, {version}, {energy}, {ended})",
        )

    def _payment(self, spec: m.Payment, operator: str, customer: str) -> None:
        if self._names_only:
            self._text.line(f"out.append(({PAYMENT}, {operator}, {self._values.id(spec.payment_id)}))")
            return
        with self._text.block(f"if {self._values.text(spec.amount_received)} is not None:"):
            currency = self._values.word(
                spec.currency, {form: code for code in DIGITS for form in (code, code.lower())}
            )
            name = self._values.id(spec.payment_id)
            received, discount, refunded = (
                self._values.amount(amount, currency, spec.currency.value, is_there=amount is spec.amount_received)
                for amount in (spec.amount_received, spec.amount_discount, spec.amount_refunded)
            )
            session = self._values.id(spec.session_id, is_needed=False) if spec.session_id else "None"
            status = self._values.word(spec.status, {state: state for state in m.PAYMENT_STATES})
            paid, version = self._values.time(spec.paid_at), self._values.version(spec.version)
            fields = f"{name}, {operator}, {status}, {received}, {currency}, {paid}, {customer}, {discount}, {refunded}, {version}, {session}"
            self._event(PAYMENT, operator, name, f"Payment({fields})")

    def _event(self, kind: int, operator: str, name: str, made: str) -> None:
        record = self._text.variable(made)
        row = self._text.variable(
            f"{self._text.name(SOURCES[kind].row)}({record}, timestamp, offset, partition, latest_ms)"
        )
        self._text.line(f"if {row} is None: raise ValueError")
        self._text.line(f"out.append(({kind}, {operator}, {name}, {row}, {record}))")

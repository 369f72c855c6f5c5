"""The fast way of a map: its paths become types that msgspec parses into, its sections one function that makes records of the contract of them.

Under `mapped`, beside the exact way, which has the last word: whatever is not surely right raises here, and is read again there. So both ways agree on what this
one takes. Compiled is what comes in masses: sessions and payments, one record a value; other maps have the exact way alone (`compiled` is None).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from stream_app.domain.events import PAYMENT, SESSION
from stream_app.domain.money import DIGITS
from stream_app.sources.canonical import Payment, Session
from stream_app.sources.events import SOURCES, Event
from stream_app.sources.exact import ID_LENGTH, MOST_AMOUNT, MOST_VERSION, Fractional
from stream_app.sources.lookups import Amounts, Energies, Offsets, as_id, energy_left, local_ms, text_of
from stream_app.sources.maps import map_file as m
from stream_app.sources.maps.paths import ROOT, Step, steps, walk
from stream_app.sources.objects import ID, TEXT, VERSION, Node
from stream_app.sources.times import LAST_MS, epoch_ms

Events = list[Event]
# Of a value, Kafka's timestamp, offset and partition, and the latest time.
Read = Callable[[bytes | None, int, int, int, int], Events]

_PREFIXES: Final[Mapping[str, str | None]] = {"plain": None, "cloudevents": "data", "debezium": "after"}
_COUNTS: Final = {m.EPOCH_S: "* 1000", m.EPOCH_MS: "", m.EPOCH_US: "// 1000", m.LOCAL_MS: "", m.LOCAL_US: "// 1000"}
_CHANGES: Final = frozenset("cur")  # Debezium's: created, updated, read


class _UncompiledError(Exception):
    """The map says what is read by the exact way alone."""


def compiled(map_: m.TopicMap) -> Read | None:
    """Values to the records of the contract in them, each with its kind; None where the map has the exact way alone.

    The function takes what is surely right, and raises what DOUBTS of lookups.py names on all else. It looks for no control characters in ids, and takes
    bytes that are not UTF-8 in fields that no path names.
    """
    topic = map_.topic
    if topic.envelope not in _PREFIXES or topic.format != "json" or topic.records:
        return None
    if map_.groups or map_.operator or map_.group or map_.cdr:
        return None
    try:
        return _read(map_)
    except _UncompiledError:
        return None


def _read(map_: m.TopicMap) -> Read:
    envelope, root, prefix = map_.topic.envelope, Node(), _PREFIXES[map_.topic.envelope]
    types = _types(map_)
    for name, _ in m.places(map_):
        path = _absolute(name, prefix)
        if not path or not isinstance(path[0], str):
            raise _UncompiledError
        root.want(path, types.get(name, Any))
    if prefix is None:
        plain: Read = _Function(map_, root, root).made(_decoder(root))
        return plain
    row = root.fields.get(prefix)
    if not isinstance(row, Node):
        raise _UncompiledError
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
    """The source of a function of a map, line by line, and what the lines name.

    The function takes the whole value and the record in it. It gives the records that are said; with `names_only` their kinds, operators and ids, as a set.
    """

    def __init__(self, map_: m.TopicMap, root: Node, row: Node, *, names_only: bool = False) -> None:
        self._map, self._bases = map_, {"e": root, "r": row}
        self._names_only = names_only
        self._given: dict[str, Any] = {
            "Session": Session, "Payment": Payment, "epoch_ms": epoch_ms, "as_id": as_id, "text_of": text_of, "walk": walk, "local_ms": local_ms,
            "energy_left": energy_left,
        }  # fmt: skip
        self._lines: list[str] = []
        self._typed: set[str] = set()  # variables of values whose rules msgspec has kept
        self._known: dict[object, str] = {}  # what is read already -> its variable
        self._indent = 1

    def made(self, decode: Callable[[Any], Any] | None = None) -> Any:
        """Compile it; with `decode` it takes the bytes of a value that is the record. `Raises` _UncompiledError."""
        self._given["decode"] = decode
        takes = "e, r" if decode is None else "value"
        if decode is not None:
            self._line("e = r = decode(value)")
        self._line("out = []")
        with self._if_all(self._map.where):
            self._sections()
        self._line(f"return {'set(out)' if self._names_only else 'out'}")
        source = f"def made({takes}, timestamp, offset, partition, latest_ms):\n" + "\n".join(self._lines)
        # The text is made here; what comes from the map stands in it as numbers of paths, and in names.
        exec(compile(source, "<map>", "exec"), self._given)  # noqa: S102
        return self._given["made"]

    def _sections(self) -> None:
        whose = self._map.row
        assert whose is not None  # map_load sees to it, but for CDRs
        operator, spec = self._id(whose.operator_id), whose.customer_id
        customer = self._customer(spec) if spec and not self._names_only else "None"
        if session := self._map.session:
            with self._if_all(session.where):
                self._session(session, operator, customer)
        if payment := self._map.payment:
            with self._if_all(payment.where):
                self._payment(payment, operator, customer)

    def _session(self, spec: m.Session, operator: str, customer: str) -> None:
        name = self._id(spec.session_id)
        if self._names_only:
            self._line(f"out.append(({SESSION}, {operator}, {name}))")
            return
        status = self._word(spec.status, {state: state for state in m.SESSION_STATES})
        started = self._time(spec.started_at)
        ended = self._time(spec.ended_at, is_needed=False) if spec.ended_at else "None"
        energy = self._energy(spec.energy_kwh) if spec.energy_kwh else "None"
        version = self._version(spec.version)
        self._event(
            SESSION,
            operator,
            name,
            f"Session({name}, {operator}, {status}, {started}, {customer}, {version}, {energy}, {ended})",
        )

    def _payment(self, spec: m.Payment, operator: str, customer: str) -> None:
        if self._names_only:
            self._line(f"out.append(({PAYMENT}, {operator}, {self._id(spec.payment_id)}))")
            return
        with self._block(f"if {self._text(spec.amount_received)} is not None:"):
            currency = self._word(spec.currency, {form: code for code in DIGITS for form in (code, code.lower())})
            name = self._id(spec.payment_id)
            received, discount, refunded = (
                self._amount(amount, currency, spec.currency.value, is_there=amount is spec.amount_received)
                for amount in (spec.amount_received, spec.amount_discount, spec.amount_refunded)
            )
            session = self._id(spec.session_id, is_needed=False) if spec.session_id else "None"
            status = self._word(spec.status, {state: state for state in m.PAYMENT_STATES})
            paid, version = self._time(spec.paid_at), self._version(spec.version)
            fields = f"{name}, {operator}, {status}, {received}, {currency}, {paid}, {customer}, {discount}, {refunded}, {version}, {session}"
            self._event(PAYMENT, operator, name, f"Payment({fields})")

    def _event(self, kind: int, operator: str, name: str, made: str) -> None:
        record = self._variable(made)
        row = self._variable(f"{self._name(SOURCES[kind].row)}({record}, timestamp, offset, partition, latest_ms)")
        self._line(f"if {row} is None: raise ValueError")
        self._line(f"out.append(({kind}, {operator}, {name}, {row}, {record}))")

    # -- values

    def _place(self, name: str) -> str:
        """The variable of what stands at a path; None where nothing does."""
        if ("at", name) in self._known:
            return self._known["at", name]
        path = steps(name)
        base, path = ("e", path[1:]) if path[0] == ROOT else ("r", path)
        node, expression = self._bases[base], base
        while True:
            first, *rest = path
            if not isinstance(first, str):
                raise _UncompiledError
            path, below = tuple(rest), node.fields[first]
            expression = f"{expression}.{node.attribute(first)}"
            if not isinstance(below, Node):
                break
            if ("node", expression) not in self._known:
                self._known["node", expression] = variable = self._variable(expression)
                self._line(f"if {variable} is None: {variable} = {self._name(below.type()())}")
            node, expression = below, self._known["node", expression]
        variable = self._variable(f"walk({expression}, {self._name(path)})" if path else expression)
        if below is not Any and not path:
            self._typed.add(variable)
        self._known["at", name] = variable
        return variable

    def _text(self, spec: m.Text) -> str:
        """The variable of the value of a text that is one place or a constant."""
        if spec.value is not None:
            return repr(spec.value)
        if spec.paths:
            raise _UncompiledError
        return self._place(spec.name)

    def _id(self, spec: m.Text, *, is_needed: bool = True) -> str:
        key = ("id", repr(spec), is_needed)
        if key in self._known:
            return self._known[key]
        if spec.value is not None:
            return repr(spec.value)
        if spec.paths:
            parts = [self._one_id(self._place(name), {}) for name in spec.paths]
            joined = self._variable(f"{self._name(spec.separator)}.join(({', '.join(parts)},))")
            self._line(f"if len({joined}) > {ID_LENGTH}: raise ValueError")
            self._known[key] = joined
            return joined
        place = self._place(spec.name)
        if is_needed:
            self._known[key] = self._one_id(place, spec.values)
        else:
            if spec.values:
                raise _UncompiledError
            self._known[key] = self._optional_id(place)
        return self._known[key]

    def _one_id(self, place: str, values: Mapping[str, str]) -> str:
        variable = self._variable(place)
        if values:
            known = self._name(values)
            self._line(f"{variable} = text_of({variable})")
            self._line(f"{variable} = {known}.get({variable}, {variable})")
        is_short = f" or len({variable}) > {ID_LENGTH}" if place not in self._typed or values else ""
        self._line(f"if {variable}.__class__ is not str or not {variable}{is_short}: {variable} = as_id({variable})")
        return variable

    def _customer(self, spec: m.Customer) -> str:
        if spec.values or spec.paths:
            raise _UncompiledError
        variable = self._optional_id(self._place(spec.name))
        if spec.anonymous:
            self._line(f"if {variable} in {self._name(frozenset(spec.anonymous))}: {variable} = None")
        return variable

    def _optional_id(self, place: str) -> str:
        variable = self._variable(
            f"{place} or None if {place}.__class__ is str else None if {place} is None else as_id({place})"
        )
        if place not in self._typed:
            self._line(f"if {variable} is not None and len({variable}) > {ID_LENGTH}: raise ValueError")
        return variable

    def _word(self, spec: m.Text, known: dict[str, str]) -> str:
        """The variable of a word out of a closed list, as it is or translated."""
        if spec.value is not None:
            return repr(known[spec.value])
        key = ("word", repr(spec))
        if key not in self._known:
            words = known | {text: known[word] for text, word in spec.values.items()}
            self._known[key] = self._variable(f"{self._name(words)}[{self._text(spec)}]")
        return self._known[key]

    def _amount(self, spec: m.Amount | None, currency: str, constant: str | None, *, is_there: bool) -> str:
        if spec is None:
            return "0"
        if spec.values or spec.paths or spec.value is not None:
            raise _UncompiledError
        place = self._place(spec.name)
        known = {code: Amounts(spec, code, self._map.money) for code in ([constant] if constant else DIGITS)}
        lookup = self._name(known[constant]) if constant else f"{self._name(known)}[{currency}]"
        found = f"{lookup}[{place}]"
        if spec.unit == "minor" and spec.scale is None:
            found = f"{place} if {place}.__class__ is int and 0 <= {place} <= {MOST_AMOUNT} else {found}"
        return self._variable(found if is_there else f"0 if {place} is None else {found}", boolean=place)

    def _energy(self, spec: m.Energy) -> str:
        if spec.minus is not None:
            return self._variable(
                f"energy_left({self._place(spec.name)}, {self._place(spec.minus)}, {self._name(spec)})"
            )
        place = self._place(spec.name)
        return self._variable(f"None if {place} is None else {self._name(Energies(spec))}[{place}]", boolean=place)

    def _version(self, spec: int | m.Number) -> str:
        if isinstance(spec, int):
            return str(spec)
        place = self._place(spec.name)
        if ("version", place) not in self._known:
            variable = self._variable(f"{place} or 0")
            if place not in self._typed:
                wrong = f"{variable}.__class__ is not int or not 0 <= {variable} <= {MOST_VERSION}"
                self._line(f"if {wrong}: raise ValueError")
            self._known["version", place] = variable
        return self._known["version", place]

    def _time(self, spec: m.Time, *, is_needed: bool = True) -> str:
        """The variable of a time in epoch milliseconds."""
        formats = spec.formats or self._map.times.formats
        if spec.date or spec.zone or len(formats) != 1 or formats[0] not in (m.ISO_8601, *_COUNTS):
            raise _UncompiledError
        key = ("time", repr(spec), is_needed)
        if key in self._known:
            return self._known[key]
        (form,) = formats
        place, zone = self._place(spec.name), self._map.times.zone
        offsets = self._name(Offsets(zone)) if zone else "None"
        self._known[key] = variable = self._variable("None")
        with self._block("if True:" if is_needed else f"if {place} is not None and {place} != '':"):
            if form == m.ISO_8601:
                self._line(f"{variable} = epoch_ms({place})")
                self._line(f"if not {variable}: {variable} = local_ms({place}, {offsets})")
            else:
                self._line(f"if {place}.__class__ is not int or {place} < 0: raise ValueError")
                self._line(f"{variable} = {place} {_COUNTS[form]}")
                if form in (m.LOCAL_MS, m.LOCAL_US):
                    self._line(f"{variable} -= {offsets}[{variable} // 900000]")
                self._line(f"if not 0 < {variable} <= {LAST_MS}: raise ValueError")
        return variable

    # -- lines

    @contextmanager
    def _if_all(self, where: list[m.Condition]) -> Iterator[None]:
        """What follows is for records of which all conditions hold."""
        if not where:
            yield
            return
        tests = []
        for condition in where:
            text = self._variable(f"text_of({self._place(condition.name)})")
            texts = condition.is_ if condition.is_ is not None else condition.is_not or []
            tests.append(f"{text} {'in' if condition.is_ is not None else 'not in'} {self._name(frozenset(texts))}")
        with self._block(f"if {' and '.join(tests)}:"):
            yield

    @contextmanager
    def _block(self, head: str) -> Iterator[None]:
        """What is read in it is not known behind it."""
        self._line(head)
        before, self._indent = dict(self._known), self._indent + 1
        yield
        self._known, self._indent = before, self._indent - 1

    def _line(self, text: str) -> None:
        self._lines.append("    " * self._indent + text)

    def _variable(self, expression: str, *, boolean: str | None = None) -> str:
        """A new variable of this value; `boolean`: what must not be true or false, which Python takes for 1 and 0."""
        name = f"v{len(self._lines)}"
        if boolean is not None:
            self._line(f"if {boolean}.__class__ is bool: raise TypeError")
        self._line(f"{name} = {expression}")
        return name

    def _name(self, value: Any) -> str:
        """A name by which the lines have a value."""
        name = f"K{len(self._given)}"
        self._given[name] = value
        return name

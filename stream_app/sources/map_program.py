"""A map -> the program by which the native library reads its records; None for a map that says more than that knows.

Beside `compiled`, for plain records, changes of Debezium and CloudEvents that are a session, a payment or both, in JSON or by schemas: of places that names lead to
and places in lists, and times of one form. What the program leaves, a map's own ways read.
"""

from array import array
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any, Final

from stream_app.domain.local_time import EPOCH
from stream_app.domain.money import DIGITS
from stream_app.ports.map_program import CHANGES, MapProgram
from stream_app.sources import compiled_rows as rows
from stream_app.sources.exact import ID_LENGTH
from stream_app.sources.maps import map_file as m
from stream_app.sources.maps.cells import zone_info
from stream_app.sources.maps.paths import ROOT, Step, steps
from stream_app.sources.schema_types import Types, UnknownError, known
from stream_app.sources.wire import FORMATS, Known, Schema

_PLACES_MAX: Final = 64
_ENVELOPES: Final = {"plain": 0, "debezium": 1, "cloudevents": 2}
_PREFIXES: Final = {"plain": (), "debezium": ("after",), "cloudevents": ("data",)}
_FORMS: Final = {m.ISO_8601: 0, m.EPOCH_S: 1, m.EPOCH_MS: 2, m.EPOCH_US: 3, m.LOCAL_MS: 4, m.LOCAL_US: 5}
_CLOCK_FROM, _CLOCK_DAYS = datetime(2000, 1, 1), 60 * 365  # noqa: DTZ001  # a wall clock's time; others are read in Python
_AMOUNTS: Final = {"minor": 0, "major": 1}
_ENERGIES: Final = {"kWh": 0, "Wh": 1}
_NONE: Final = (-1, -1)  # a value that is neither at a place nor a constant
_NO_SECTION: Final = (0,) * 16
_Node = dict[Any, Any]  # by step of a path: a node, or the number of a place
_AT, _WHERE = -1, -2  # stand in place of the length of a name
_ITEMS_MAX: Final = 8  # of a list


@lru_cache(100)
def _clock(zone: str) -> "array[int]":
    """A zone's clock by day, as the program has it."""
    info, day = zone_info(zone), timedelta(days=1)
    midnights = [(_CLOCK_FROM + number * day).replace(tzinfo=info) for number in range(_CLOCK_DAYS + 1)]
    ahead = [{at.utcoffset(), at.replace(fold=1).utcoffset()} for at in midnights]
    of_days = [before | after for before, after in pairwise(ahead)]
    first = (_CLOCK_FROM.date() - EPOCH).days
    return array("q", (first, *(CHANGES if len(found) > 1 else _ms(*found) for found in of_days)))


def _ms(offset: timedelta | None) -> int:
    return CHANGES if offset is None else offset // timedelta(milliseconds=1)


class Program:
    """The program of a map, for the schemas that have been seen. `Raises` UnknownError for a map that the library does not know."""

    def __init__(self, map_: m.TopicMap) -> None:
        self._format, self._made = map_.topic.format, _Program(map_)
        self._schemas: dict[int, Schema] = {}
        self._latest = self._made.program({}) if self._format == "json" else None

    def of(self, schemas: Known) -> MapProgram | None:
        """The program, with these schemas if the topic is one by schemas; None where the library knows none of them."""
        new = {
            number: schema
            for number, schema in schemas.items()
            if schema is not None and schema.format == self._format and self._schemas.get(number) is not schema
        }
        if new:
            self._schemas |= new
            self._latest = self._made.program(self._schemas)
        return self._latest


def program(map_: m.TopicMap) -> Program | None:
    """The program of a map."""
    try:
        return Program(map_)
    except UnknownError:
        return None


class _Program:
    def __init__(self, map_: m.TopicMap) -> None:
        topic = map_.topic
        known(map_.row, not (map_.groups or map_.operator or map_.group or map_.cdr))
        known(
            topic.format == "json" or topic.format in FORMATS,
            not topic.records,
            topic.envelope in _ENVELOPES,
            map_.money == m.Money(more_digits=map_.money.more_digits),
        )
        self._map, self._prefix = map_, _PREFIXES[topic.envelope]
        self._root: _Node = {}
        self._places = 0
        self._texts, self._words, self._conditions = bytearray(), array("q"), array("q")
        self._tree: list[list[int]] = []  # nodes, and their fields
        self._numbers = self._all()

    def program(self, schemas: Mapping[int, Schema]) -> MapProgram | None:
        """The program; None where there are schemas, and none of them is known."""
        texts, usable = bytearray(self._texts), array("q")
        is_change = self._map.topic.envelope == "debezium"
        types = Types(texts, self._root["before"], self._root["after"]) if is_change else Types(texts)
        for number, schema in schemas.items():
            if schema.types is not None:
                with suppress(UnknownError):
                    usable.extend((number, schema.types(types, self._root)))
        if schemas and not usable:
            return None
        zone = self._map.times.zone
        parts = [*self._tree, self._words, self._conditions, usable, _clock(zone) if zone else []]
        sizes = array("q", (*map(len, parts), self._places))
        return MapProgram(self._numbers, bytes(texts), array("q", chain(*parts, types.numbers)), sizes)

    def _all(self) -> "array[int]":
        """All that is read. `Raises` UnknownError."""
        row, session, payment = self._map.row, self._map.session, self._map.payment
        assert row is not None  # known since __init__
        customer = row.customer_id or m.Customer()
        known(not (customer.value or customer.values))
        numbers = [*self._where(self._map.where), *self._named(row.operator_id), *self._place(customer)]
        numbers += self._words_of(dict.fromkeys(customer.anonymous, 0))
        numbers += [*self._session(session), *self._payment(payment)]
        envelope = self._map.topic.envelope
        operation, before, payload = (
            self._at((name,)) if envelope == "debezium" else -1 for name in ("op", "before", "payload")
        )
        spec_version = self._at(("specversion",)) if envelope == "cloudevents" else -1
        nodes, fields, of_row = self._nodes()
        self._tree += [nodes, fields]
        return array("q", (_ENVELOPES[envelope], 0, of_row, operation, before, payload, spec_version, *numbers))

    # -- sections

    def _session(self, section: m.Session | None) -> list[int]:
        if section is None:
            return [*_NO_SECTION, *_NONE, 0, *_NONE * 2, 0]
        states = {state: bool(rows.counted_session(state)) for state in m.SESSION_STATES}
        energy = section.energy_kwh or m.Energy()
        known(energy.decimal == ".", not energy.thousands, energy.minus is None or energy.unit == "Wh")
        return [
            *self._common(section, section.session_id, section.status, section.started_at, section.version, states),
            *self._place(section.ended_at), self._form(section.ended_at), *self._place(energy), *self._place(m.Number(path=energy.minus)), _ENERGIES[energy.unit],
        ]  # fmt: skip

    def _payment(self, section: m.Payment | None) -> list[int]:
        if section is None:
            return [*_NO_SECTION, *_NONE * 3, 0, -1, 0, -1, 0, -1, *_NONE, 0, 0, *_NONE]
        states = {state: bool(rows.counted_payment(state)) for state in m.PAYMENT_STATES}
        amounts = [
            amount or m.Amount()
            for amount in (section.amount_received, section.amount_discount, section.amount_refunded)
        ]
        known(
            section.amount_received.name,
            *(not (amount.values or amount.value) for amount in amounts),
        )
        numbers = self._common(section, section.payment_id, section.status, section.paid_at, section.version, states)
        for amount in amounts:
            numbers += self._place(amount)
        for amount in amounts:
            numbers += [_AMOUNTS[amount.unit], -1 if amount.scale is None else amount.scale]
        codes = {form: at for at, code in enumerate(DIGITS) for form in (code, code.lower())}
        numbers += self._word(section.currency, codes)
        paid_session = section.session_id or m.Text()
        known(not (paid_session.values or paid_session.value))
        return [*numbers, *self._place(paid_session)]

    def _common(
        self, section: m.Session | m.Payment, id_: m.Text, status: m.Text, time: m.Time, version: int | m.Number, states: Mapping[str, int]
    ) -> list[int]:  # fmt: skip
        where, named = self._where(section.where), self._named(id_)
        of_version = (-1, version) if isinstance(version, int) else self._place(version)
        return [1, *where, *named, *self._word(status, states), *self._place(time), self._form(time), *of_version]

    def _where(self, conditions: list[m.Condition]) -> tuple[int, int]:
        made: list[int] = []
        for condition in conditions:
            place, _ = self._place(condition)
            known(place >= 0)
            texts = condition.is_ if condition.is_ is not None else condition.is_not or []
            made += [place, condition.is_ is not None, *self._words_of(dict.fromkeys(texts, 0))]
        first = len(self._conditions) // 4
        self._conditions.extend(made)
        return first, len(conditions)

    # -- values

    def _place(self, spec: m.Place | None) -> tuple[int, int]:
        if spec is None or not spec.name:
            known(not getattr(spec, "paths", None))
            return _NONE
        path = steps(spec.name)
        return self._at(path[1:] if path[0] == ROOT else (*self._prefix, *path)), -1

    def _at(self, path: tuple[Any, ...]) -> int:
        """The number of the place at a path from the whole value on."""
        node = self._root
        known(path, *(isinstance(step, str) or self._map.topic.format == "json" for step in path))
        for step in path[:-1]:
            node = node.setdefault(step, {})
            known(isinstance(node, dict))
        place = node.setdefault(path[-1], self._places)
        known(isinstance(place, int), self._places < _PLACES_MAX)
        self._places += place == self._places
        return int(place)

    def _form(self, spec: m.Time | None) -> int:
        if spec is None:
            return 0
        formats = spec.formats or self._map.times.formats
        known(not (spec.date or spec.time or spec.zone), len(formats) == 1, formats[0] in _FORMS)
        return _FORMS[formats[0]]

    def _named(self, spec: m.Text) -> list[int]:
        """A place of an id, and what it is translated to; or a constant."""
        if spec.value is not None:
            return [-1, self._constant(spec.value), 0, 0]
        known(spec.name)
        return [*self._place(spec), *self._words_of({word: self._constant(text) for word, text in spec.values.items()})]

    def _constant(self, text: str) -> int:
        known(text.isascii(), text.isprintable(), len(text) <= ID_LENGTH)
        at, length = self._text(text)
        return at * 256 + length

    def _word(self, spec: m.Text, words: Mapping[str, int]) -> list[int]:
        """A place or a constant, and its words: as they are, or translated."""
        if spec.value is not None:
            return [-1, words[spec.value], 0, 0]
        known(spec.name)
        return [
            *self._place(spec),
            *self._words_of({**words, **{text: words[word] for text, word in spec.values.items()}}),
        ]

    def _words_of(self, words: Mapping[str, int]) -> tuple[int, int]:
        first = len(self._words) // 3
        for word, meaning in words.items():
            self._words.extend((*self._text(word), meaning))
        return first, len(words)

    def _text(self, text: str) -> tuple[int, int]:
        encoded = text.encode()
        at = len(self._texts)
        self._texts += encoded
        return at, len(encoded)

    def _step(self, step: Step) -> tuple[int, int]:
        """A name; a place in a list, the last one included; or where an object is told by, as two words."""
        if isinstance(step, str):
            return self._text(step)
        if isinstance(step, int):
            known(step >= -1)
            return step, _AT
        known(step.text)
        first = len(self._words) // 3
        self._words.extend((*self._text(step.key), 0, *self._text(step.text), 0))
        return first, _WHERE

    def _nodes(self) -> tuple[list[int], list[int], int]:
        """Nodes and fields of the places, and which node the record is."""
        nodes: list[int] = []
        fields: list[int] = []
        of_row, todo = 0, [(tuple[Step, ...](), self._root)]
        for path, node in todo:  # those below are added to it
            if path == self._prefix:
                of_row = len(nodes) // 2
            nodes += [len(fields) // 3, len(node)]
            known(len(node) <= _ITEMS_MAX or all(isinstance(step, str) for step in node))
            for name, below in node.items():
                fields += self._step(name)
                if isinstance(below, dict):
                    fields.append(len(todo))
                    todo.append(((*path, name), below))
                else:
                    fields.append(-1 - below)
        known(len(todo) <= _PLACES_MAX, not self._prefix or of_row)
        return nodes, fields, of_row

"""The fast way of a map, value by value: the lines that read what a field of a map says, as `exact` reads it, or raise.

Under `compiled`, which makes records of the values. Each method writes the lines for a value where it is read first, and gives its variable.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from stream_app.domain.money import DIGITS
from stream_app.sources.exact import CONTROLS, ID_LENGTH, MOST_AMOUNT, MOST_VERSION
from stream_app.sources.function_text import FunctionText
from stream_app.sources.lookups import (
    Amounts,
    Energies,
    Groups,
    Offsets,
    as_id,
    energy_left,
    listed_texts,
    local_ms,
    text_of,
)
from stream_app.sources.maps import map_file as m
from stream_app.sources.maps.paths import ROOT, steps, walk
from stream_app.sources.objects import Moment, Node
from stream_app.sources.times import LAST_MS, PIECES, epoch_ms

_NAME_MAX: Final = 50_000  # characters
_COUNTS: Final = {m.EPOCH_S: "* 1000", m.EPOCH_MS: "", m.EPOCH_US: "// 1000", m.LOCAL_MS: "", m.LOCAL_US: "// 1000"}
# Formats of times of a schema, where the map expects its default.
_OF_MOMENTS: Final = {Moment.UTC: m.EPOCH_MS, Moment.LOCAL: m.LOCAL_MS}

GIVEN: Final[Mapping[str, Any]] = {  # to a function of such lines
    "epoch_ms": epoch_ms, "as_id": as_id, "text_of": text_of, "walk": walk, "local_ms": local_ms, "energy_left": energy_left,
    "listed_texts": listed_texts,
    **dict(zip("DMSO", PIECES, strict=True)),
}  # fmt: skip


class UncompiledError(Exception):
    """The map says what is read by the exact way alone."""


class Values:
    """The values of a map in a function that takes the whole value as `e`, of the type `root`, and the record in it as `r`, of the type `row`.

    `looks_at_ids`: ids may hold any character, since nobody looks at the bytes that they come from.
    """

    def __init__(
        self, map_: m.TopicMap, root: Node, row: Node, function: FunctionText, *, looks_at_ids: bool = False
    ) -> None:
        self._map, self._bases, self._function = map_, {"e": root, "r": row}, function
        self._looks_at_ids = looks_at_ids
        self._typed: set[str] = set()  # variables of values whose rules msgspec has kept
        self._moments: dict[str, Moment] = {}  # variables of times that are milliseconds

    def _place(self, name: str) -> str:
        """The variable of what stands at a path; None where nothing does."""
        if ("at", name) in self._function.known:
            return self._function.known["at", name]
        path = steps(name)
        base, path = ("e", path[1:]) if path[0] == ROOT else ("r", path)
        node, expression = self._bases[base], base
        while True:
            first, *rest = path
            if not isinstance(first, str):
                raise UncompiledError
            path, below = tuple(rest), node.fields[first]
            expression = f"{expression}.{node.attribute(first)}"
            if not isinstance(below, Node):
                break
            if ("node", expression) not in self._function.known:
                self._function.known["node", expression] = variable = self._function.variable(expression)
                self._function.line(f"if {variable} is None: {variable} = {self._function.name(below.type()())}")
            node, expression = below, self._function.known["node", expression]
        variable = self._function.variable(f"walk({expression}, {self._function.name(path)})" if path else expression)
        if isinstance(below, Moment):
            self._moments[variable] = below
        elif below is not Any and not path:
            self._typed.add(variable)
        self._function.known["at", name] = variable
        return variable

    def text(self, spec: m.Text) -> str:
        """The variable of the value of a text that is one place or a constant."""
        if spec.value is not None:
            return repr(spec.value)
        if spec.paths:
            raise UncompiledError
        return self._place(spec.name)

    def plain_text(self, spec: m.Text) -> str:
        """The variable of the text of one place, as it is or translated, or of a constant; empty where nothing stands."""
        if spec.value is not None:
            return repr(spec.value)
        variable = self._function.variable(f"text_of({self.text(spec)})")
        if spec.values:
            self._function.line(f"{variable} = {self._function.name(spec.values)}.get({variable}, {variable})")
        return variable

    def name(self, spec: m.Text) -> str:
        """The variable of a name for people. One that might be too large is left to the exact way."""
        variable = self.plain_text(spec)
        if spec.value is None:
            self._function.line(f"if len({variable}) > {_NAME_MAX}: raise ValueError")
        return variable

    def currency(self, what: str, spec: m.Text) -> str:
        """The variable of a currency."""
        return self.word(f"currency of {what}", spec, {form: code for code in DIGITS for form in (code, code.lower())})

    def group_ids(self, spec: m.GroupIds) -> str:
        """The variable of the groups of a customer as a row has them; None where nothing is said about them."""
        place = self._place(spec.name)
        listed = place if place in self._typed else f"listed_texts({place})"
        groups = Groups(spec.separator, looks_at_ids=self._looks_at_ids)
        return self._function.variable(f"{self._function.name(groups)}[{listed}]")

    def id(self, spec: m.Text, *, is_needed: bool = True) -> str:
        """The variable of an id, which may be joined of several places; None where one that is not needed is absent."""
        key = ("id", repr(spec), is_needed)
        if key in self._function.known:
            return self._function.known[key]
        if spec.value is not None:
            return repr(spec.value)
        if CONTROLS.search("".join([spec.separator, *spec.values.values()])):
            raise UncompiledError  # ids of others are looked at only where a value can hold such a character
        if spec.paths:
            parts = [self._one_id(self._place(name), {}) for name in spec.paths]
            joined = self._function.variable(f"{self._function.name(spec.separator)}.join(({', '.join(parts)},))")
            self._function.line(f"if len({joined}) > {ID_LENGTH}: raise ValueError")
            self._function.known[key] = joined
            return joined
        place = self._place(spec.name)
        if is_needed:
            self._function.known[key] = self._one_id(place, spec.values)
        else:
            if spec.values:
                raise UncompiledError
            self._function.known[key] = self._optional_id(place)
        return self._function.known[key]

    def _one_id(self, place: str, values: Mapping[str, str]) -> str:
        variable = self._function.variable(place)
        if values:
            known = self._function.name(values)
            self._function.line(f"{variable} = text_of({variable})")
            self._function.line(f"{variable} = {known}.get({variable}, {variable})")
        is_short = f" or len({variable}) > {ID_LENGTH}" if place not in self._typed or values else ""
        self._function.line(
            f"if {variable}.__class__ is not str or not {variable}{is_short}: {variable} = as_id({variable})"
        )
        if self._looks_at_ids:
            self._function.line(f"if not {variable}.isprintable(): raise ValueError")
        return variable

    def customer(self, spec: m.Customer) -> str:
        """The variable of a customer id; None for an anonymous one."""
        if spec.values or spec.paths:
            raise UncompiledError
        variable = self._optional_id(self._place(spec.name))
        if spec.anonymous:
            self._function.line(f"if {variable} in {self._function.name(frozenset(spec.anonymous))}: {variable} = None")
        return variable

    def _optional_id(self, place: str) -> str:
        variable = self._function.variable(
            f"{place} or None if {place}.__class__ is str else None if {place} is None else as_id({place})"
        )
        if place not in self._typed:
            self._function.line(f"if {variable} is not None and len({variable}) > {ID_LENGTH}: raise ValueError")
        if self._looks_at_ids:
            self._function.line(f"if {variable} is not None and not {variable}.isprintable(): raise ValueError")
        return variable

    def word(self, what: str, spec: m.Text, known: Mapping[str, str | int]) -> str:
        """The variable of what a word out of a closed list means, as it is or translated. `what`: the list."""
        if spec.value is not None:
            return repr(known[spec.value])
        key = ("word", what, repr(spec))
        if key not in self._function.known:
            words = {**known, **{text: known[word] for text, word in spec.values.items()}}
            self._function.known[key] = self._function.variable(f"{self._function.name(words)}[{self.text(spec)}]")
        return self._function.known[key]

    def amount(self, spec: m.Amount | None, currency: str, constant: str | None, *, is_there: bool) -> str:
        """The variable of an amount in minor units of a currency, which a variable names, or a constant; `is_there`: the field is known to be."""
        if spec is None:
            return "0"
        if spec.values or spec.paths or spec.value is not None:
            raise UncompiledError
        place = self._place(spec.name)
        known = {code: Amounts(spec, code, self._map.money) for code in ([constant] if constant else DIGITS)}
        lookup = self._function.name(known[constant]) if constant else f"{self._function.name(known)}[{currency}]"
        found = f"{lookup}[{place}]"
        if spec.unit == "minor" and spec.scale is None:
            found = f"{place} if {place}.__class__ is int and 0 <= {place} <= {MOST_AMOUNT} else {found}"
        return self._function.variable(found if is_there else f"0 if {place} is None else {found}", boolean=place)

    def energy(self, spec: m.Energy) -> str:
        """The variable of an energy, in watt-hours; None for what is none."""
        if spec.minus is not None:
            return self._function.variable(
                f"energy_left({self._place(spec.name)}, {self._place(spec.minus)}, {self._function.name(spec)})"
            )
        place = self._place(spec.name)
        return self._function.variable(
            f"None if {place} is None else {self._function.name(Energies(spec))}[{place}]", boolean=place
        )

    def version(self, spec: int | m.Number) -> str:
        """The variable of a version, 0 where the record has none."""
        if isinstance(spec, int):
            return str(spec)
        place = self._place(spec.name)
        if ("version", place) not in self._function.known:
            variable = self._function.variable(f"0 if {place} is None or {place} == '' else {place}")
            if place not in self._typed:
                wrong = f"{variable}.__class__ is not int or not 0 <= {variable} <= {MOST_VERSION}"
                self._function.line(f"if {wrong}: raise ValueError")
            self._function.known["version", place] = variable
        return self._function.known["version", place]

    def time(self, spec: m.Time, *, is_needed: bool = True) -> str:
        """The variable of a time in epoch milliseconds."""
        formats = spec.formats or self._map.times.formats
        if spec.date or spec.zone or len(formats) != 1 or formats[0] not in (m.ISO_8601, *_COUNTS):
            raise UncompiledError
        key = ("time", repr(spec), is_needed)
        if key in self._function.known:
            return self._function.known[key]
        place, zone = self._place(spec.name), self._map.times.zone
        form = _OF_MOMENTS.get(self._moments.get(place, Moment.ANY), formats[0])
        if self._moments.get(place) in _OF_MOMENTS and formats[0] != m.ISO_8601:  # the exact way has a text there
            raise UncompiledError
        offsets = self._function.name(Offsets(zone) if zone else None)
        self._function.known[key] = variable = self._function.variable("None")
        with self._function.block("if True:" if is_needed else f"if {place} is not None and {place} != '':"):
            if form == m.ISO_8601:
                # As epoch_ms does first; a call would cost as much as the look-ups.
                pieces = f"D[{place}[:10]] + M[{place}[10:16]] + S[{place}[16:19]] - O[{place}[19:]]"
                with self._function.block("try:"):
                    self._function.line(f"{variable} = {pieces}")
                with self._function.block("except KeyError:"):
                    self._function.line(f"{variable} = epoch_ms({place})")
                self._function.line(
                    f"if not {variable} or not 0 < {variable} <= {LAST_MS}: {variable} = local_ms({place}, {offsets})"
                )
            else:
                self._function.line(f"if {place}.__class__ is not int or {place} < 0: raise ValueError")
                self._function.line(f"{variable} = {place} {_COUNTS[form]}")
                if form in (m.LOCAL_MS, m.LOCAL_US):
                    self._function.line(f"{variable} -= {offsets}[{variable} // 900000]")
                self._function.line(f"if not 0 < {variable} <= {LAST_MS}: raise ValueError")
        return variable

    @contextmanager
    def if_all(self, where: list[m.Condition]) -> Iterator[None]:
        """What follows is for records of which all conditions hold."""
        if not where:
            yield
            return
        tests = []
        for condition in where:
            text = self._function.variable(f"text_of({self._place(condition.name)})")
            texts = condition.is_ if condition.is_ is not None else condition.is_not or []
            tests.append(
                f"{text} {'in' if condition.is_ is not None else 'not in'} {self._function.name(frozenset(texts))}"
            )
        with self._function.block(f"if {' and '.join(tests)}:"):
            yield

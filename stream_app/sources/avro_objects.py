"""The fast way of Avro: the lines that read a record of a schema, as far as the paths of a map lead, as one function.

Beside `avro`, which has the last word. Invariant: the objects are those that msgspec makes of the JSON that `avro` makes of the record, but for times, which are
milliseconds where the map reads a place as nothing but a time. Whatever is not surely right raises one of DOUBTS of lookups.py. What no path names is passed over, and
held against the schema all the same.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from stream_app.sources.avro_values import (
    DECIMAL_BYTES_MAX,
    GIVEN,
    UNITS,
    decimals,
    enum_words,
    fixed_size,
    logical_type,
    resolved,
    told,
)
from stream_app.sources.compiled_values import UncompiledError
from stream_app.sources.objects import GROUPS, Moment, Node
from stream_app.sources.schema_lines import SchemaLines

_GROUP: Final = str | int  # as one of GROUPS
_MOMENTS: Final = {"timestamp": Moment.UTC, "local-timestamp": Moment.LOCAL}


def reader(schema: Any, named: Mapping[str, Any], logical: str, root: Node) -> Callable[[bytes], Any]:
    """What makes an object of the type of `root` of a value: a schema's id, and a record. Places of times in `root` get the types that they have by the schema.

    `schema`, with the `named` types, is one that fastavro has parsed; `logical`: what stands before the names of its logical types. `Raises` UncompiledError.
    """
    return _Lines(named, logical).function(schema, root)


class _Lines(SchemaLines):
    """The lines of a function of the bytes `b`, which are `s` as text of a character a byte; `i` is where the next value begins."""

    def __init__(self, named: Mapping[str, Any], logical: str) -> None:
        super().__init__(GIVEN)
        self._named, self._logical = named, logical
        self._within: list[str] = []  # the names of the records around

    def function(self, schema: Any, root: Node) -> Callable[[bytes], Any]:
        """Compile it."""
        self._line("i = 5")
        self._line('s = b.decode("latin-1")')
        made = self._value(schema, root)
        self._line("if i != len(b): raise LookupError")
        self._line(f"return {made}")
        return self._compiled()

    def _moment(self, schema: Any) -> Moment | None:
        """Which times the values of a schema are; None for those that are not all times of one sort."""
        kind, schema = resolved(schema, self._named)
        if kind == "union":
            found = {self._moment(branch) for branch in schema if resolved(branch, self._named)[0] != "null"}
            return found.pop() if len(found) == 1 else None
        sort, _, unit = logical_type(schema, self._logical).rpartition("-")
        return _MOMENTS.get(sort) if kind == "long" and unit in UNITS else None

    def _value(self, schema: Any, wanted: Any) -> str:  # noqa: PLR0911  # a case a kind
        """The variable of a value, or a literal. `wanted`: a node, or the type of a place."""
        kind, schema = resolved(schema, self._named)
        if kind == "null":
            if wanted == _GROUP:
                self._line("raise LookupError")
            return "None"
        if kind == "union":
            return self._union(schema, lambda branch: self._value(branch, wanted))
        if isinstance(wanted, Node):
            if kind in ("array", "map"):
                raise UncompiledError
            if kind == "record":
                return self._object(schema, wanted)
            self._line("raise LookupError")
            return "None"
        if isinstance(wanted, Moment):
            return self._milliseconds(logical_type(schema, self._logical).rpartition("-")[2])
        if wanted is GROUPS and kind == "array":
            return self._variable(f"tuple({self._array(schema, _GROUP)})")
        if wanted in (GROUPS, _GROUP) and kind not in ("string", "enum", "int", "long"):
            raise UncompiledError
        return self._plain(kind, schema)

    def _union(self, branches: Any, read: Callable[[Any], str]) -> str:
        made, index = self._variable("None"), self._variable("b[i]")
        self._line("i += 1")
        for position, branch in enumerate(branches):
            with self._text.block(f"{'el' if position else ''}if {index} == {2 * position}:"):
                self._line(f"{made} = {read(branch)}")
        with self._text.block("else:"):
            self._line("raise LookupError")
        return made

    def _fields(self, schema: Any, read: Callable[[str, Any], str | None]) -> dict[str, str]:
        """The variables of the fields of a record that are read."""
        name = schema["name"]
        if name in self._within:
            raise UncompiledError  # it holds itself
        self._within.append(name)
        found = {field["name"]: made for field in schema["fields"] if (made := read(field["name"], field["type"]))}
        self._within.pop()
        return found

    def _object(self, schema: Any, node: Node) -> str:
        def read(name: str, of: Any) -> str | None:
            if name not in node.fields:
                self._pass(of)
                return None
            wanted = node.fields[name]
            if isinstance(wanted, Moment):
                moment = self._moment(of) or Any
                if wanted is not Moment.ANY and wanted is not moment:
                    raise UncompiledError
                wanted = node.fields[name] = moment
            return self._value(of, wanted)

        found = self._fields(schema, read)
        of = self._text.name(node.type())
        return self._variable(f"{of}({', '.join(found.get(name, 'None') for name in node.fields)})")

    def _plain(self, kind: str, schema: Any) -> str:  # noqa: PLR0911  # a case a kind
        """A value as JSON has it."""
        logical = logical_type(schema, self._logical)
        match kind:
            case "record":
                found = self._fields(schema, lambda _, of: self._value(of, Any))
                return self._variable(f"{{{', '.join(f'{name!r}: {made}' for name, made in found.items())}}}")
            case "array":
                return self._array(schema, Any)
            case "map":
                return self._map(schema)
            case "string":
                return self._string()
            case "enum":
                return self._next(f"{self._text.name(enum_words(schema['symbols']))}[b[i]]", 1)
            case "boolean":
                return self._next("BOOLEANS[b[i]]", 1)
            case "float" | "double":
                size = 4 if kind == "float" else 8
                return self._next(f"{kind.upper()}S[b[i:i + {size}]]", size)
            case "int" | "long":
                whole = self._long()
                number = self._variable(f"~({whole} >> 1) if {whole} & 1 else {whole} >> 1")
            case "bytes":
                self._size()
                number = self._variable("b[i:j]")
                self._line("i = j")
            case "fixed":
                number = self._next(f"b[i:i + {fixed_size(schema)}]", fixed_size(schema))
            case _:
                raise UncompiledError
        if logical == "decimal":
            return self._variable(f"{self._text.name(decimals(schema.get('scale', 0)))}[{number}]")
        reader = told(kind, schema)
        return number if reader is None else self._variable(f"{self._text.name(reader)}({number})")

    def _next(self, expression: str, size: int) -> str:
        made = self._variable(expression)
        self._line(f"i += {size}")
        return made

    def _long(self) -> str:
        """A number as it is written, in zigzag."""
        found = self._next("b[i]", 1)
        self._line(f"if {found} > 127: {found}, i = more(b, i, {found})")
        return found

    def _size(self) -> None:
        """The size of what comes; `j` is where it ends."""
        self._line("j = b[i]")
        self._line("i += 1")
        self._line("if j & 129: j, i = size(b, i, j)")
        self._line("j = i + (j >> 1)")

    def _string(self) -> str:
        self._size()
        made = self._variable("s[i:j]")
        self._line(f"if not {made}.isascii(): {made} = b[i:j].decode()")
        self._line("i = j")
        return made

    def _milliseconds(self, unit: str) -> str:
        """A time from 1970 on. What is as long as those of today is read by pairs of bytes."""
        made = self._variable("None")
        pairs, per = UNITS[unit]
        if pairs:
            parts = [f"p{n}" for n in range(pairs)]
            with self._text.block("try:"):
                self._line(f"{', '.join(parts)} = PAIRS_{pairs}(b, i)")
                tables = ["PAIR_0", *(f"PAIR_{n}" for n in range(1, pairs - 1)), f"PAIR_{pairs - 1}_LAST"]
                summed = " + ".join(f"{table}[{part}]" for table, part in zip(tables, parts, strict=True))
                self._line(f"{made} = {summed}")
                self._line(f"i += {2 * pairs}")
            with self._text.block("except (KeyError, StructError):"):
                self._line(f"{made}, i = positive(b, i)")
        else:
            self._line(f"{made}, i = positive(b, i)")
        if per > 1:
            self._line(f"{made} //= {per}")
        return made

    def _blocks(self, read: Callable[[], object]) -> None:
        """The items of an array or a map."""
        with self._text.block("while True:"):
            count = self._long()
            self._line(f"if not {count}: break")
            with self._text.block(f"if {count} & 1:"):
                self._long()  # the size of the block
                self._line(f"{count} += 1")
            self._line(f"if {count} >> 1 > len(b): raise LookupError")  # each takes a byte at least
            with self._text.block(f"for _ in range({count} >> 1):"):
                read()

    def _array(self, schema: Any, wanted: Any) -> str:
        made = self._variable("[]")
        self._blocks(lambda: self._line(f"{made}.append({self._value(schema['items'], wanted)})"))
        return made

    def _map(self, schema: Any) -> str:
        made = self._variable("{}")

        def entry() -> None:
            key = self._string()
            self._line(f"{made}[{key}] = {self._value(schema['values'], Any)}")

        self._blocks(entry)
        return made

    def _pass(self, schema: Any) -> str:  # noqa: PLR0912  # a case a kind
        """Pass over a value."""
        kind, schema = resolved(schema, self._named)
        match kind:
            case "null":
                pass
            case "union":
                self._union(schema, self._pass)
            case "record":
                self._fields(schema, lambda _, of: self._pass(of))
            case "array":
                self._blocks(lambda: self._pass(schema["items"]))
            case "map":
                self._blocks(lambda: self._pass("string") + self._pass(schema["values"]))
            case "string":
                self._size()
                self._line("if not s[i:j].isascii(): b[i:j].decode()")
                self._line("i = j")
            case "enum":
                self._plain(kind, schema)
            case "boolean":
                self._line("i += 1")
            case "float" | "double":
                self._line(f"i += {4 if kind == 'float' else 8}")
            case "int" | "long":
                self._long()
            case "bytes":
                self._size()
                if logical_type(schema, self._logical) == "decimal":
                    self._line(f"if j - i > {DECIMAL_BYTES_MAX}: raise LookupError")
                self._line("i = j")
            case "fixed":
                self._line(f"i += {fixed_size(schema)}")
            case _:
                raise UncompiledError
        return "None"

"""A schema of Avro as types for the native library, which reads records by them as `avro` and a map do."""

from collections.abc import Mapping
from typing import Any, Final

from stream_app.ports.map_program import Kind
from stream_app.sources.avro_values import UNITS, logical_type, resolved
from stream_app.sources.schema_types import Types, Wanted, known

_PLAIN: Final = {"boolean": Kind.BOOLEAN, "double": Kind.DOUBLE, "string": Kind.STRING}


def types(schema: Any, named: Mapping[str, Any], logical: str, of: Types, wanted: Wanted) -> int:
    """Put the types of a schema; which one that of its records is. Arguments as of avro_objects.py. `Raises` UnknownError."""
    at = of.room(1)
    _Schema(named, logical, of).put(at, schema, wanted)
    return at


class _Schema:
    def __init__(self, named: Mapping[str, Any], logical: str, of: Types) -> None:
        self._named, self._logical, self._of = named, logical, of
        self._passed: dict[str, tuple[int, int]] = {}  # records of which nothing is wanted: their fields

    def put(self, at: int, schema: Any, wanted: Wanted) -> None:
        """Put a type there. `Raises` UnknownError."""
        kind, schema = resolved(schema, self._named)
        match kind:
            case "null":
                self._of.put(at, Kind.NOTHING)
            case "union":
                first = self._of.room(len(schema))
                self._of.put(at, Kind.UNION, wanted, first, len(schema))
                for branch_at, branch in enumerate(schema, first):
                    self.put(branch_at, branch, wanted)
            case "record":
                self._record(at, schema, wanted)
            case "array" | "map":
                known(wanted is None)
                first = self._of.room(1)
                self._of.put(at, Kind.ARRAY if kind == "array" else Kind.MAP, None, first, 1)
                self.put(first, schema["items" if kind == "array" else "values"], None)
            case "enum":
                self._of.put(at, Kind.ENUM, wanted, *self._of.words(dict(enumerate(schema["symbols"]))))
            case "boolean" | "double" | "string":
                self._of.put(at, _PLAIN[kind], wanted)
            case "int" | "long":
                self._integer(at, kind, logical_type(schema, self._logical), wanted)
            case _:
                self._bytes(at, kind, schema, wanted)

    def _record(self, at: int, schema: Any, wanted: Wanted) -> None:
        name, fields = schema["name"], schema["fields"]
        if wanted is None and name in self._passed:
            self._of.put(at, Kind.RECORD, None, *self._passed[name])
            return
        first = self._of.room(len(fields))
        if wanted is None:
            self._passed[name] = first, len(fields)
        self._of.put(at, Kind.RECORD, wanted, first, len(fields))
        below = self._of.below(wanted)
        for field_at, field in enumerate(fields, first):
            self.put(field_at, field["type"], below(field["name"]))

    def _integer(self, at: int, kind: str, logical: str, wanted: Wanted) -> None:
        sort, _, unit = logical.rpartition("-")
        if (kind, sort) == ("long", "timestamp") and unit in UNITS:
            self._of.put(at, Kind.TIME, wanted, UNITS[unit][1])
        else:  # a wall clock, a date and a time of day are texts
            known(wanted is None or not logical)
            self._of.put(at, Kind.INTEGER, wanted)

    def _bytes(self, at: int, kind: str, schema: Any, wanted: Wanted) -> None:
        size = {"float": 4, "fixed": schema.get("size"), "bytes": 0}[kind]
        if logical_type(schema, self._logical) == "decimal":
            known(size or kind == "bytes")
            self._of.put(at, Kind.DECIMAL, wanted, schema.get("scale", 0), size)
        else:
            known(wanted is None)
            self._of.put(at, Kind.BYTES if kind == "bytes" else Kind.FIXED, None, 0, size)

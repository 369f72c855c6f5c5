"""Rows of a file -> source records: the rules of an import.

Between the reader and the sender. Invariant: a record is a function of its row and the map alone, so an import can be repeated and changes nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from stream_app.domain.events import OPERATOR
from stream_app.sources import registry
from stream_app.sources.maps import map_file as m
from stream_app.sources.maps.cells import Reason
from stream_app.sources.maps.sections import Said, Sections
from stream_app.sources.maps.values import Refusal
from stream_app.sources.registry import SourceTopic

# The source topics that a map feeds, in the order in which they are shown.
MAPPED = (registry.OPERATORS, registry.CUSTOMER_GROUPS, registry.SESSIONS, registry.PAYMENTS)
_BY_KIND = {topic.kind: topic for topic in MAPPED}


class SourceRecord(NamedTuple):
    """A source record: its key is the operator, so that what concerns one stays in order."""

    topic: SourceTopic
    key: bytes
    value: bytes


class Mapping:
    """A map made ready for a header. `Raises` MapError when the header lacks a column that the map names.

    `left_out` says what of the last row was left out of its records, since it is unusable and no result needs it.
    """

    def __init__(self, map_: m.MapFile, header: Sequence[str]) -> None:
        for column, keys in m.columns(map_).items():
            if header.count(column) != 1:
                what = "does not have" if column not in header else "has more than once"
                raise m.MapError(
                    f"`{keys[0]}` names the column {column!r}, which the file {what}; it has {', '.join(header)}"
                )
        index = {name: index for index, name in enumerate(header)}

        def cell(row: Sequence[str], column: str) -> str:
            text = row[index[column]]
            return text if text.strip() else ""

        self._sections = Sections(map_, cell)
        self._operators = map_.operators
        self._width = len(header)
        self._nothing = frozenset(map_.file.nothing)
        self.left_out: list[Refusal] = []

    def announcements(self) -> list[SourceRecord]:
        """The operators of the map."""
        return [_record(Said(OPERATOR, each.operator_id, msgspec.to_builtins(each))) for each in self._operators]

    def records(self, row: Sequence[str]) -> list[SourceRecord] | Refusal:
        """What a row says: groups first, so that a customer's history need not move."""
        self.left_out = []
        if len(row) != self._width:
            return Refusal(Reason.WRONG_CELL_COUNT, "", f"{len(row)} instead of {self._width}")
        if self._nothing:
            row = ["" if cell.strip() in self._nothing else cell for cell in row]
        said = self._sections.said(row)
        self.left_out = self._sections.left_out
        return said if isinstance(said, Refusal) else [_record(each) for each in said]


def _record(said: Said) -> SourceRecord:
    fields: dict[str, Any] = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in said.fields.items()
        if value is not None
    }
    return SourceRecord(_BY_KIND[said.kind], said.operator.encode(), msgspec.json.encode(fields))

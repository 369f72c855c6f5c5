"""Values of a row or record, by the places of a map: texts, ids, states, amounts, energies, times.

Under sections.py, which makes fields of them. Invariant: a value is exact or refused, and the key of the map that is being read is known when it is refused.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from stream_app.domain.money import DIGITS
from stream_app.sources.maps import map_file as m
from stream_app.sources.maps.cells import Reason, RefusedError, checked_id, instant
from stream_app.sources.maps.numbers import from_bytes, minor_units, number

_VERSION_DIGITS = 16


class Refusal(NamedTuple):
    """Why a row is not taken; `key` is the map's, like `session.started_at`, empty for the row as such."""

    reason: Reason
    key: str
    detail: str


Row = TypeVar("Row")


class Values(Generic[Row]):
    """The values of rows, of which `cell` gives the text at a column or path, empty where there is none. `Raises` RefusedError, also in `cell`.

    `items`: the texts at a place that may hold a list. `left_out` says what of the last row was left out, since it is unusable and no result needs it.
    """

    def __init__(
        self,
        rules: m.Rules,
        cell: Callable[[Row, str], str],
        items: Callable[[Row, str], list[str] | None] | None = None,
    ) -> None:
        self._rules, self._cell, self._items = rules, cell, items
        self.left_out: list[Refusal] = []
        self._key = ""  # of the map, of what is being read: a refusal names it

    def _holds(self, key: str, where: Sequence[m.Condition], row: Row) -> bool:
        """Whether all conditions hold."""
        self._key = key
        for condition in where:
            cell = self._cell(row, condition.name)
            if (cell not in condition.is_) if condition.is_ is not None else (cell in (condition.is_not or ())):
                return False
        return True

    def _group_cells(self, spec: m.GroupIds, row: Row) -> list[str] | None:
        """The groups as they are written; None where nothing is said about them. A list may be empty: then there are none."""
        listed = self._items(row, spec.name) if self._items else None
        if listed is not None:
            return listed
        cell = self._cell(row, spec.name)
        if not cell.strip():
            return None
        return cell.split(spec.separator) if spec.separator else [cell]

    def _text(self, spec: m.Text, row: Row) -> str:
        if spec.value is not None:
            return spec.value
        names = spec.columns or spec.paths
        if names:
            cells = [self._cell(row, name) for name in names]
            return spec.separator.join(cells) if all(cells) else ""
        cell = self._cell(row, spec.name)
        return spec.values.get(cell, cell)

    def _id(self, key: str, spec: m.Text, row: Row) -> str:
        self._key = key
        return checked_id(self._text(spec, row))

    def _status(self, key: str, spec: m.Text, row: Row, known: frozenset[str]) -> str:
        self._key = key
        status = self._text(spec, row).strip()
        if status not in known:
            raise RefusedError(Reason.UNKNOWN_STATUS, f"{status!r} is none of {', '.join(sorted(known))}")
        return status

    def _currency(self, key: str, spec: m.Text, row: Row) -> str:
        self._key = key
        currency = self._text(spec, row).strip().upper()
        if currency not in DIGITS:
            raise RefusedError(Reason.UNKNOWN_CURRENCY, f"{currency!r}")
        return currency

    def _version(self, key: str, spec: int | m.Number, row: Row, *, is_needed: bool = False) -> int:
        if isinstance(spec, int):
            return spec
        self._key = key
        text = self._cell(row, spec.name).strip()
        if not text:
            if is_needed:
                raise RefusedError(Reason.EMPTY, "a deletion without it has no place among the other versions")
            return 0
        if not text.isascii() or not text.isdecimal():
            raise RefusedError(Reason.BAD_NUMBER, f"{text[:100]!r} is no integer from 0 on")
        if len(text) > _VERSION_DIGITS or int(text) > m.MOST_VERSION:
            raise RefusedError(Reason.OUT_OF_RANGE, f"{text[:100]!r} is above 2^53")
        return int(text)

    def _amount(self, key: str, spec: m.Amount | None, row: Row, currency: str) -> int:
        """Minor units; an amount without column or with an empty cell is 0."""
        self._key = key
        text = self._text(spec, row) if spec else ""
        if spec and spec.scale is not None and text:
            text = from_bytes(text, spec.scale)
        return minor_units(text, currency, self._rules.money, spec.unit) if spec and text.strip() else 0

    def _energy(self, spec: m.Energy, row: Row) -> str | None:
        """None for an empty cell, and for one that is no number: a session counts without."""
        self._key = "session.energy_kwh"
        try:
            cells = [self._cell(row, name) for name in (spec.name, spec.minus) if name is not None]
            if not all(cell.strip() for cell in cells):
                return None
            first, *rest = [number(cell, spec.decimal, spec.thousands, spec.unit) for cell in cells]
        except RefusedError as refused:
            self.left_out.append(Refusal(refused.reason, "session.energy_kwh", refused.detail))
            return None
        energy = first - rest[0] if rest else first
        return f"{energy.scaleb(-3) if spec.unit == 'Wh' else energy:f}"

    def _filled(self, spec: m.Time, row: Row) -> bool:
        return bool(self._time_text(spec, row))

    def _time_text(self, spec: m.Time, row: Row) -> str:
        names = [spec.name] if spec.name else [spec.date, spec.time]
        return " ".join(self._cell(row, name).strip() for name in names if name is not None).strip()

    def _time_or(self, key: str, spec: m.Time, row: Row, otherwise: datetime) -> datetime:
        return self._time(key, spec, row) if self._filled(spec, row) else otherwise

    def _time(self, key: str, spec: m.Time, row: Row, not_before: datetime | None = None) -> datetime:
        self._key = key
        text = self._time_text(spec, row)
        if not text:
            raise RefusedError(Reason.EMPTY, "a time is needed")
        zone = self._cell(row, spec.zone).strip() if spec.zone is not None else ""
        return instant(text, self._rules.times, not_before, zone, spec.formats)

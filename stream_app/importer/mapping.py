"""Rows -> source records: the rules of an import.

Between the reader and the sender. Invariant: a record is a function of its row and the map alone (no clock, no file position, no row
before it), so an import can be repeated and changes nothing. A row is taken whole or refused whole. Pure: no I/O.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from stream_app.domain.events import ALL
from stream_app.domain.money import DIGITS
from stream_app.sources import registry
from stream_app.sources.maps import map_file as m
from stream_app.sources.maps.cells import Reason, RefusedError, checked_id, epoch_ms, instant
from stream_app.sources.maps.numbers import minor_units, number
from stream_app.sources.registry import SourceTopic

# The source topics that a map feeds, in the order in which they are shown.
MAPPED = (registry.OPERATORS, registry.CUSTOMER_GROUPS, registry.SESSIONS, registry.PAYMENTS)


class SourceRecord(NamedTuple):
    """A source record: its key is the operator, so that what concerns one stays in order."""

    topic: SourceTopic
    key: bytes
    value: bytes


class Refusal(NamedTuple):
    """Why a row is not taken; `key` is the map's, like `session.started_at`, empty for the row as such."""

    reason: Reason
    key: str
    detail: str


Read = Callable[[Sequence[str]], str]


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
        self._map = map_
        self._index = {name: index for index, name in enumerate(header)}
        self._width = len(header)
        self._nothing = frozenset(map_.file.nothing)
        self.left_out: list[Refusal] = []
        self._key = ""  # of the map, of what is being read: a refusal names it

    def announcements(self) -> list[SourceRecord]:
        """The operators of the map."""
        return [
            _record(registry.OPERATORS, each.operator_id, msgspec.to_builtins(each)) for each in self._map.operators
        ]

    def records(self, row: Sequence[str]) -> list[SourceRecord] | Refusal:
        """What a row says: groups first, so that a customer's history need not move."""
        self._key = ""
        self.left_out = []
        if self._nothing:
            row = ["" if cell.strip() in self._nothing else cell for cell in row]
        try:
            return self._records(row)
        except RefusedError as refused:
            return Refusal(refused.reason, self._key, refused.detail)

    def _records(self, row: Sequence[str]) -> list[SourceRecord]:
        if len(row) != self._width:
            raise RefusedError(Reason.WRONG_CELL_COUNT, f"{len(row)} instead of {self._width}")
        operator = self._id("row.operator_id", self._map.row.operator_id, row)
        customer = self._customer(row)
        started, session = self._session(row, operator, customer)
        payment = self._payment(row, operator, customer, started)
        groups = self._groups(row, operator, customer)
        return [record for record in (groups, session, payment) if record]

    def _session(
        self, row: Sequence[str], operator: str, customer: str | None
    ) -> tuple[datetime | None, SourceRecord | None]:
        spec = self._map.session
        if not spec:
            return None, None
        started = self._time("session.started_at", spec.started_at, row)
        fields: dict[str, Any] = {
            "session_id": self._id("session.session_id", spec.session_id, row),
            "operator_id": operator,
            "customer_id": customer,
            "status": self._status("session.status", spec.status, row, m.SESSION_STATES),
            "started_at": started.isoformat(),
        }
        if spec.ended_at and self._filled(spec.ended_at, row):
            fields["ended_at"] = self._time("session.ended_at", spec.ended_at, row, started).isoformat()
        if spec.energy_kwh and row[self._index[spec.energy_kwh.column]].strip():
            fields["energy_kwh"] = self._energy(spec.energy_kwh, row)
        fields["version"] = spec.version
        return started, _record(registry.SESSIONS, operator, fields)

    def _payment(
        self, row: Sequence[str], operator: str, customer: str | None, started: datetime | None
    ) -> SourceRecord | None:
        spec = self._map.payment
        if not spec or not self._text(spec.amount_received, row).strip():
            return None
        self._key = "payment.currency"
        currency = self._text(spec.currency, row).strip()
        if currency not in DIGITS:
            raise RefusedError(Reason.UNKNOWN_CURRENCY, f"{currency!r}")
        fields: dict[str, Any] = {"payment_id": self._id("payment.payment_id", spec.payment_id, row)}
        if spec.session_id and self._text(spec.session_id, row).strip():
            fields["session_id"] = self._id("payment.session_id", spec.session_id, row)
        fields |= {
            "operator_id": operator,
            "customer_id": customer,
            "status": self._status("payment.status", spec.status, row, m.PAYMENT_STATES),
            "amount_received": self._amount("payment.amount_received", spec.amount_received, row, currency),
            "amount_discount": self._amount("payment.amount_discount", spec.amount_discount, row, currency),
            "amount_refunded": self._amount("payment.amount_refunded", spec.amount_refunded, row, currency),
            "currency": currency,
        }
        if fields["amount_refunded"] > fields["amount_received"]:
            raise RefusedError(Reason.OUT_OF_RANGE, "more was refunded than received")
        fields |= {
            "paid_at": self._time("payment.paid_at", spec.paid_at, row, started).isoformat(),
            "version": spec.version,
        }
        return _record(registry.PAYMENTS, operator, fields)

    def _groups(self, row: Sequence[str], operator: str, customer: str | None) -> SourceRecord | None:
        """An empty cell says nothing about groups. The version is the row's time: whatever comes first, the latest row counts."""
        spec = self._map.groups
        cell = row[self._index[spec.group_ids.column]] if spec else ""
        if not spec or customer is None or not cell.strip():
            return None
        at = self._time("groups.at", spec.at, row)
        self._key = "groups.group_ids"
        cells = cell.split(spec.group_ids.separator) if spec.group_ids.separator else [cell]
        ids = [checked_id(part.strip()) for part in cells if part.strip()]
        if ALL in ids:
            raise RefusedError(Reason.RESERVED_GROUP, f"{cell!r}")
        fields = {
            "operator_id": operator,
            "customer_id": customer,
            "group_ids": list(dict.fromkeys(ids)),
            "version": epoch_ms(at),
        }
        return _record(registry.CUSTOMER_GROUPS, operator, fields)

    def _text(self, spec: m.Text, row: Sequence[str]) -> str:
        if spec.column is None:
            return spec.value or ""
        cell = row[self._index[spec.column]]
        return spec.values.get(cell, cell)

    def _id(self, key: str, spec: m.Text, row: Sequence[str]) -> str:
        self._key = key
        return checked_id(self._text(spec, row))

    def _customer(self, row: Sequence[str]) -> str | None:
        spec = self._map.row.customer_id
        if not spec:
            return None
        self._key = "row.customer_id"
        cell = row[self._index[spec.column]]
        return None if not cell.strip() or cell in spec.anonymous else checked_id(cell)

    def _status(self, key: str, spec: m.Text, row: Sequence[str], known: frozenset[str]) -> str:
        self._key = key
        status = self._text(spec, row).strip()
        if status not in known:
            raise RefusedError(Reason.UNKNOWN_STATUS, f"{status!r} is none of {', '.join(sorted(known))}")
        return status

    def _amount(self, key: str, spec: m.Text | None, row: Sequence[str], currency: str) -> int:
        """Minor units; an amount without column or with an empty cell is 0."""
        self._key = key
        text = self._text(spec, row) if spec else ""
        return minor_units(text, currency, self._map.money) if text.strip() else 0

    def _energy(self, spec: m.Energy, row: Sequence[str]) -> str | None:
        """None for one that is no number: a session counts without."""
        try:
            energy = number(row[self._index[spec.column]], spec.decimal, spec.thousands, spec.unit)
        except RefusedError as refused:
            self.left_out.append(Refusal(refused.reason, "session.energy_kwh", refused.detail))
            return None
        return f"{energy.scaleb(-3) if spec.unit == 'Wh' else energy:f}"

    def _filled(self, spec: m.Time, row: Sequence[str]) -> bool:
        return bool(self._time_text(spec, row))

    def _time_text(self, spec: m.Time, row: Sequence[str]) -> str:
        names = [spec.column] if spec.column is not None else [spec.date, spec.time]
        return " ".join(row[self._index[name]].strip() for name in names if name is not None).strip()

    def _time(self, key: str, spec: m.Time, row: Sequence[str], not_before: datetime | None = None) -> datetime:
        self._key = key
        text = self._time_text(spec, row)
        if not text:
            raise RefusedError(Reason.EMPTY, "a time is needed")
        zone = row[self._index[spec.zone]].strip() if spec.zone is not None else ""
        return instant(text, self._map.times, not_before, zone)


def _record(topic: SourceTopic, operator: str, fields: dict[str, Any]) -> SourceRecord:
    given = {name: value for name, value in fields.items() if value is not None}
    return SourceRecord(topic, operator.encode(), msgspec.json.encode(given))

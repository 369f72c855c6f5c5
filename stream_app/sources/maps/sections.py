"""Rows of files and records of topics -> fields of our own contract: what a map says, value by value, with a reason for each refusal.

Between what finds a value (a column of a row, a path into a record) and what takes the fields (the sender of an import, `sources.mapped`). Invariant: the fields
are a function of the row and the map alone (no clock, no position, no row before it). A row is taken whole or refused whole.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from stream_app.domain.events import ALL, GROUP, MEMBERSHIP, OPERATOR, PAYMENT, SESSION
from stream_app.domain.local_time import zone_names
from stream_app.domain.money import DIGITS
from stream_app.sources.maps import map_file as m
from stream_app.sources.maps.cells import Reason, RefusedError, checked_id, epoch_ms, instant
from stream_app.sources.maps.numbers import minor_units, number

_VERSION_DIGITS = 16


class Refusal(NamedTuple):
    """Why a row is not taken; `key` is the map's, like `session.started_at`, empty for the row as such."""

    reason: Reason
    key: str
    detail: str


class Said(NamedTuple):
    """What a row says of an entity: its kind of events, its operator, and the fields by their names in the contract."""

    kind: int
    operator: str
    fields: dict[str, Any]


_Row = TypeVar("_Row")


class Sections(Generic[_Row]):
    """The sections of a map, for rows of which `cell` gives the text at a column or path, empty where there is none. `Raises` RefusedError in `cell`.

    `left_out` says what of the last row was left out of its fields, since it is unusable and no result needs it. `items`: the texts at a place that may hold a list.
    """

    def __init__(
        self,
        rules: m.Rules,
        cell: Callable[[_Row, str], str],
        items: Callable[[_Row, str], list[str] | None] | None = None,
    ) -> None:
        self._rules, self._cell, self._items = rules, cell, items
        self.left_out: list[Refusal] = []
        self._key = ""  # of the map, of what is being read: a refusal names it

    def said(self, row: _Row) -> list[Said] | Refusal:
        """What a row says: groups first, so that a customer's history need not move."""
        self._key = ""
        self.left_out = []
        try:
            return list(self._said(row))
        except RefusedError as refused:
            return Refusal(refused.reason, self._key, refused.detail)

    def _said(self, row: _Row) -> Iterator[Said]:
        operator = self._id("row.operator_id", self._rules.row.operator_id, row)
        customer = self._customer(row)
        started, session = self._session(row, operator, customer)
        payment = self._payment(row, operator, customer, started)
        groups = self._groups(row, operator, customer)
        found = [*self._directory(row, operator), (MEMBERSHIP, groups), (SESSION, session), (PAYMENT, payment)]
        yield from (Said(kind, operator, _given(fields)) for kind, fields in found if fields)

    def _directory(self, row: _Row, operator: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """The operator's own record, and a group's name."""
        if not isinstance(self._rules, m.TopicMap):
            return
        spec = self._rules.operator
        if spec:
            self._key = "operator.timezone"
            zone = self._text(spec.timezone, row)
            if zone not in zone_names():
                raise RefusedError(Reason.UNKNOWN_ZONE, f"{zone!r} is no zone of IANA")
            fields: dict[str, Any] = {
                "operator_id": operator,
                "timezone": zone,
                "currency": self._currency("operator.currency", spec.currency, row),
            }
            self._key = "operator.name"
            fields["name"] = (self._text(spec.name, row) or None) if spec.name else None
            yield OPERATOR, fields | {"version": self._version("operator.version", spec.version, row)}
        group = self._rules.group
        if group:
            fields = {"operator_id": operator, "group_id": self._id("group.group_id", group.group_id, row)}
            if fields["group_id"] == ALL:
                raise RefusedError(Reason.RESERVED_GROUP, f"{ALL!r}")
            self._key = "group.name"
            fields["name"] = self._text(group.name, row)
            yield GROUP, fields | {"version": self._version("group.version", group.version, row)}

    def _session(self, row: _Row, operator: str, customer: str | None) -> tuple[datetime | None, dict[str, Any] | None]:
        spec = self._rules.session
        if not spec:
            return None, None
        started = self._time("session.started_at", spec.started_at, row)
        fields: dict[str, Any] = {
            "session_id": self._id("session.session_id", spec.session_id, row),
            "operator_id": operator,
            "customer_id": customer,
            "status": self._status("session.status", spec.status, row, m.SESSION_STATES),
            "started_at": started,
        }
        if spec.ended_at and self._filled(spec.ended_at, row):
            fields["ended_at"] = self._time("session.ended_at", spec.ended_at, row, started)
        if spec.energy_kwh:
            fields["energy_kwh"] = self._energy(spec.energy_kwh, row)
        fields["version"] = self._version("session.version", spec.version, row)
        return started, fields

    def _payment(
        self, row: _Row, operator: str, customer: str | None, started: datetime | None
    ) -> dict[str, Any] | None:
        spec = self._rules.payment
        self._key = "payment.amount_received"
        if not spec or not self._text(spec.amount_received, row).strip():
            return None
        currency = self._currency("payment.currency", spec.currency, row)
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
            "paid_at": self._time("payment.paid_at", spec.paid_at, row, started),
            "version": self._version("payment.version", spec.version, row),
        }
        return fields

    def _groups(self, row: _Row, operator: str, customer: str | None) -> dict[str, Any] | None:
        """An empty cell says nothing about groups. The version is the row's time: whatever comes first, the latest row counts."""
        spec = self._rules.groups
        self._key = "groups.group_ids"
        cells = self._group_cells(spec.group_ids, row) if spec else None
        if not spec or customer is None or cells is None:
            return None
        at = self._time("groups.at", spec.at, row)
        self._key = "groups.group_ids"
        ids = [checked_id(part.strip()) for part in cells if part.strip()]
        if ALL in ids:
            raise RefusedError(Reason.RESERVED_GROUP, f"{cells!r}")
        return {
            "operator_id": operator,
            "customer_id": customer,
            "group_ids": list(dict.fromkeys(ids)),
            "version": epoch_ms(at),
        }

    def _group_cells(self, spec: m.GroupIds, row: _Row) -> list[str] | None:
        """The groups as they are written; None where nothing is said about them. A list may be empty: then there are none."""
        listed = self._items(row, spec.name) if self._items else None
        if listed is not None:
            return listed
        cell = self._cell(row, spec.name)
        if not cell.strip():
            return None
        return cell.split(spec.separator) if spec.separator else [cell]

    def _text(self, spec: m.Text, row: _Row) -> str:
        if spec.value is not None:
            return spec.value
        names = spec.columns or spec.paths
        if names:
            cells = [self._cell(row, name) for name in names]
            return spec.separator.join(cells) if all(cells) else ""
        cell = self._cell(row, spec.name)
        return spec.values.get(cell, cell)

    def _id(self, key: str, spec: m.Text, row: _Row) -> str:
        self._key = key
        return checked_id(self._text(spec, row))

    def _customer(self, row: _Row) -> str | None:
        spec = self._rules.row.customer_id
        if not spec:
            return None
        self._key = "row.customer_id"
        cell = self._text(spec, row)
        return None if not cell.strip() or cell in spec.anonymous else checked_id(cell)

    def _status(self, key: str, spec: m.Text, row: _Row, known: frozenset[str]) -> str:
        self._key = key
        status = self._text(spec, row).strip()
        if status not in known:
            raise RefusedError(Reason.UNKNOWN_STATUS, f"{status!r} is none of {', '.join(sorted(known))}")
        return status

    def _currency(self, key: str, spec: m.Text, row: _Row) -> str:
        self._key = key
        currency = self._text(spec, row).strip()
        if currency not in DIGITS:
            raise RefusedError(Reason.UNKNOWN_CURRENCY, f"{currency!r}")
        return currency

    def _version(self, key: str, spec: int | m.Number, row: _Row) -> int:
        if isinstance(spec, int):
            return spec
        self._key = key
        text = self._cell(row, spec.name).strip()
        if not text:
            return 0
        if not text.isascii() or not text.isdecimal():
            raise RefusedError(Reason.BAD_NUMBER, f"{text[:100]!r} is no integer from 0 on")
        if len(text) > _VERSION_DIGITS or int(text) > m.MOST_VERSION:
            raise RefusedError(Reason.OUT_OF_RANGE, f"{text[:100]!r} is above 2^53")
        return int(text)

    def _amount(self, key: str, spec: m.Amount | None, row: _Row, currency: str) -> int:
        """Minor units; an amount without column or with an empty cell is 0."""
        self._key = key
        text = self._text(spec, row) if spec else ""
        return minor_units(text, currency, self._rules.money, spec.unit) if spec and text.strip() else 0

    def _energy(self, spec: m.Energy, row: _Row) -> str | None:
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

    def _filled(self, spec: m.Time, row: _Row) -> bool:
        return bool(self._time_text(spec, row))

    def _time_text(self, spec: m.Time, row: _Row) -> str:
        names = [spec.name] if spec.name else [spec.date, spec.time]
        return " ".join(self._cell(row, name).strip() for name in names if name is not None).strip()

    def _time(self, key: str, spec: m.Time, row: _Row, not_before: datetime | None = None) -> datetime:
        self._key = key
        text = self._time_text(spec, row)
        if not text:
            raise RefusedError(Reason.EMPTY, "a time is needed")
        zone = self._cell(row, spec.zone).strip() if spec.zone is not None else ""
        return instant(text, self._rules.times, not_before, zone, spec.formats)


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}

"""Rows of files and records of topics -> fields of our own contract: what a map says, value by value, with a reason for each refusal.

Between what finds a value (a column of a row, a path into a record) and what takes the fields (the sender of an import, `sources.mapped`). Invariant: the fields
are a function of the row and the map alone (no clock, no position, no row before it). A row is taken whole or refused whole.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from stream_app.domain.events import ALL, GROUP, MEMBERSHIP, OPERATOR, PAYMENT, SESSION
from stream_app.domain.local_time import zone_names
from stream_app.sources.maps import map_file as m
from stream_app.sources.maps.cells import Reason, RefusedError, checked_id, epoch_ms
from stream_app.sources.maps.values import Refusal, Row, Values

_ANY_CURRENCY = "EUR"  # of a payment that counts nowhere


class Said(NamedTuple):
    """What a row says of an entity: its kind of events, its operator, and the fields by their names in the contract."""

    kind: int
    operator: str
    fields: dict[str, Any]


class Sections(Values[Row]):
    """The sections of a map."""

    def said(self, row: Row) -> list[Said] | Refusal:
        """What a row says: groups first, so that a customer's history need not move."""
        self._key = ""
        self.left_out = []
        try:
            return list(self._said(row))
        except RefusedError as refused:
            return Refusal(refused.reason, self._key, refused.detail)

    def taken_back(self, row: Row, deleted_at: datetime) -> list[Said] | Refusal:
        """What it says that a row is no more: its session and payment count nowhere, its customer has no groups.

        Of the row, ids must be there, and versions where the map names their place; a time that is not there is `deleted_at`.
        """
        self._key = ""
        try:
            return list(self._taken_back(row, deleted_at))
        except RefusedError as refused:
            return Refusal(refused.reason, self._key, refused.detail)

    def _taken_back(self, row: Row, deleted_at: datetime) -> Iterator[Said]:
        if not self._holds("where", self._rules.where, row):
            return
        operator = self._id("row.operator_id", self._rules.row.operator_id, row)
        customer = self._customer(row)
        groups, session, payment = self._rules.groups, self._rules.session, self._rules.payment
        if groups and customer is not None and self._holds("groups.where", groups.where, row):
            fields = {
                "operator_id": operator,
                "customer_id": customer,
                "group_ids": [],
                "version": epoch_ms(deleted_at),
            }
            yield Said(MEMBERSHIP, operator, fields)
        if session and self._holds("session.where", session.where, row):
            fields = {
                "session_id": self._id("session.session_id", session.session_id, row),
                "operator_id": operator,
                "status": "INVALID",
                "started_at": self._time_or("session.started_at", session.started_at, row, deleted_at),
                "version": self._version("session.version", session.version, row, is_needed=True),
            }
            yield Said(SESSION, operator, fields)
        if payment and self._holds("payment.where", payment.where, row):
            fields = {
                "payment_id": self._id("payment.payment_id", payment.payment_id, row),
                "operator_id": operator,
                "status": "CANCELED",
                "amount_received": 0,
                "currency": _ANY_CURRENCY,
                "paid_at": self._time_or("payment.paid_at", payment.paid_at, row, deleted_at),
                "version": self._version("payment.version", payment.version, row, is_needed=True),
            }
            yield Said(PAYMENT, operator, fields)

    def _said(self, row: Row) -> Iterator[Said]:
        if not self._holds("where", self._rules.where, row):
            return
        operator = self._id("row.operator_id", self._rules.row.operator_id, row)
        customer = self._customer(row)
        started, session = self._session(row, operator, customer)
        payment = self._payment(row, operator, customer, started)
        groups = self._groups(row, operator, customer)
        found = [*self._directory(row, operator), (MEMBERSHIP, groups), (SESSION, session), (PAYMENT, payment)]
        yield from (Said(kind, operator, _given(fields)) for kind, fields in found if fields)

    def _directory(self, row: Row, operator: str) -> Iterator[tuple[int, dict[str, Any]]]:
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

    def _session(self, row: Row, operator: str, customer: str | None) -> tuple[datetime | None, dict[str, Any] | None]:
        spec = self._rules.session
        if not spec or not self._holds("session.where", spec.where, row):
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
        self, row: Row, operator: str, customer: str | None, started: datetime | None
    ) -> dict[str, Any] | None:
        spec = self._rules.payment
        if not spec or not self._holds("payment.where", spec.where, row):
            return None
        self._key = "payment.amount_received"
        if not self._text(spec.amount_received, row).strip():
            return None
        currency = self._currency("payment.currency", spec.currency, row)
        fields: dict[str, Any] = {"payment_id": self._id("payment.payment_id", spec.payment_id, row)}
        if spec.session_id and self._text(spec.session_id, row):
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

    def _groups(self, row: Row, operator: str, customer: str | None) -> dict[str, Any] | None:
        """An empty cell says nothing about groups. The version is the row's time: whatever comes first, the latest row counts."""
        spec = self._rules.groups
        if not spec or customer is None or not self._holds("groups.where", spec.where, row):
            return None
        self._key = "groups.group_ids"
        cells = self._group_cells(spec.group_ids, row)
        if cells is None:
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

    def _customer(self, row: Row) -> str | None:
        spec = self._rules.row.customer_id
        if not spec:
            return None
        self._key = "row.customer_id"
        cell = self._text(spec, row)
        return None if not cell or cell in spec.anonymous else checked_id(cell)


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}

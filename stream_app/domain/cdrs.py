"""Upsert of CDRs. A credit takes back the CDR that it names, whichever of the two comes first.

The row of a CDR lists the credits that name it now (CREDITED: id -> time); while one does, it counts nowhere. A credit
contributes nothing itself, and its correction (another reference, no credit any more) gives back what the old one took.
A credit whose CDR never came leaves a placeholder, a row of version -1.
"""

from collections.abc import Callable, Sequence

from stream_app.domain.calendar import count, is_known
from stream_app.domain.cells import Operator
from stream_app.domain.events import (
    CDR,
    COUNTED,
    CREDITED,
    CREDITS,
    CUSTOMER,
    HOLD,
    TIME,
    Events,
    Row,
    later,
    placeholder,
)
from stream_app.domain.rules import Rule
from stream_app.domain.working import Working


class Cdrs:
    """One part of a batch, whose rows (and those of the CDRs that its credits name) and customers are loaded."""

    def __init__(
        self,
        work: Working,
        part: Events,
        current: dict[bytes, Row],
        rules: Sequence[Rule],
        reject: Callable[[Events, int], None],
    ) -> None:
        self._work, self._part, self._current, self._rules, self._reject = work, part, current, rules, reject
        self._operator: Operator = work.operators[part.operator]
        self._local = work.zone(part.operator).local

    def upsert(self) -> None:
        """Apply the events in order."""
        horizon = self._work.horizon
        for index, (cdr_id, key, event) in enumerate(
            zip(self._part.ids, self._part.keys, self._part.rows, strict=True)
        ):
            old = self._current.get(key)
            name = cdr_id.decode()
            if old is not None and is_known(old, horizon):
                if not later(event, old):
                    continue
                self._add(old, -1)
                if old[CREDITS] is not None:
                    self._uncredit(old[CREDITS], name)
                hold = old[HOLD] or old[TIME]
                if hold > event[TIME]:
                    event[HOLD] = hold
            elif event[TIME] < horizon:
                self._reject(self._part, index)
                continue
            credited = self._current[key][CREDITED] if key in self._current else {}
            if old is None or not is_known(old, horizon):  # a credit that has left retention is not known either
                credited = {by: time for by, time in credited.items() if time >= horizon}
            event[CREDITED] = credited
            self._store(key, event)
            self._add(event, 1)
            if event[CREDITS] is not None:
                self._credit(event[CREDITS], name, event[TIME])

    def _store(self, key: bytes, row: Row) -> None:
        self._current[key] = self._work.entities[key] = row

    def _add(self, row: Row, sign: int) -> None:
        """Add what a CDR contributes, which is nothing while it is credited."""
        if row[COUNTED] and not row[CREDITED]:
            name, customer = row[CUSTOMER], None
            if name is not None:
                customer = self._work.customers[self._part.operator][name]
                self._work.changed_customers[self._part.operator, name] = customer
            count(self._rules, CDR, row, customer, self._local, self._operator.horizon, sign)

    def _credit(self, cdr_id: str, by: str, time: int) -> None:
        key = self._work.rows.entity_key(self._part.operator, CDR, cdr_id)
        row = self._current.get(key)
        if row is None:
            row = placeholder()
        if is_known(row, self._work.horizon):
            self._add(row, -1)
        row[CREDITED][by] = time
        self._store(key, row)

    def _uncredit(self, cdr_id: str, by: str) -> None:
        key = self._work.rows.entity_key(self._part.operator, CDR, cdr_id)
        row = self._current.get(key)
        if row is None or by not in row[CREDITED]:
            return
        del row[CREDITED][by]
        if is_known(row, self._work.horizon):
            self._add(row, 1)
        self._store(key, row)

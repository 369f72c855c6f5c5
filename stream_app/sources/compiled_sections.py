"""The fast way of a map, sections: the function that makes rows of the values of its sections, by what finds each value.

Under `compiled`, which finds records in values, and above `compiled_values` and `compiled_rows`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from stream_app.domain.events import ALL, GROUP, MEMBERSHIP, OPERATOR, PAYMENT, SESSION
from stream_app.domain.local_time import zone_names
from stream_app.sources import compiled_rows as rows
from stream_app.sources.compiled_values import GIVEN, Values
from stream_app.sources.function_text import FunctionText
from stream_app.sources.maps import map_file as m
from stream_app.sources.objects import Node

_STAMP: Final = "timestamp, offset, partition, latest_ms"
_Events = TypeVar("_Events", bound=Sequence[Any])


def alone(events: _Events) -> _Events:
    """The events of one value, if each entity is in it once. `Raises` LookupError: which of several is the later one, the exact way knows."""
    if len(events) > 1 and len({event[:3] for event in events}) < len(events):
        raise LookupError
    return events


class SectionsFunction:
    """A function of a map: the lines that make rows of its values.

    It gives what is said, as the items of an Event; with `names_only` the kinds, operators and ids alone, as a set. `looks_at_ids`: as in Values.
    """

    def __init__(
        self, map_: m.TopicMap, root: Node, row: Node, *, looks_at_ids: bool = False, names_only: bool = False
    ) -> None:
        self._map, self._names_only = map_, names_only
        self._text = FunctionText(GIVEN)
        self._values = Values(map_, root, row, self._text, looks_at_ids=looks_at_ids)

    def of_bytes(
        self, decode: Callable[[Any], Any], *lead: str, check: tuple[str, Callable[..., None]] | None = None
    ) -> Any:
        """Compile it for the bytes of a value. `Raises` UncompiledError.

        `lead`: lines that find the record `r` in the decoded value `e`; `check`: a condition, and what is called then with the value, what is said and the stamp.
        """
        self._text.line(f"e = {self._text.name(decode)}(value)")
        for line in lead:
            self._text.line(line)
        return self._made("value", check)

    def of_list(self, found: Callable[[Any], Any]) -> Any:
        """Compile it for the bytes of a value that may hold several records. `Raises` UncompiledError."""
        self._text.line("out = []")
        with self._text.block(f"for r in {self._text.name(found)}(value):"):
            self._all()
        self._text.line(f"return {self._text.name(alone)}(out)")
        return self._text.made(f"value, {_STAMP}")

    def of_record(self) -> Any:
        """Compile it for a decoded value and the record in it. `Raises` UncompiledError."""
        return self._made("e, r")

    def _made(self, takes: str, check: tuple[str, Callable[..., None]] | None = None) -> Any:
        self._text.line("out = []")
        self._all()
        if check:
            condition, function = check
            self._text.line(f"if {condition}: {self._text.name(function)}(e, out, {_STAMP})")
        self._text.line(f"return {'set(out)' if self._names_only else 'out'}")
        return self._text.made(f"{takes}, {_STAMP}")

    def _all(self) -> None:
        with self._values.if_all(self._map.where):
            self._sections()

    def _sections(self) -> None:
        whose = self._map.row
        assert whose is not None  # map_load sees to it, but for CDRs
        operator, spec = self._values.id(whose.operator_id), whose.customer_id
        needs_customer = spec and not (self._names_only and not self._map.groups)
        customer = self._values.customer(spec) if spec and needs_customer else "None"
        if not self._names_only:
            self._directory(operator)
        if groups := self._map.groups:
            with self._text.block(f"if {customer} is not None:"), self._values.if_all(groups.where):
                self._groups(groups, operator, customer)
        if session := self._map.session:
            with self._values.if_all(session.where):
                self._session(session, operator, customer)
        if payment := self._map.payment:
            with self._values.if_all(payment.where):
                self._payment(payment, operator, customer)

    def _directory(self, operator: str) -> None:
        """The operator's own record, and a group's name."""
        if spec := self._map.operator:
            zone = self._values.plain_text(spec.timezone)
            self._text.line(f"if {zone} not in {self._text.name(zone_names())}: raise LookupError")
            currency = self._values.currency("operator", spec.currency)
            name = f"{self._values.name(spec.name)} or None" if spec.name else "None"
            row = rows.named(self._values.version(spec.version), zone, currency, name)
            self._text.line(f"out.append(({OPERATOR}, {operator}, '', {row}))")
        if group := self._map.group:
            of = self._values.id(group.group_id)
            self._text.line(f"if {of} == {ALL!r}: raise LookupError")
            row = rows.named(self._values.version(group.version), self._values.name(group.name))
            self._text.line(f"out.append(({GROUP}, {operator}, {of}, {row}))")

    def _groups(self, spec: m.Groups, operator: str, customer: str) -> None:
        """A place that holds nothing says nothing about groups."""
        if self._names_only:
            self._text.line(f"out.append(({MEMBERSHIP}, {operator}, {customer}))")
            return
        found = self._values.group_ids(spec.group_ids)
        with self._text.block(f"if {found} is not None:"):
            row = rows.named(self._values.time(spec.at), f"[*{found}]")
            self._text.line(f"out.append(({MEMBERSHIP}, {operator}, {customer}, {row}))")

    def _session(self, spec: m.Session, operator: str, customer: str) -> None:
        name = self._values.id(spec.session_id)
        if self._names_only:
            self._text.line(f"out.append(({SESSION}, {operator}, {name}))")
            return
        counted = self._values.word(
            "session", spec.status, {state: rows.counted_session(state) for state in m.SESSION_STATES}
        )
        started = self._values.time(spec.started_at)
        ended = self._values.time(spec.ended_at, is_needed=False) if spec.ended_at else "None"
        energy = self._values.energy(spec.energy_kwh) if spec.energy_kwh else "None"
        row = rows.session(self._values.version(spec.version), counted, started, customer, energy, ended)
        self._event(SESSION, operator, name, started, row)

    def _payment(self, spec: m.Payment, operator: str, customer: str) -> None:
        if self._names_only:
            self._text.line(f"out.append(({PAYMENT}, {operator}, {self._values.id(spec.payment_id)}))")
            return
        with self._text.block(f"if {self._values.text(spec.amount_received)} is not None:"):
            currency = self._values.currency("payment", spec.currency)
            name = self._values.id(spec.payment_id)
            received, discount, refunded = (
                self._values.amount(amount, currency, spec.currency.value, is_there=amount is spec.amount_received)
                for amount in (spec.amount_received, spec.amount_discount, spec.amount_refunded)
            )
            session = self._values.id(spec.session_id, is_needed=False) if spec.session_id else "None"
            counted = self._values.word(
                "payment", spec.status, {state: rows.counted_payment(state) for state in m.PAYMENT_STATES}
            )
            paid, version = self._values.time(spec.paid_at), self._values.version(spec.version)
            if spec.amount_refunded:
                self._text.line(f"if {refunded} > {received}: raise ValueError")
                counted = self._text.variable(f"0 if {received} == {refunded} > 0 else {counted}")
            row = rows.payment(version, counted, paid, customer, received, discount, refunded, currency, session)
            self._event(PAYMENT, operator, name, paid, row)

    def _event(self, kind: int, operator: str, name: str, time: str, row: str) -> None:
        self._text.line(f"if {time} > latest_ms: raise ValueError")
        self._text.line(f"out.append(({kind}, {operator}, {name}, {row}))")

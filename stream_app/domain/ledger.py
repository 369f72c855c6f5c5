"""The ledger of one events partition: from events to rows and cells.

Theory of operation. An *entity* (a session, a payment, a CDR) is its latest record by (version, Kafka timestamp,
offset, source partition): one total order, so duplicates, replays and disorder change nothing. A customer's groups, a
group's name and an operator's zone and currency are their latest records, too. Cells are sums over the counted entities
of a group's customers. Applying an event is an upsert: what the entity contributed is taken back, wherever it was
counted, and what it contributes now is added; a changed membership moves the customer's whole contribution, which is
kept per customer, without reading an entity; a changed zone counts the operator anew from its entities.

So the outcome depends on the set of records only, but for two things that have a place in the log, and at which a batch
is cut: clock records, which move retention, and changed zones. Hence the same whatever the batches.

    apply(frames)            reads rows, changes them in memory; returns the events rejected as too late
    applying(frames)         the same in steps, for who has other things to do meanwhile
    freeze(version, as_of)   all that changed since the last freeze
    freezing(version, as_of) the same in steps
It knows neither Kafka nor Faust nor RocksDB, and has no clock. After an exception it must be dropped: nothing that was
not frozen counts.
"""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from stream_app.domain import calendar
from stream_app.domain.cdrs import Cdrs
from stream_app.domain.cells import Cell, CellKey, Customer, FigureCell, Group, Operator, Shown
from stream_app.domain.events import (
    ALL,
    CDR,
    COUNTED,
    CREDITS,
    CUSTOMER,
    ENTITIES,
    GROUP,
    GROUP_IDS,
    HOLD,
    MEMBERSHIP,
    NAME,
    OFFSET,
    OPERATOR,
    OPERATOR_CURRENCY,
    OPERATOR_NAME,
    PARTITION,
    PAYMENT,
    STAMP,
    TIME,
    TIMEZONE,
    Events,
    Row,
    is_later,
    later,
)
from stream_app.domain.figures import PAYMENTS, SESSIONS
from stream_app.domain.figures import VERSION as FIGURES_VERSION
from stream_app.domain.local_time import iso_quarter
from stream_app.domain.rules import Rule, kept
from stream_app.domain.steps import in_steps, outcome
from stream_app.domain.tables import MONTHLY, TABLES, Table
from stream_app.domain.working import Settings, Working
from stream_app.domain.working_cells import STEP_CELLS, WorkingCells
from stream_app.domain.working_rows import Rows, Upserts


class LateEvent(NamedTuple):
    """An event that was rejected as too late: kind, place, key and value of its source record, and why."""

    kind: int
    partition: int
    offset: int
    source_key: bytes | None
    value: bytes | None
    detail: str


class Frozen(NamedTuple):
    """What changed since the last freeze; None: deleted.

    Cells by name of table; `dropped`: those that left retention, as they last were. `encoded`: further rows of entities and customers by key, as
    they are stored, and those of cells that are bytes.
    """

    entities: dict[bytes, Row | None]
    customers: dict[tuple[str, str], Customer | None]
    cells: dict[str, dict[CellKey, Cell | bytes | None]]
    operators: dict[str, Operator]
    groups: dict[tuple[str, str], Group | None]
    relisted: set[str]
    hidden: set[tuple[str, str]]
    dropped: dict[str, dict[CellKey, Cell]]
    encoded: dict[bytes, bytes]


class Ledger:
    """The ledger of one partition, or of `only` one operator of it, above the rows of the last freeze. `now`: quarter hours, 0 while unknown.

    `upserts`: a faster way for nearly all sessions, payments and memberships; None: there is none.
    """

    def __init__(
        self,
        rows: Rows,
        settings: Settings,
        now: int,
        only: str | None = None,
        upserts: Upserts[Working] | None = None,
    ) -> None:
        self.work = Working(rows, settings, now, only, upserts)
        self.late: list[LateEvent] = []

    # -- applying

    def apply(self, frames: Iterable[tuple[int | None, Sequence[Events]]]) -> list[LateEvent]:
        """Apply frames, each (clock, parts), in order."""
        for _ in self.applying(frames):
            pass
        return self.late

    def applying(self, frames: Iterable[tuple[int | None, Sequence[Events]]]) -> Iterator[None]:
        """Apply frames, in steps: changed zones and groups take long. `late` is complete at the end, and nothing may come between."""
        self.late = []
        gathered: list[Events] = []
        for clock, parts in frames:
            if clock is not None and clock > self.work.now:
                yield from self._segment(gathered)
                gathered = []
                calendar.advance(self.work, clock)
            for part in parts:
                if part.kind == OPERATOR:
                    yield from self._segment(gathered)
                    gathered = []
                    for row in part.rows:
                        yield from self._announce(part.operator, row)
                else:
                    gathered.append(part)
        yield from self._segment(gathered)

    def rezones(self, part: Events) -> bool:
        """Would these events, were they applied now, count a known operator anew in another zone?"""
        operator = self.work.operators.get(part.operator)
        return (
            part.kind == OPERATOR
            and operator is not None
            and any(row[TIMEZONE] != operator.timezone and is_later(row, operator.stamp) for row in part.rows)
        )

    def take_over(self, other: "Ledger", name: str) -> None:
        """An operator is as another ledger has it from now on, which is for it only, and was made when nothing of it was unfrozen here."""
        self.work.take_over(other.work, name)

    def _segment(self, gathered: Sequence[Events]) -> Iterator[None]:
        """Apply events between which neither the clock nor a zone changes."""
        gathered = [part for part in gathered if self._admit(part)]
        if not gathered:
            return
        work = self.work
        rules = work.rules()
        if work.upserts is None:
            yield from self._upsert_all(gathered, rules)
        else:
            for is_encoded, parts in groupby(gathered, lambda part: part.encoded is not None):
                run: Sequence[Events] = list(parts)
                if is_encoded:
                    run = yield from work.upserts.upserting(work, run, rules)
                yield from self._upsert_all(run, rules)
        yield from work.fold(rules)

    def _upsert_all(self, gathered: Sequence[Events], rules: Mapping[str, Sequence[Rule]]) -> Iterator[None]:
        """Apply events to entities, customers and `rules`."""
        if not gathered:
            return
        work = self.work
        current = work.load_entities([key for part in gathered for key in part.keys])
        credited = self._load_credited(gathered, current)
        wanted: dict[str, set[str | None]] = defaultdict(set)
        for part in gathered:
            names = wanted[part.operator]
            if part.kind == MEMBERSHIP:
                names.update([name.decode() for name in part.ids])
            elif part.kind != GROUP:
                names.update([row[CUSTOMER] for row in part.rows])
                if current:
                    names.update([current[key][CUSTOMER] for key in part.keys if key in current])
                    names.update([current[key][CUSTOMER] for key in credited if part.kind == CDR and key in current])
        work.load_customers(wanted)
        for part in gathered:
            if part.kind == GROUP:
                self._name_groups(part)
            elif part.kind == MEMBERSHIP:
                yield from self._move(part, rules[part.operator])
            elif part.kind == CDR:
                Cdrs(work, part, current, rules[part.operator], self._reject).upsert()
            else:
                self._upsert(part, current, rules[part.operator])

    def _admit(self, part: Events) -> bool:
        """Make the operator of some events known, unless all of them are too late: then reject them, and say False."""
        work = self.work
        if part.operator not in work.operators:
            if part.kind in ENTITIES and all(row[TIME] < work.horizon for row in part.rows):
                for index in range(len(part.rows)):
                    self._reject(part, index)
                return False
            calendar.become_known(work, part.operator, "UTC")
        return True

    def _load_credited(self, gathered: Sequence[Events], current: dict[bytes, Row]) -> list[bytes]:
        """The rows of CDRs that a credit names, or named before, into `current`."""
        key_of = self.work.rows.entity_key
        keys = {
            key_of(part.operator, CDR, row[CREDITS])
            for part in gathered
            if part.kind == CDR
            for row in [*part.rows, *(current[key] for key in part.keys if key in current)]
            if row[CREDITS] is not None
        }
        absent = [key for key in keys if key not in current]
        current.update(self.work.load_entities(absent))
        return list(keys)

    def _reject(self, part: Events, index: int) -> None:
        if part.again:
            return
        row, (source_key, value) = part.rows[index], part.raws.get(index, (None, None))
        detail = (
            f"{part.ids[index].decode()} of {part.operator} is of {iso_quarter(row[TIME])}, and new; "
            f"no time zone keeps anything before {iso_quarter(self.work.horizon)}"
        )
        self.late.append(LateEvent(part.kind, row[PARTITION], row[OFFSET], source_key, value, detail))

    def _upsert(self, part: Events, current: dict[bytes, Row], rules: Sequence[Rule]) -> None:
        """Apply sessions, or payments: take back what each entity contributed before, add what it contributes now."""
        work, operator = self.work, self.work.operators[part.operator]
        known_from, horizon, local = work.horizon, operator.horizon, work.zone(part.operator).local
        operator_id, customers = part.operator, work.customers[part.operator]
        changed, out = work.changed_customers, work.entities
        adds = _adds(part.kind, rules)
        for index, (key, event) in enumerate(zip(part.keys, part.rows, strict=True)):
            old, time = current.get(key), event[TIME]
            if old is not None and (hold := old[HOLD] or old[TIME]) >= known_from:
                if not later(event, old):
                    continue
                if old[COUNTED] and old[TIME] >= horizon:
                    name, customer, when = old[CUSTOMER], None, local(old[TIME])
                    if name is not None:
                        customer = changed[operator_id, name] = customers[name]
                    for add in adds:
                        add(customer, old, when, -1)
                if hold > time:
                    event[HOLD] = hold
            elif time < known_from:
                self._reject(part, index)
                continue
            current[key] = out[key] = event
            if event[COUNTED] and time >= horizon:
                name, customer, when = event[CUSTOMER], None, local(time)
                if name is not None:
                    customer = changed[operator_id, name] = customers[name]
                for add in adds:
                    add(customer, event, when, 1)

    def _move(self, part: Events, rules: Sequence[Rule]) -> Iterator[None]:
        """A changed membership takes the customer's contribution along."""
        moved = 0  # between how many groups, in this step
        for customer_id, row in zip(part.ids, part.rows, strict=True):
            name = customer_id.decode()
            customer = self.work.customers[part.operator][name]
            if (stamp := tuple(row[STAMP])) <= customer.stamp:
                continue
            before, customer.groups, customer.stamp = customer.groups, (ALL, *row[GROUP_IDS]), stamp
            self.work.changed_customers[part.operator, name] = customer
            # Most memberships are of customers who have yet to come.
            if not customer.parts or customer.groups == before:
                continue
            for groups, sign in ((set(before) - set(customer.groups), -1), (set(customer.groups) - set(before), 1)):
                if groups:
                    for rule in rules:
                        rule.customer(customer, tuple(sorted(groups)), sign)
                    moved += len(groups)
            if moved >= STEP_CELLS:
                yield
                moved = 0

    def _name_groups(self, part: Events) -> None:
        groups = self.work.groups[part.operator]
        for group_id, row in zip(part.ids, part.rows, strict=True):
            group = groups.setdefault(group_id.decode(), Group())
            if is_later(row, group.stamp):
                group.name, group.stamp = row[NAME], tuple(row[STAMP])
                self.work.changed_groups.add((part.operator, group_id.decode()))
                self.work.relisted.add(part.operator)

    def _announce(self, name: str, row: Row) -> Iterator[None]:
        work = self.work
        operator = calendar.become_known(work, name, row[TIMEZONE])
        if not is_later(row, operator.stamp):
            return
        operator.stamp, operator.name, operator.announced_currency = (
            tuple(row[STAMP]),
            row[OPERATOR_NAME],
            row[OPERATOR_CURRENCY],
        )
        work.changed_operators.add(name)
        work.relisted.add(name)
        if row[TIMEZONE] != operator.timezone:
            yield from calendar.rezone(work, name, row[TIMEZONE])

    # -- freezing

    def freeze(self, version: int, as_of: int) -> Frozen:
        """All that changed since the last freeze; changed cells get this version and as-of (epoch milliseconds)."""
        return outcome(self.freezing(version, as_of))

    def freezing(self, version: int, as_of: int) -> Generator[None, None, Frozen]:
        """The same in steps, between which nothing may come."""
        work = self.work
        for name in work.changed_operators:
            yield from self._settle_currency(name)
        cells: dict[str, dict[CellKey, Cell | bytes | None]] = {}
        dropped: dict[str, dict[CellKey, Cell]] = {}
        encoded = {} if work.upserts is None else work.upserts.freeze()
        for table in TABLES:
            own = work.cells[table.name]
            own.complete(work.operators)
            yield from self._stamp(own, version, as_of)
            cells[table.name], dropped[table.name], rows = own.freeze(version, as_of)
            encoded |= rows
            yield from self._show(table, cells[table.name], Shown(version, as_of))
        frozen = Frozen(
            work.entities,
            {name: kept(customer) for name, customer in work.changed_customers.items()},
            cells,
            {name: work.operators[name] for name in work.changed_operators},
            {(operator, group): work.groups[operator].get(group) for operator, group in work.changed_groups},
            work.relisted,
            work.hidden,
            dropped,
            encoded,
        )
        work.restart()
        return frozen

    def _stamp(self, cells: WorkingCells[Any], version: int, as_of: int) -> Iterator[None]:
        """Give changed cells their version."""
        for cell in cells.last.values():
            cell.version, cell.as_of = version, as_of
        for some in in_steps(cells.changed.values(), STEP_CELLS):
            for cell in some:
                if cell is not None:
                    cell.version, cell.as_of = version, as_of
            yield

    def _show(self, table: Table[Any], cells: Mapping[CellKey, object], shown: Shown) -> Iterator[None]:
        """Give what shows changed cells of a table their version, too."""
        work = self.work
        groups: set[tuple[str, str]] = set()
        for some in in_steps(cells.items(), STEP_CELLS):
            groups |= {(operator, group) for (operator, group, _), cell in some if cell is not None}
            yield
        for operator, group in groups:
            work.groups[operator][group].shown[table.name] = shown
        work.changed_groups |= groups

    def _settle_currency(self, name: str) -> Iterator[None]:
        """Settle the operator's currency: announced, else that of most counted payments, else the default.

        Only retained payments count; of currencies with equally many the first in the alphabet wins.
        """
        work, operator = self.work, self.work.operators[name]
        counts = {currency: sum(months.values()) for currency, months in operator.payments.items() if months}
        most = min(counts, key=lambda currency: (-counts[currency], currency), default=work.settings.default_currency)
        currency = operator.announced_currency or most
        if currency != operator.currency:
            operator.payments.setdefault(operator.currency, {})
            operator.currency = currency
            work.relisted.add(name)
            shown = yield from work.cells[MONTHLY.name].listing(name)
            for keys in in_steps(shown, STEP_CELLS):
                for key in keys:  # each shows a row of the operator's currency
                    work.touch(MONTHLY, key)
                yield

    # -- in small steps, while nothing else is to do

    def sweep(self, name: str, after: tuple[bytes, str] | None, limit: int) -> tuple[bytes, str] | None:
        """Delete up to `limit` rows of an operator past retention; where the sweep stopped, None at its end."""
        return calendar.sweep(self.work, name, after, limit)

    def unswept(self) -> list[str]:
        """Operators with rows that no time zone retains."""
        return [name for name, operator in self.work.operators.items() if operator.swept < self.work.horizon]

    def outdated(self) -> list[str]:
        """Operators with cells that were shown by an older table of figures."""
        return [name for name, operator in self.work.operators.items() if operator.figures < FIGURES_VERSION]

    def show(self, table: Table[Any], key: CellKey, currency: str) -> None:
        """Show a cell that is kept, and one of figures in this currency, from now on: with zeros where nothing counts in it."""
        operator = calendar.become_known(self.work, key.operator, "UTC")
        if key.period < table.first_kept(operator):
            return
        self.work.groups[key.operator].setdefault(key.group, Group())
        cell = self.work.touch(table, key)
        if isinstance(cell, FigureCell):
            cell.show((currency,))
        self.work.show(key.operator, key.group)

    def renew(self, name: str, version: int) -> None:
        """Mark an operator's cells of an earlier version as changed: they are shown by today's table of figures.

        `version`: the one that the next freeze will give. A cell that has it already was frozen by today's table: it is
        left alone, for a version stands for one content.
        """
        for table in TABLES:
            cells = self.work.cells[table.name]
            keys = cells.keys(name)
            cells.load(keys)
            for key in keys:
                if cells.get(key).version < version:
                    self.work.touch(table, key)
        self.work.operators[name].figures = FIGURES_VERSION
        self.work.changed_operators.add(name)


def _adds(kind: int, rules: Sequence[Rule]) -> list[Callable[[Customer | None, Row, int, int], None]]:
    """The methods of rules that a counted session, or payment, is handed to."""
    if kind == PAYMENT:
        return [rule.payment for rule in rules if PAYMENTS in rule.bases]
    return [rule.session for rule in rules if SESSIONS in rule.bases]

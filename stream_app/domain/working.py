"""The working set of a ledger: what it read and changed since the last freeze, above rows that it can only load.

Invariant: a look-up gives the state after everything that was applied: first what changed here, then `Rows`. Decoded
customers live until the next freeze, decoded cells longer (domain.working_cells). Operators and groups are few and stay.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from stream_app.domain.cells import Cell, CellKey, Customer, FigureCell, Group, Operator
from stream_app.domain.events import ALL, Row
from stream_app.domain.local_time import Zone, retained_anywhere_from, zone
from stream_app.domain.rules import FigureRule, Place, Rule
from stream_app.domain.sums import PAYMENT_SUMS
from stream_app.domain.tables import MONTHLY, TABLES, Table
from stream_app.domain.working_cells import STEP_CELLS, WorkingCells
from stream_app.domain.working_rows import Rows, Upserts

C = TypeVar("C", bound=Cell)


class Settings(msgspec.Struct, frozen=True):
    """The settings that the ledger's rules depend on; 13, 92 and "EUR" by default."""

    retention_months: int
    distribution_days: int
    default_currency: str


class Rules(dict[str, list[Rule]]):
    """The rules of TABLES by operator, in their order, without differences so far, bounded by what is kept: made when they are asked for."""

    def __init__(self, operators: Mapping[str, Operator]) -> None:
        self._operators = operators

    def __missing__(self, operator: str) -> list[Rule]:
        found = self._operators[operator]
        made = self[operator] = [table.rule(found) for table in TABLES]
        return made


class Working:
    """What a ledger has read and changed since the last freeze.

    `now`: quarter hours, 0 while unknown. `horizon`: before which no zone on earth retains anything, 0 while unknown.
    `only`: the operator that it is for, None: all. `upserts`: what holds further changes, as bytes.
    """

    def __init__(
        self,
        rows: Rows,
        settings: Settings,
        now: int,
        only: str | None = None,
        upserts: "Upserts[Working] | None" = None,
    ) -> None:
        self.rows, self.settings, self.upserts = rows, settings, upserts
        self.move_to(now)
        self.operators = rows.operators(only)
        self.groups: dict[str, dict[str, Group]] = defaultdict(dict)
        for operator, group, found in rows.groups(only):
            self.groups[operator][group] = found
        encoded = {} if upserts is None else upserts.cells
        self.cells: dict[str, WorkingCells[Any]] = {
            table.name: WorkingCells(table, rows, encoded.get(table.name)) for table in TABLES
        }
        self._start()

    def _start(self) -> None:
        self._counted: dict[
            tuple[str, str, int], int
        ] = {}  # payments by (operator, currency, month), since the last fold
        self.entities: dict[bytes, Row | None] = {}
        self.customers: dict[str, dict[str, Customer]] = defaultdict(dict)
        # By (operator, customer), in the order of their changes, which is near that in which they were made: memory is read faster so.
        self.changed_customers: dict[tuple[str, str], Customer] = {}
        self.changed_operators: set[str] = set()
        self.changed_groups: set[tuple[str, str]] = set()
        self.relisted: set[str] = set()  # operators whose entry, list of groups or names of groups changed
        self.hidden: set[tuple[str, str]] = set()  # groups that lost their documents

    def restart(self) -> None:
        """Forget what was changed, after a freeze."""
        self._start()

    def take_over(self, other: "Working", name: str) -> None:
        """An operator is as another working set has it from now on, which is for it only, and of which nothing here has changed."""
        self.operators[name], self.groups[name] = other.operators[name], other.groups[name]
        self.customers[name] = other.customers[name]
        self.changed_customers |= other.changed_customers
        self.entities |= other.entities
        self.changed_operators |= other.changed_operators
        self.changed_groups |= other.changed_groups
        self.relisted |= other.relisted
        self.hidden |= other.hidden
        for table in TABLES:
            self.cells[table.name].take_over(other.cells[table.name], name)

    def move_to(self, now: int) -> None:
        """Note that it is so late."""
        self.now = now
        self.horizon = retained_anywhere_from(now, self.settings.retention_months) if now else 0

    def zone(self, operator: str) -> Zone:
        """The zone of an operator."""
        return zone(self.operators[operator].timezone)

    def rules(self) -> Rules:
        """Rules of its operators."""
        return Rules(self.operators)

    # -- reading

    def load_entities(self, keys: Sequence[bytes]) -> dict[bytes, Row]:
        """The entities that exist, by key, after everything that was applied."""
        pending = self.entities
        if self.upserts is not None:
            pending |= self.upserts.entities(keys)
        out = {key: row for key in keys if (row := pending.get(key)) is not None}
        absent = [key for key in keys if key not in pending]
        found = zip(absent, self.rows.entities(absent), strict=True)
        out.update({key: row for key, row in found if row is not None})
        return out

    def load_customers(self, wanted: dict[str, set[str | None]]) -> None:
        """Into `customers`, new ones where there are none. None stands for anonymous, and stays None."""
        names = [
            (operator, name)
            for operator, some in wanted.items()
            for name in some
            if name is not None and name not in self.customers[operator]
        ]
        if self.upserts is not None:
            handed = self.upserts.customers(names)
            self._take_customers(handed)
            names = [name for name in names if name not in handed]
        for (operator, name), customer in zip(names, self.rows.customers(names), strict=True):
            self.customers[operator][name] = Customer() if customer is None else customer

    def take_all(self, operator: str) -> None:
        """Have as objects all that changed of an operator."""
        if self.upserts is not None:
            entities, customers = self.upserts.of(operator)
            self.entities |= entities
            self._take_customers(customers)

    def _take_customers(self, customers: Mapping[tuple[str, str], Customer]) -> None:
        self.changed_customers |= customers
        for (operator, name), customer in customers.items():
            self.customers[operator][name] = customer

    def give_customers(self, operators: Iterable[str]) -> dict[tuple[str, str], Customer]:
        """Hand over the customers of some operators that changed, by (operator, customer): nothing is known of them here any longer."""
        names = [(operator, name) for operator in operators for name in self.customers.pop(operator, ())]
        changed = self.changed_customers
        return {name: changed.pop(name) for name in names if name in changed}

    def scan_entities(self, operator: str) -> Iterator[tuple[int, bytes, Row]]:
        """All entities of an operator, after everything that was applied."""
        self.take_all(operator)
        prefix = self.rows.entity_key(operator, 0, "")[:-1]
        for kind, key, row in self.rows.scan_entities(operator):
            if key not in self.entities:
                yield kind, key, row
        for key, pending in list(self.entities.items()):
            if pending is not None and key.startswith(prefix):
                yield key[len(prefix)], key, pending

    def scan_customers(self, operator: str) -> Iterator[tuple[str, Customer]]:
        """All customers of an operator, after everything that was applied."""
        self.take_all(operator)
        known = self.customers[operator]
        for name, customer in self.rows.scan_customers(operator):
            if name not in known:
                yield name, customer
        yield from list(known.items())

    # -- changing

    def touch(self, table: Table[C], key: CellKey) -> C:
        """The cell of a key, marked as changed; made if it does not exist."""
        cells = self.cells[table.name]
        cells.load([key])
        cell: C = cells.get(key)
        cells.changed[key] = cell
        if isinstance(cell, FigureCell) and table is MONTHLY:
            self.list_month(key, counts=cell.counts())
        return cell

    def list_month(self, key: CellKey, *, counts: bool) -> None:
        """Note in a group's row whether anything counts in a month: groups are listed by that."""
        groups = self.groups[key.operator]
        group = groups.get(key.group)
        if group is None:
            group = groups[key.group] = Group()
        if group.months.get(key.period) is not counts:
            is_first = key.period not in group.months
            group.months[key.period] = counts
            self.changed_groups.add((key.operator, key.group))
            self.relisted.add(key.operator)
            operator = self.operators[key.operator]
            if is_first and operator.today and key.period == MONTHLY.current(operator):
                self._show_now(key.operator, key.group)
            else:
                self.show(key.operator, key.group)

    def show(self, operator: str, group: str) -> None:
        """Give a group cells of the current periods, if it has none: its documents change with time from now on."""
        found = self.operators[operator]
        if found.today and MONTHLY.current(found) not in self.groups[operator][group].months:
            self.touch(MONTHLY, CellKey(operator, group, MONTHLY.current(found)))

    def _show_now(self, operator: str, group: str) -> None:
        """Give a group that has its first cell of the current month those of the other tables' current periods."""
        found = self.operators[operator]
        for table in TABLES:
            if table is not MONTHLY:
                self.touch(table, CellKey(operator, group, table.current(found)))

    def fold(self, rules: Mapping[str, Sequence[Rule]]) -> Iterator[None]:
        """Add the differences of operators' `rules` to their cells, in steps; note what of all cells that changed shows groups."""
        for index, table in enumerate(TABLES):
            count, step = 0, list[tuple[Rule, dict[Place, list[CellKey]]]]()
            for operator, own in rules.items():
                rule = own[index]
                touched = iter(rule.touched())
                while places := _places(operator, touched):
                    step.append((rule, places))
                    count += sum(map(len, places.values()))
                    if count >= STEP_CELLS:
                        self._fold(table, step)
                        yield
                        count, step = 0, []
                if table is MONTHLY and isinstance(rule, FigureRule):
                    self._count_payments(operator, rule)
            self._fold(table, step)
        self._count_all()
        for key, counts in () if self.upserts is None else self.upserts.months():
            self.list_month(key, counts=counts)

    def _fold(self, table: Table[Any], step: Sequence[tuple[Rule, dict[Place, list[CellKey]]]]) -> None:
        """Add differences of rules to the cells of some places of each; all are read at once, whosever they are."""
        cells = self.cells[table.name]
        keys = dict.fromkeys(key for _, places in step for own in places.values() for key in own)
        cells.load(keys)
        get = cells.get
        for rule, places in step:
            rule.fold({place: [get(key) for key in own] for place, own in places.items()})
        cells.changed.update([(key, get(key)) for key in keys])
        if table is MONTHLY:
            for key in keys:
                self.list_month(key, counts=get(key).counts())

    def _count_payments(self, operator: str, rule: FigureRule) -> None:
        """Count what a rule adds to the payments of an operator."""
        for (groups, month, currency), delta in rule.payments.items():
            if ALL in groups:
                self.count_payments(operator, currency, month, delta[PAYMENT_SUMS.count_at])

    def count_payments(self, operator: str, currency: str, month: int, by: int) -> None:
        """Note, before `fold`, that so many more payments of an operator count."""
        key = operator, currency, month
        self._counted[key] = self._counted.get(key, 0) + by

    def _count_all(self) -> None:
        """Count operators' payments by currency and month: they settle the currency of one that announced none.

        A currency of which nothing is left stays, also one that came and went in this batch: what is known of an operator depends on no batches.
        """
        for (operator, currency, month), by in self._counted.items():
            counted = self.operators[operator].payments
            if by or currency not in counted:
                months = counted.setdefault(currency, {})
                months[month] = months.get(month, 0) + by
                if not months[month]:
                    del months[month]
                self.changed_operators.add(operator)
        self._counted = {}


def _places(operator: str, touched: Iterator[Place]) -> dict[Place, list[CellKey]]:
    """The next places that a rule has touched, those of a step, with the keys of their cells."""
    places: dict[Place, list[CellKey]] = {}
    count = 0
    for groups, period in touched:
        places[groups, period] = [CellKey(operator, group, period) for group in groups]
        count += len(groups)
        if count >= STEP_CELLS:
            break
    return places

"""The working set of a ledger: what it read and changed since the last freeze, above rows that it can only load.

Invariant: a look-up gives the state after everything that was applied: first what changed here, then `Rows`. Decoded
customers live until the next freeze; decoded cells longer, in a cache of two generations that is trimmed right after a
freeze, when nothing in it is ahead of the rows. Operators and groups are few and stay.
"""

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from stream_app.domain.cells import Cell, CellKey, Customer, FigureCell, Group, Operator
from stream_app.domain.events import ALL, Events, Row
from stream_app.domain.local_time import Zone, retained_anywhere_from, zone
from stream_app.domain.rules import FigureRule, Place, Rule
from stream_app.domain.steps import in_steps, outcome
from stream_app.domain.sums import PAYMENT_SUMS
from stream_app.domain.tables import MONTHLY, TABLES, Table

C = TypeVar("C", bound=Cell)

CELLS_CACHED = 5_000  # of each table
STEP_CELLS = 2_000  # of what may concern very many: some milliseconds


class Rows(Protocol):
    """Rows as they were at the last freeze.

    Answers in the order asked, None for what is not there; scans give all of an operator.
    """

    def entity_key(self, operator: str, kind: int, entity_id: str) -> bytes:
        """The name of an entity's row."""

    def entities(self, keys: Sequence[bytes]) -> list[Row | None]:
        """Entities by the names of their rows."""

    def customers(self, names: Sequence[tuple[str, str]]) -> list[Customer | None]:
        """Customers by (operator id, customer id)."""

    def cells(self, table: Table[C], keys: Sequence[CellKey]) -> list[C | None]:
        """Cells of a table by key."""

    def scan_entities(self, operator: str, after: bytes = b"") -> Iterator[tuple[int, bytes, Row]]:
        """(kind, key, row) of an operator's entities, in order of keys, those above `after`."""

    def scan_customers(self, operator: str, after: str = "") -> Iterator[tuple[str, Customer]]:
        """An operator's customers, in order of names in UTF-8, those above `after`."""

    def scan_cells(self, table: Table[C], operator: str) -> Iterator[tuple[CellKey, C]]:
        """An operator's cells of a table."""

    def operators(self, only: str | None = None) -> dict[str, Operator]:
        """All known operators by id, or only one."""

    def groups(self, only: str | None = None) -> Iterator[tuple[str, str, Group]]:
        """(operator, group, row) of all groups, or of one operator's."""


class Upserts(Protocol):
    """Sessions, payments and memberships applied to rows as bytes, with the outcome that the ledger's own way has; what it changed is here until the next freeze.

    A row is either here or among the objects of a working set: it is handed over when it is asked for.
    """

    def upsert(self, work: "Working", parts: Sequence[Events], rules: Mapping[str, Sequence[Rule]]) -> Sequence[Events]:
        """Apply parts of these kinds; what is left of them must go the ledger's own way, behind it."""

    def entities(self, keys: Iterable[bytes]) -> dict[bytes, Row]:
        """Hand over those of the entities that are here."""

    def customers(self, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Customer]:
        """Hand over those of the customers, by (operator, customer), that are here."""

    def of(self, operator: str) -> tuple[dict[bytes, Row], dict[tuple[str, str], Customer]]:
        """Hand over all entities and customers of an operator."""

    def freeze(self) -> dict[bytes, bytes]:
        """Rows that changed since the last freeze, by key; an empty value is a deletion."""


class Settings(msgspec.Struct, frozen=True):
    """The settings that the ledger's rules depend on; 13, 92 and "EUR" by default."""

    retention_months: int
    distribution_days: int
    default_currency: str


class WorkingCells(Generic[C]):
    """The cells of one table: what of them was loaded, and which changed since the last freeze."""

    def __init__(self, table: Table[C], rows: Rows) -> None:
        self.table, self._rows = table, rows
        self._young: dict[CellKey, C] = {}
        self._old: dict[CellKey, C] = {}
        self.changed: dict[CellKey, C | None] = {}  # None: deleted
        self.dropped: dict[CellKey, C] = {}  # those that left retention, as they last were
        self.last: dict[CellKey, C] = {}  # those of them that have changed since the last freeze

    def load(self, keys: Iterable[CellKey]) -> None:
        """Load cells before `get`; one that does not exist is made."""
        young, old, changed = self._young, self._old, self.changed
        absent = [key for key in keys if key not in young and key not in old and key not in changed]
        if absent:
            for key, cell in zip(absent, self._rows.cells(self.table, absent), strict=True):
                young[key] = self.table.new() if cell is None else cell

    def get(self, key: CellKey) -> C:
        """A cell that was loaded; a new one where there is none."""
        cell = self._young.get(key)
        if cell is None:
            cell = self._young[key] = self._old.get(key) or self._made(key)
        return cell

    def _made(self, key: CellKey) -> C:
        """A cell without sums; one that was dropped and is back keeps the currencies that it was shown in."""
        cell = self.dropped.pop(key, None)
        self.last.pop(key, None)
        if cell is None:
            return self.table.new()
        self.table.clear(cell)
        return cell

    def drop(self, keys: Iterable[CellKey]) -> None:
        """Delete those of the cells that are there: they left retention."""
        young, old, changed = self._young, self._old, self.changed
        absent = []
        for key in keys:
            cell = changed[key] if key in changed else young.pop(key, None) or old.pop(key, None)
            if cell is not None:
                if key in changed:
                    self.last[key] = cell
                self._delete(key, cell)
            elif key not in changed:
                absent.append(key)
        for key, cell in zip(absent, self._rows.cells(self.table, absent), strict=True):
            if cell is not None:
                self._delete(key, cell)

    def _delete(self, key: CellKey, cell: C) -> None:
        self._young.pop(key, None)
        self._old.pop(key, None)
        self.changed[key], self.dropped[key] = None, cell

    def keys(self, operator: str) -> list[CellKey]:
        """Names of all cells of an operator, after everything that was applied."""
        return outcome(self.listing(operator))

    def listing(self, operator: str) -> Generator[None, None, list[CellKey]]:
        """The same in steps."""
        changed, keys = self.changed, []
        for some in in_steps(self._rows.scan_cells(self.table, operator), STEP_CELLS):
            keys += [key for key, _ in some if key not in changed]
            yield
        return keys + [key for key, cell in changed.items() if key.operator == operator and cell is not None]

    def take_over(self, other: "WorkingCells[C]", operator: str) -> None:
        """The cells of an operator are those of another working set from now on, which nothing here has changed."""
        for known in (self._young, self._old):
            for key in [key for key in known if key.operator == operator]:
                del known[key]
        self._young |= {key: cell for key, cell in other.changed.items() if cell is not None}
        self.changed |= other.changed
        self.dropped |= other.dropped
        self.last |= other.last

    def freeze(self) -> tuple[dict[CellKey, C | None], dict[CellKey, C]]:
        """The cells that changed since the last freeze (None: deleted), and those that left retention, as they last were."""
        changed, self.changed = self.changed, {}
        dropped, self.dropped, self.last = self.dropped, {}, {}
        if len(self._young) > CELLS_CACHED:  # only here: nothing in it is ahead of the rows
            self._young, self._old = {}, self._young
        return changed, dropped


class Working:
    """What a ledger has read and changed since the last freeze.

    `now`: quarter hours, 0 while unknown. `horizon`: before which no zone on earth retains anything, 0 while unknown.
    `only`: the operator that it is for, None: all. `upserts`: what holds further changes, as bytes.
    """

    def __init__(
        self, rows: Rows, settings: Settings, now: int, only: str | None = None, upserts: Upserts | None = None
    ) -> None:
        self.rows, self.settings, self.upserts = rows, settings, upserts
        self.move_to(now)
        self.operators = rows.operators(only)
        self.groups: dict[str, dict[str, Group]] = defaultdict(dict)
        for operator, group, found in rows.groups(only):
            self.groups[operator][group] = found
        self.cells: dict[str, WorkingCells[Any]] = {table.name: WorkingCells(table, rows) for table in TABLES}
        self._start()

    def _start(self) -> None:
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

    def rules(self, operator: str) -> list[Rule]:
        """The rules of TABLES in their order, without differences so far, bounded by what is kept."""
        found = self.operators[operator]
        return [table.rule(found) for table in TABLES]

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
            self._list(key, cell)
        return cell

    def _list(self, key: CellKey, cell: FigureCell) -> None:
        """Note in a group's row whether anything counts in a month: groups are listed by that."""
        groups = self.groups[key.operator]
        group = groups.get(key.group)
        if group is None:
            group = groups[key.group] = Group()
        counts = cell.counts()
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
        """Add the differences of operators' `rules` to their cells, in steps."""
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
                self._list(key, get(key))

    def _count_payments(self, operator: str, rule: FigureRule) -> None:
        """Count an operator's payments by currency and month: they settle the currency of one that announced none.

        A currency of which nothing is left stays, also one that came and went in this batch: what is known of an operator depends on no batches.
        """
        counted = self.operators[operator].payments
        for (groups, month, currency), delta in rule.payments.items():
            by = delta[PAYMENT_SUMS.count_at]
            if ALL in groups and (by or currency not in counted):
                months = counted.setdefault(currency, {})
                months[month] = months.get(month, 0) + by
                if not months[month]:
                    del months[month]
                self.changed_operators.add(operator)


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

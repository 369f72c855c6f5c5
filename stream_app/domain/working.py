"""The working set of a ledger: what it read and changed since the last freeze, above rows that it can only load.

Invariant: a look-up gives the state after everything that was applied: first what changed here, then `Rows`. Decoded customers live until the
next freeze; decoded cells longer, in a cache of two generations that is trimmed right after a freeze, when nothing in it is ahead of
the rows. Operators and groups are few and stay.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from stream_app.domain.cells import Customer, Group, HalfHour, HalfHourKey, Monthly, MonthlyKey, Operator
from stream_app.domain.differences import Differences
from stream_app.domain.events import ALL, Row
from stream_app.domain.local_time import Zone, month_of_day, zone

K = TypeVar("K")
C = TypeVar("C")

CELLS_CACHED = 20_000


class Rows(Protocol):
    """Rows as they were at the last freeze. Answers in the order asked, None for what is not there; scans give all of an operator."""

    def entity_key(self, operator: str, kind: int, entity_id: str) -> bytes:
        """The name of an entity's row."""

    def entities(self, keys: Sequence[bytes]) -> list[Row | None]:
        """Entities."""

    def customers(self, names: Sequence[tuple[str, str]]) -> list[Customer | None]:
        """Customers by (operator, customer)."""

    def monthly(self, keys: Sequence[MonthlyKey]) -> list[Monthly | None]:
        """Monthly cells."""

    def half_hours(self, keys: Sequence[HalfHourKey]) -> list[HalfHour | None]:
        """Half-hour cells."""

    def scan_entities(self, operator: str, after: bytes = b"") -> Iterator[tuple[int, bytes, Row]]:
        """(kind, key, row) of an operator's entities, in order of keys, those above `after`."""

    def scan_customers(self, operator: str, after: str = "") -> Iterator[tuple[str, Customer]]:
        """An operator's customers, in order of names in UTF-8, those above `after`."""

    def scan_monthly(self, operator: str) -> Iterator[tuple[MonthlyKey, Monthly]]:
        """An operator's monthly cells."""

    def scan_half_hours(self, operator: str) -> Iterator[tuple[HalfHourKey, HalfHour]]:
        """An operator's half-hour cells."""

    def operators(self) -> dict[str, Operator]:
        """All operators."""

    def groups(self) -> Iterator[tuple[str, str, Group]]:
        """All groups."""


class Settings(msgspec.Struct, frozen=True):
    """What the ledger must know: 13, 92 and "EUR" by default."""

    retention_months: int
    distribution_days: int
    default_currency: str


class Cells(Generic[K, C]):
    """The cells of one table."""

    def __init__(self, new: type[C]) -> None:
        self._new = new
        self._young: dict[K, C] = {}
        self._old: dict[K, C] = {}
        self.changed: dict[K, C | None] = {}  # None: deleted

    def missing(self, keys: Iterable[K]) -> list[K]:
        """Those that must be loaded before `get`."""
        young, old, changed = self._young, self._old, self.changed
        return [key for key in keys if key not in young and key not in old and key not in changed]

    def put(self, keys: Sequence[K], loaded: Sequence[C | None]) -> None:
        """What was loaded."""
        for key, cell in zip(keys, loaded, strict=True):
            self._young[key] = self._new() if cell is None else cell

    def get(self, key: K) -> C:
        """A cell that is not missing; a new one where there is none."""
        cell = self._young.get(key)
        if cell is None:
            cell = self._old.get(key)
            self._young[key] = cell = self._new() if cell is None else cell
        return cell

    def delete(self, key: K) -> None:
        """Forget a cell."""
        self._young.pop(key, None)
        self._old.pop(key, None)
        self.changed[key] = None

    def freeze(self) -> dict[K, C | None]:
        """What changed since the last time."""
        changed, self.changed = self.changed, {}
        if len(self._young) > CELLS_CACHED:  # only here: nothing in it is ahead of the rows
            self._young, self._old = {}, self._young
        return changed


class Working:
    """See the module."""

    def __init__(self, rows: Rows, settings: Settings, now: int) -> None:
        self.rows, self.settings, self.now = rows, settings, now
        self.operators = rows.operators()
        self.groups: dict[str, dict[str, Group]] = defaultdict(dict)
        for operator, group, found in rows.groups():
            self.groups[operator][group] = found
        self.monthly: Cells[MonthlyKey, Monthly] = Cells(Monthly)
        self.half_hours: Cells[HalfHourKey, HalfHour] = Cells(HalfHour)
        self._start()

    def _start(self) -> None:
        self.entities: dict[bytes, Row | None] = {}
        self.customers: dict[str, dict[str, Customer]] = defaultdict(dict)
        self.changed_customers: dict[str, set[str]] = defaultdict(set)
        self.changed_operators: set[str] = set()
        self.changed_groups: set[tuple[str, str]] = set()
        self.relisted: set[str] = set()  # operators whose entry, list of groups or names of groups changed
        self.hidden: set[tuple[str, str]] = set()  # groups that lost their documents
        self.dropped: dict[
            MonthlyKey, list[str]
        ] = {}  # cells that left retention, with the currencies they were shown in

    def restart(self) -> None:
        """After a freeze."""
        self._start()

    def zone(self, operator: str) -> Zone:
        """The zone in force."""
        return zone(self.operators[operator].timezone)

    def differences(self, operator: str) -> Differences:
        """Empty ones, bounded by what is kept."""
        found = self.operators[operator]
        return Differences(found.first_month, found.first_day)

    # -- reading

    def load_entities(self, keys: Sequence[bytes]) -> dict[bytes, Row]:
        """Those that exist."""
        pending = self.entities
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
        for (operator, name), customer in zip(names, self.rows.customers(names), strict=True):
            self.customers[operator][name] = Customer() if customer is None else customer

    def load_monthly(self, keys: Iterable[MonthlyKey]) -> None:
        """Before `monthly.get`."""
        if missing := self.monthly.missing(keys):
            self.monthly.put(missing, self.rows.monthly(missing))

    def load_half_hours(self, keys: Iterable[HalfHourKey]) -> None:
        """Before `half_hours.get`."""
        if missing := self.half_hours.missing(keys):
            self.half_hours.put(missing, self.rows.half_hours(missing))

    def scan_entities(self, operator: str) -> Iterator[tuple[int, bytes, Row]]:
        """All entities of an operator, after everything that was applied."""
        prefix = self.rows.entity_key(operator, 0, "")[:-1]
        for kind, key, row in self.rows.scan_entities(operator):
            if key not in self.entities:
                yield kind, key, row
        for key, pending in list(self.entities.items()):
            if pending is not None and key.startswith(prefix):
                yield key[len(prefix)], key, pending

    def scan_customers(self, operator: str) -> Iterator[tuple[str, Customer]]:
        """All customers of an operator, after everything that was applied."""
        known = self.customers[operator]
        for name, customer in self.rows.scan_customers(operator):
            if name not in known:
                yield name, customer
        yield from list(known.items())

    def scan_monthly(self, operator: str) -> list[MonthlyKey]:
        """All monthly cells of an operator, after everything that was applied."""
        changed = self.monthly.changed
        keys = [key for key, _ in self.rows.scan_monthly(operator) if key not in changed]
        return keys + [key for key, cell in changed.items() if key.operator == operator and cell is not None]

    def scan_half_hours(self, operator: str) -> list[HalfHourKey]:
        """All half-hour cells of an operator, after everything that was applied."""
        changed = self.half_hours.changed
        keys = [key for key, _ in self.rows.scan_half_hours(operator) if key not in changed]
        return keys + [key for key, cell in changed.items() if key.operator == operator and cell is not None]

    # -- changing

    def touch_month(self, key: MonthlyKey) -> Monthly:
        """A monthly cell as changed, made if it is not there."""
        self.load_monthly([key])
        cell = self.monthly.get(key)
        self._changed(key, cell)
        return cell

    def touch_day(self, key: HalfHourKey) -> HalfHour:
        """A half-hour cell as changed, made if it is not there."""
        self.load_half_hours([key])
        cell = self.half_hours.changed[key] = self.half_hours.get(key)
        return cell

    def _changed(self, key: MonthlyKey, cell: Monthly) -> None:
        self.monthly.changed[key] = cell
        groups = self.groups[key.operator]
        group = groups.get(key.group)
        if group is None:
            group = groups[key.group] = Group()
        counts = cell.counts()
        if group.months.get(key.month) is not counts:
            group.months[key.month] = counts
            self.changed_groups.add((key.operator, key.group))
            self.relisted.add(key.operator)
            self.show(key.operator, key.group)

    def show(self, operator: str, group: str) -> None:
        """Give a group cells of the current month and day, if it has none: its documents change with time from now on."""
        found = self.operators[operator]
        if found.today and month_of_day(found.today) not in self.groups[operator][group].months:
            self.touch_month(MonthlyKey(operator, group, month_of_day(found.today)))
            self.touch_day(HalfHourKey(operator, group, found.today))

    def fold(self, operator: str, difference: Differences) -> None:
        """Add differences to cells."""
        money = [
            (MonthlyKey(operator, group, month), currency, delta)
            for (groups, month, currency), delta in difference.money.items()
            for group in groups
        ]
        usage = [
            (MonthlyKey(operator, group, month), delta)
            for (groups, month), delta in difference.usage.items()
            for group in groups
        ]
        slots = [
            (HalfHourKey(operator, group, day), delta)
            for (groups, day), delta in difference.slots.items()
            for group in groups
        ]
        keys = {key for key, *_ in money} | {key for key, _ in usage}
        self.load_monthly(keys)
        self.load_half_hours({key for key, _ in slots})
        for key, currency, delta in money:
            own = self.monthly.get(key).money
            own[currency] = [a + b for a, b in zip(own[currency], delta, strict=True)] if currency in own else delta[:]
            if key.group == ALL and delta[3]:
                self._count_payments(operator, currency, key.month, delta[3])
        for key, delta in usage:
            cell = self.monthly.get(key)
            cell.usage = [a + b for a, b in zip(cell.usage, delta, strict=True)]
        for key in keys:
            self._changed(key, self.monthly.get(key))
        for name, counts in slots:
            half_hour = self.half_hours.get(name)
            own_slots = half_hour.slots
            for slot, count in counts.items():
                own_slots[slot] += count
            self.half_hours.changed[name] = half_hour

    def _count_payments(self, operator: str, currency: str, month: int, by: int) -> None:
        months = self.operators[operator].payments.setdefault(currency, {})
        months[month] = months.get(month, 0) + by
        if not months[month]:
            del months[month]
        self.changed_operators.add(operator)

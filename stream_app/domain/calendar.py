"""How results move with time: an operator's midnight, retention, a changed zone, the sweep of rows past retention.

`now` moves only by clock records, so each of these has a place in the log, and a replay gives the same. Two instants
follow from it. `Working.horizon` is the first one that some zone on earth retains: what lies before it is not known,
and is too late when it is new, whoever its operator is; only such rows are swept. `Operator.horizon` is the first one
that the operator's own zone retains: what lies before it is known, and counts nowhere. So what is known of an operator's
zone, and when, changes nothing in the end: a zone that moves west brings a month back as it was.

A group is *shown*, has documents, while it has a cell of the current month: ALL always, another one from its first data
on, and at each month's end as long as something of it counts in a retained month.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from stream_app.domain.cells import CellKey, Customer, FigureCell, Group, Operator
from stream_app.domain.events import (
    ALL,
    AS_PAYMENT,
    AS_SESSION,
    CDR,
    COUNTED,
    CREDITED,
    CUSTOMER,
    HOLD,
    START,
    TIME,
    VERSION,
    Row,
)
from stream_app.domain.local_time import month_of_day, retained_from, zone
from stream_app.domain.rules import Rule
from stream_app.domain.steps import in_steps
from stream_app.domain.tables import MONTHLY, TABLES, Table
from stream_app.domain.working import Working
from stream_app.domain.working_cells import STEP_CELLS

_STEP_ROWS = 500  # of a changed zone: some milliseconds
_PERIODS_LISTED = 200  # after a longer jump of the clock cells are looked for instead of trying each period


def is_shown(operator: Operator, group: Group) -> bool:
    """Does the group have documents?"""
    return bool(operator.today) and month_of_day(operator.today) in group.months


def is_known(row: Row, horizon: int) -> bool:
    """Has the entity not left retention everywhere, with the horizon of `Working`?

    A placeholder, made by a credit that came first, has version -1 and is not known.
    """
    return bool(row[VERSION] >= 0 and (row[HOLD] or row[TIME]) >= horizon)


def count(
    rules: Sequence[Rule],
    kind: int,
    row: Row,
    customer: Customer | None,
    local: Callable[[int], int],
    horizon: int,
    sign: int,
) -> None:
    """Add what an entity contributes to what is kept (sign 1), or take it back (-1)."""
    counted = row[COUNTED]
    if counted & AS_PAYMENT and row[TIME] >= horizon:
        when = local(row[TIME])
        for rule in rules:
            rule.payment(customer, row, when, sign)
    if counted & AS_SESSION:
        start = row[START] if kind == CDR else row[TIME]
        if start >= horizon:
            when = local(start)
            for rule in rules:
                rule.session(customer, row, when, sign)


def become_known(work: Working, name: str, timezone: str) -> Operator:
    """The operator, made known by its first usable record; the zone is for one that is new."""
    operator = work.operators.get(name)
    if operator is None:
        operator = work.operators[name] = Operator(timezone=timezone, currency=work.settings.default_currency)
        work.groups[name][ALL] = Group()
        work.changed_operators.add(name)
        work.changed_groups.add((name, ALL))
        work.relisted.add(name)
        if work.now:
            _set_window(work, operator)
            operator.swept = work.horizon
            work.show(name, ALL)
    return operator


def advance(work: Working, now: int) -> None:
    """Apply a clock record; one that is not later than the last changes nothing."""
    if now <= work.now:
        return
    work.move_to(now)
    for name, operator in work.operators.items():
        if zone(operator.timezone).day(now) > operator.today:
            _roll(work, name, operator)


def _set_window(work: Working, operator: Operator) -> None:
    zone_ = zone(operator.timezone)
    operator.today = zone_.day(work.now)
    operator.first_day = operator.today - work.settings.distribution_days + 1
    operator.first_month, operator.horizon = retained_from(zone_, work.now, work.settings.retention_months)


def _roll(work: Working, name: str, operator: Operator) -> None:
    """Roll an operator on to the day that has begun: drop past cells, make those of the current periods."""
    before = {table.name: (table.current(operator), table.first_kept(operator)) for table in TABLES}
    was_known = bool(operator.today)
    groups = work.groups[name]
    shown = {group for group, found in groups.items() if is_shown(operator, found)}
    _set_window(work, operator)
    work.changed_operators.add(name)
    for table in TABLES:
        _drop_past(work, name, operator, table, before[table.name][1])
    _forget_months(work, name, operator)
    month, _ = before[MONTHLY.name]
    if not was_known or month != MONTHLY.current(operator):
        still = {group for group, found in groups.items() if group == ALL or any(found.months.values())}
        work.hidden |= {(name, group) for group in shown - still}
        shown = still
    for table in TABLES:
        if not was_known or before[table.name][0] != table.current(operator):
            for group in shown:
                work.touch(table, CellKey(name, group, table.current(operator)))


def _drop_past(work: Working, name: str, operator: Operator, table: Table[Any], old_first: int) -> None:
    """Drop the cells of a table whose period has left retention."""
    first = table.first_kept(operator)
    periods = list(islice(_periods(table, old_first, first), _PERIODS_LISTED + 1))
    cells = work.cells[table.name]
    if len(periods) <= _PERIODS_LISTED:
        cells.drop(CellKey(name, group, period) for group in work.groups[name] for period in periods)
    else:
        cells.drop([key for key in cells.keys(name) if key.period < first])


def _periods(table: Table[Any], first: int, end: int) -> Iterator[int]:
    """Periods of a table from `first` on, those before `end`."""
    while first < end:
        yield first
        first = table.period.add(first, 1)


def _forget_months(work: Working, name: str, operator: Operator) -> None:
    """Drop what is known of months that have left retention, and groups of which nothing is known any more."""
    groups = work.groups[name]
    for group, found in list(groups.items()):
        for month in [month for month in found.months if month < operator.first_month]:
            if found.months.pop(month):
                work.relisted.add(name)
            work.changed_groups.add((name, group))
        if not found.months and found.name is None and group != ALL:
            del groups[group]
    for months in operator.payments.values():
        for month in [month for month in months if month < operator.first_month]:
            del months[month]


def rezone(work: Working, name: str, timezone: str) -> Iterator[None]:
    """Count all retained history of an operator anew, in another zone, in steps; nothing may be applied between them."""
    operator = work.operators[name]
    shown = {group for group, found in work.groups[name].items() if is_shown(operator, found)}
    operator.timezone = timezone
    before = {table.name: table.first_kept(operator) for table in TABLES}
    if work.now:
        _set_window(work, operator)
    operator.payments = {currency: {} for currency in operator.payments}
    yield from _clear(work, name, before)
    _forget_months(work, name, operator)
    customers, changed = work.customers[name], work.changed_customers
    for count_, (customer_name, customer) in enumerate(work.scan_customers(name), 1):
        if count_ % _STEP_ROWS == 0:
            yield
        customer.parts = {}
        customers[customer_name] = changed[name, customer_name] = customer
    rules, local = work.rules()[name], zone(timezone).local
    for count_, (kind, _, row) in enumerate(work.scan_entities(name), 1):
        if count_ % _STEP_ROWS == 0:
            yield
        if row[COUNTED] and is_known(row, work.horizon) and not (kind == CDR and row[CREDITED]):
            of = None
            if row[CUSTOMER] is not None:  # one who contributed nothing to what was kept has no row
                of = customers.setdefault(row[CUSTOMER], Customer())
                changed[name, row[CUSTOMER]] = of
            count(rules, kind, row, of, local, operator.horizon, 1)
    yield
    yield from work.fold({name: rules})
    yield
    for table in TABLES:
        if table.past_retention:
            yield from _show_anew(work, name, table, before[table.name])
    for group in shown:
        work.show(name, group)


def _clear(work: Working, name: str, before: dict[str, int]) -> Iterator[None]:
    """Drop the cells that an operator's new window has no longer, and empty all others; `before`: what was kept from, by table."""
    operator = work.operators[name]
    for table in TABLES:
        first = table.first_kept(operator)
        for period in _periods(table, first, before[table.name]):
            for group in list(work.groups[name]):  # a sink may still show what left with it
                work.touch(table, CellKey(name, group, period))
        keys = yield from work.cells[table.name].listing(name)
        work.cells[table.name].drop([key for key in keys if key.period < first])
        for some in in_steps([key for key in keys if key.period >= first], STEP_CELLS):
            work.cells[table.name].load(some)
            for key in some:
                table.clear(work.touch(table, key))
            yield


def _show_anew(work: Working, name: str, table: Table[Any], first: int) -> Iterator[None]:
    """Show all cells of an operator anew in a table that a sink keeps for ever; `first`: the first period that was kept before.

    What is empty now is known to be. An earlier period is back, and the sink has it as it last was, in each currency that it was shown in.
    """
    operator = work.operators[name]
    cells = yield from work.cells[table.name].listing(name)
    for keys in in_steps(cells, STEP_CELLS):
        for key in keys:
            cell = work.touch(table, key)
            if key.period < first and isinstance(cell, FigureCell):
                cell.show((operator.currency, *operator.payments))
        yield


def sweep(work: Working, name: str, after: tuple[bytes, str] | None, limit: int) -> tuple[bytes, str] | None:
    """Delete up to `limit` rows of an operator that no zone retains, behind `after`; where it stopped, None at the end.

    Changes no result: what it deletes is not known already.
    """
    operator = work.operators[name]
    work.take_all(name)
    entity, customer_name = after or (b"", "")
    done = 0
    if not customer_name:
        for kind, key, row in islice(work.rows.scan_entities(name, entity), limit):
            last = row[HOLD] or row[TIME]
            if kind == CDR and row[CREDITED]:
                last = max(last, *row[CREDITED].values())
            if last < work.horizon and key not in work.entities:
                work.entities[key] = None
            entity, done = key, done + 1
    if done < limit:
        known = work.customers[name]
        for found, customer in islice(work.rows.scan_customers(name, customer_name), limit - done):
            if found not in known and _prune(customer, operator):
                known[found] = work.changed_customers[name, found] = customer
            customer_name, done = found, done + 1
    if done == limit:
        return entity, customer_name
    operator.swept = work.horizon
    work.changed_operators.add(name)
    return None


def _prune(customer: Customer, operator: Operator) -> bool:
    """Drop a customer's contribution to what is no longer kept. Was there any?"""
    stale = [table.prune(customer, operator) for table in TABLES]
    return any(stale)

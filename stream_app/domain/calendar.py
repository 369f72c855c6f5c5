"""How results move with time: roll-over at an operator's midnight, retention, a changed zone, the sweep of what is past.

`now` moves only by clock records, so each of these has a place in the log, and a replay gives the same. `Operator.horizon` is the first
instant that is kept. It never falls, whatever the zone: what has left retention is not known again, whether its row was swept or not.

A group is *shown*, has documents, while it has a cell of the current month: ALL always, another one from its first data on, and at each
month's end as long as something of it counts in a retained month.
"""

from collections.abc import Callable
from itertools import islice

from msgspec import Raw

from stream_app.domain.cells import Customer, Group, HalfHourKey, MonthlyKey, Operator
from stream_app.domain.differences import Differences, part
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
from stream_app.domain.working import Working

_DAYS_LISTED = 200  # after a longer jump of the clock cells are looked for instead of trying each day


def is_shown(operator: Operator, group: Group) -> bool:
    """Does the group have documents?"""
    return bool(operator.today) and month_of_day(operator.today) in group.months


def is_known(row: Row, operator: Operator) -> bool:
    """Has the entity not left retention? A placeholder, made by a credit that came first, has version -1 and is not known."""
    return bool(row[VERSION] >= 0 and (row[HOLD] or row[TIME]) >= operator.horizon)


def count(
    difference: Differences,
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
        difference.payment(customer, row, local(row[TIME]), sign)
    if counted & AS_SESSION:
        start = row[START] if kind == CDR else row[TIME]
        if start >= horizon:
            difference.session(customer, row, local(start), sign)


def horizon_of(work: Working, timezone: str) -> int:
    """Where retention begins in a zone: quarter hours, 0 while now is unknown."""
    return retained_from(zone(timezone), work.now, work.settings.retention_months)[1] if work.now else 0


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
            operator.swept = operator.horizon
            work.show(name, ALL)
    return operator


def advance(work: Working, now: int) -> None:
    """A clock record. One that is not later than the last changes nothing."""
    if now <= work.now:
        return
    work.now = now
    for name, operator in work.operators.items():
        if zone(operator.timezone).day(now) > operator.today:
            _roll(work, name, operator)


def _set_window(work: Working, operator: Operator) -> None:
    zone_ = zone(operator.timezone)
    operator.today = zone_.day(work.now)
    operator.first_day = operator.today - work.settings.distribution_days + 1
    operator.first_month, start = retained_from(zone_, work.now, work.settings.retention_months)
    operator.horizon = max(operator.horizon, start)


def _roll(work: Working, name: str, operator: Operator) -> None:
    """A new day has begun."""
    before, old_first_day = operator.today, operator.first_day
    groups = work.groups[name]
    shown = {group for group, found in groups.items() if is_shown(operator, found)}
    _set_window(work, operator)
    work.changed_operators.add(name)
    _drop_months(work, name, operator)
    _drop_days(work, name, operator, old_first_day)
    month = month_of_day(operator.today)
    if not before or month_of_day(before) != month:
        still = {group for group, found in groups.items() if group == ALL or any(found.months.values())}
        for group in still:
            work.touch_month(MonthlyKey(name, group, month))
        work.hidden |= {(name, group) for group in shown - still}
        shown = still
    for group in shown:
        work.touch_day(HalfHourKey(name, group, operator.today))


def _drop_months(work: Working, name: str, operator: Operator) -> None:
    groups = work.groups[name]
    for group, found in list(groups.items()):
        for month in [m for m in found.months if m < operator.first_month]:
            if found.months.pop(month):
                work.relisted.add(name)
            work.changed_groups.add((name, group))
            _drop_month(work, MonthlyKey(name, group, month))
        if not found.months and found.name is None and group != ALL:
            del groups[group]
    for months in operator.payments.values():
        for month in [m for m in months if m < operator.first_month]:
            del months[month]


def _drop_month(work: Working, key: MonthlyKey) -> None:
    work.load_monthly([key])
    work.dropped[key] = list(work.monthly.get(key).money)
    work.monthly.delete(key)


def _drop_days(work: Working, name: str, operator: Operator, old_first_day: int) -> None:
    days = range(old_first_day, operator.first_day)
    if len(days) <= _DAYS_LISTED:
        keys = [HalfHourKey(name, group, day) for group in work.groups[name] for day in days]
    else:
        keys = [key for key in work.scan_half_hours(name) if key.day < operator.first_day]
    changed = work.half_hours.changed
    for key, cell in zip(keys, work.rows.half_hours(keys), strict=True):
        if cell is not None or changed.get(key) is not None:
            work.half_hours.delete(key)


def rezone(work: Working, name: str, timezone: str) -> None:
    """All retained history of an operator, counted anew in another zone."""
    operator = work.operators[name]
    shown = {group for group, found in work.groups[name].items() if is_shown(operator, found)}
    operator.timezone = timezone
    if work.now:
        _set_window(work, operator)
    operator.payments = {}
    _drop_months(work, name, operator)
    for key in work.scan_monthly(name):
        cell = work.touch_month(key)
        cell.money, cell.usage = {currency: [0] * 6 for currency in cell.money}, [0, 0, 0]
    for half_hour_key in work.scan_half_hours(name):
        if half_hour_key.day < operator.first_day:
            work.half_hours.delete(half_hour_key)
        else:
            work.touch_day(half_hour_key).slots = [0] * 48
    customers = work.customers[name]
    for customer_name, customer in work.scan_customers(name):
        customer.money = customer.sessions = customer.slots = Raw(b"\x80")
        customers[customer_name] = customer
        work.changed_customers[name].add(customer_name)
    difference, local = work.differences(name), zone(timezone).local
    for kind, _, row in work.scan_entities(name):
        if row[COUNTED] and is_known(row, operator) and not (kind == CDR and row[CREDITED]):
            # One who contributes nothing to what is kept has no row.
            of = None if row[CUSTOMER] is None else customers.setdefault(row[CUSTOMER], Customer())
            count(difference, kind, row, of, local, operator.horizon, 1)
    work.fold(name, difference)
    for key in work.scan_monthly(name):
        work.touch_month(key)  # what is empty now is known to be
    for group in shown:
        work.show(name, group)


def sweep(work: Working, name: str, after: tuple[bytes, str] | None, limit: int) -> tuple[bytes, str] | None:
    """Delete some rows of an operator past retention, from where the last call stopped; where this one did, None at the end.

    Changes no result: what it deletes is not known already.
    """
    operator = work.operators[name]
    entity, customer_name = after or (b"", "")
    done = 0
    if not customer_name:
        for kind, key, row in islice(work.rows.scan_entities(name, entity), limit):
            last = row[HOLD] or row[TIME]
            if kind == CDR and row[CREDITED]:
                last = max(last, *row[CREDITED].values())
            if last < operator.horizon and key not in work.entities:
                work.entities[key] = None
            entity, done = key, done + 1
    if done < limit:
        known = work.customers[name]
        for found, customer in islice(work.rows.scan_customers(name, customer_name), limit - done):
            if found not in known and _prune(customer, operator):
                known[found] = customer
                work.changed_customers[name].add(found)
            customer_name, done = found, done + 1
    if done == limit:
        return entity, customer_name
    operator.swept = operator.horizon
    work.changed_operators.add(name)
    return None


def _prune(customer: Customer, operator: Operator) -> bool:
    """Drop a customer's contribution to what is no longer kept."""
    money, stale = part(customer, "money"), False
    counts = [(part(customer, "sessions"), operator.first_month), (part(customer, "slots"), operator.first_day * 48)]
    for table, first in [*((months, operator.first_month) for months in money.values()), *counts]:
        for key in [key for key in table if key < first]:
            stale = True
            del table[key]
    for currency in [currency for currency, months in money.items() if not months]:
        stale = True
        del money[currency]
    return stale

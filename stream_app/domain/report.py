"""The documents that people see, composed from cells: the same for every sink and for every answer.

Keys, their order and the form of each value are the contract's. Reads no sink and no clock: what is "today" comes with the operator.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from stream_app.domain.cells import PAYMENTS, SLOTS, Group, HalfHour, Monthly, Operator
from stream_app.domain.events import ALL
from stream_app.domain.local_time import date_of, month_add, month_of_day, month_string
from stream_app.domain.money import DIGITS, decimal_string, half_up

Json = dict[str, Any]

MONTHS: Final = 6  # of the default answers
DAYS: Final = 30

_NO_MONEY = [0] * 6
_NO_USAGE = [0] * 3
_SLOT_TIMES: Final = [
    (f"{slot // 2:02d}:{slot % 2 * 30:02d}", f"{(slot + 1) // 2:02d}:{(slot + 1) % 2 * 30:02d}")
    for slot in range(SLOTS)
]
_month_string = lru_cache(10_000)(month_string)


@lru_cache(10_000)
def iso_ms(ms: int) -> str:
    """Epoch milliseconds as "2026-11-24T08:00:00.000Z"."""
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


@lru_cache(10_000)
def iso_date(day: int) -> str:
    """A day number as "2026-11-24"."""
    return date_of(day).isoformat()


def months_to(month: int, count: int) -> list[int]:
    """So many months, the last of which is `month`, in order."""
    return [month_add(month, by) for by in range(1 - count, 1)]


def days_to(day: int, count: int) -> range:
    """So many day numbers, the last of which is `day`, in order."""
    return range(day + 1 - count, day + 1)


def default_months(operator: Operator) -> list[int]:
    """The months of the default answer."""
    return months_to(month_of_day(operator.today), MONTHS)


def default_days(operator: Operator) -> range:
    """The day numbers of the default answer."""
    return days_to(operator.today, DAYS)


def monthly_row(cell: Monthly | None, month: int, currency: str) -> Json:
    """A month of a group in a currency; usage counts in each currency, also in one without an entry."""
    digits = DIGITS[currency]
    received, discount, refunded, payments, payers, anonymous = (
        cell.money.get(currency, _NO_MONEY) if cell is not None else _NO_MONEY
    )
    sessions, chargers, anonymous_sessions = cell.usage if cell is not None else _NO_USAGE
    net = received - refunded
    return {
        "month": _month_string(month),
        "receivedAmount": decimal_string(net, digits),
        "discountAmount": decimal_string(discount, digits),
        "refundedAmount": decimal_string(refunded, digits),
        "paymentCount": payments,
        "payingCustomers": payers,
        "perCapitaPayment": decimal_string(half_up(net - anonymous, payers), digits),
        "sessionCount": sessions,
        "chargingCustomers": chargers,
        "perCapitaFrequency": decimal_string(half_up((sessions - anonymous_sessions) * 100, chargers), 2),
        "anonymousAmount": decimal_string(anonymous, digits),
        "anonymousSessionCount": anonymous_sessions,
    }


def currencies_of(cells: Iterable[Monthly | None], own: str) -> list[str]:
    """Those with a counted payment, and the operator's own; sorted."""
    found = {currency for cell in cells if cell for currency, sums in cell.money.items() if sums[PAYMENTS]}
    return sorted(found | {own})


def monthly_data(
    operator_id: str,
    group: str,
    operator: Operator,
    cells: Mapping[int, Monthly | None],
    months: Sequence[int],
    currency: str,
    partition: int,
    as_of_ms: int,
    version: int,
) -> Json:
    """The answer of `monthlyIndex`; months without a cell are zeros."""
    shown = [cells.get(month) for month in months]
    return {
        "operatorId": operator_id,
        "groupId": group,
        "timezone": operator.timezone,
        "currency": currency,
        "currencies": currencies_of(shown, operator.currency),
        "partition": partition,
        "asOf": iso_ms(as_of_ms),
        "version": version,
        "months": [monthly_row(cell, month, currency) for cell, month in zip(shown, months, strict=True)],
    }


def sum_slots(cells: Iterable[HalfHour | None]) -> list[int]:
    """Counts by slot over several days."""
    days = [cell.slots for cell in cells if cell is not None]
    return [sum(counts) for counts in zip(*days, strict=True)] if days else [0] * SLOTS


def distribution_data(
    operator_id: str,
    group: str,
    operator: Operator,
    counts: Sequence[int],
    days: range,
    partition: int,
    as_of_ms: int,
    version: int,
) -> Json:
    """The answer of `chargingDistribute`; counts by slot over those days."""
    return {
        "operatorId": operator_id,
        "groupId": group,
        "timezone": operator.timezone,
        "partition": partition,
        "asOf": iso_ms(as_of_ms),
        "version": version,
        "from": iso_date(days[0]),
        "to": iso_date(days[-1]),
        "total": sum(counts),
        "slots": [
            {"slot": slot, "start": start, "end": end, "chargeCount": count}
            for slot, ((start, end), count) in enumerate(zip(_SLOT_TIMES, counts, strict=True))
        ],
    }


def has_documents(operator: Operator, group_id: str, group: Group) -> bool:
    """Does the group have documents? ALL always; another one as long as it has a cell of the current month."""
    return group_id == ALL or month_of_day(operator.today) in group.months


def is_listed(group: Group) -> bool:
    """Does something count in a retained month of the group?"""
    return any(group.months.values())


def groups_data(names: Mapping[str, str | None]) -> Json:
    """The answer of `groups`: names by id of those that are listed or named; ALL is always there, first."""
    others = sorted(group for group in names if group != ALL)
    return {"groups": [{"groupId": ALL, "name": None}, *({"groupId": group, "name": names[group]} for group in others)]}


def shown_groups(groups: Mapping[str, Group]) -> dict[str, str | None]:
    """Of all groups of an operator those that people see: names by id."""
    return {group_id: group.name for group_id, group in groups.items() if group.name is not None or is_listed(group)}


def operator_entry(operator_id: str, operator: Operator) -> Json:
    """An operator in the answer of `operators`."""
    return {
        "operatorId": operator_id,
        "name": operator.name,
        "timezone": operator.timezone,
        "currency": operator.currency,
    }

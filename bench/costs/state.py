"""Rows of the state: bytes of each kind of row, how a customer's row grows with visits, and all of it for 10 thousand to a million customers."""

from collections.abc import Sequence
from typing import Final

from bench.context import Context, Row, say
from bench.costs.alone import Case, Seen, run
from bench.costs.file import measurement, put
from stream_app.sizing.costs import Growth, Points, State

_DAYS: Final = 364  # up to yesterday: of the 13 months that are retained, on the first of a month, too
_OPERATORS: Final = 20
_CUSTOMERS: Final = (10_000, 100_000, 1_000_000)  # two events each
_VISITS: Final = (1, 4, 16, 64, 256)  # a customer
_FREQUENT: Final = 1_000  # customers of whom these are
# Kept by each customer, or each group and period: told by their number, never by the number of events.
_DATA: Final = f"20 operators, 120 groups, sessions and payments of {_DAYS} days in EUR; half of all are of a quarter of the customers"


def rows(ctx: Context) -> list[Row]:
    """See the module."""
    state = measure(_CUSTOMERS, _VISITS, _FREQUENT)
    if ctx.page:
        put(state=state)
    return shown(state)


def measure(customers: Sequence[int], visits: Sequence[int], frequent: int) -> State:
    """Of so many customers, and of `frequent` customers by how often they come."""
    by_visits = []
    for number in visits:
        say(f"state: {frequent:,} customers who come {number} times")
        by_visits.append(run(Case(_OPERATORS, frequent, 2 * number * frequent, days=_DAYS)))
    grown = []
    for number in customers:
        say(f"state: {number:,} customers")
        grown.append(run(Case(_OPERATORS, number, 2 * number, days=_DAYS)))
    return _state(visits, by_visits, grown)


def _state(visits: Sequence[int], by_visits: Sequence[Seen], grown: Sequence[Seen]) -> State:
    each = grown[-1].rows
    often = by_visits[-1].rows
    return State(
        measured=measurement(_DATA),
        session=_mean(each["session"]),
        payment=_mean(each["payment"]),
        month_cell=max(_mean(each["month_cell"]), _mean(often["month_cell"])),
        half_hour_cell=max(_mean(each["half_hour_cell"]), _mean(often["half_hour_cell"])),
        operator=_mean(each["operator"]),
        group=_mean(each["group"]),
        customer=Points([float(number) for number in visits], [_mean(seen.rows["customer"]) for seen in by_visits]),
        changelog_ratio=max(seen.changelog_ratio for seen in grown),
        growth=[
            Growth(seen.rows["customer"].count, seen.events, seen.size, seen.disk_bytes, seen.rss_bytes)
            for seen in grown
        ],
    )


def _mean(rows: tuple[int, int]) -> float:
    count, size = rows
    return round(size / count, 1)


def shown(state: State) -> list[Row]:
    """For the table of the benchmarks."""
    kinds = ("session", "payment", "month_cell", "half_hour_cell", "operator", "group")
    found = [Row("state", f"row: {kind.replace('_', ' ')}", f"{getattr(state, kind):,.0f} bytes") for kind in kinds]
    found += [
        Row("state", f"row: customer, {visits:,.0f} visits", f"{size:,.0f} bytes", "before compression")
        for visits, size in zip(state.customer.xs, state.customer.ys, strict=True)
    ]
    return found + [
        Row("state", f"all of {one.customers:,} customers", f"{one.size / one.customers:,.0f} bytes each", f"on disk {one.disk / one.customers:,.0f}; two events each; peak {one.rss >> 20:,} MiB")
        for one in state.growth
    ]  # fmt: skip

"""Rows of the curves: events a CPU-second when one thing changes, in one process without servers (`alone`). Each curve is one run, compared with itself."""

from typing import Final, NamedTuple

from bench.context import Context, Row, say
from bench.costs.alone import Case, run
from bench.costs.file import measurement, put_curve
from stream_app.sizing.costs import Curve

_BASE: Final = Case(operators=20, customers=100_000, events=100_000)
_SAID: Final = f"{_BASE.operators} operators, {_BASE.customers:,} customers, {_BASE.events:,} events of {_BASE.days} days, one group a customer, {_BASE.partitions} partitions, but for what changes"


class Varied(NamedTuple):
    """Cases by the value that changes; the first is what the others are compared with."""

    title: str
    cases: dict[float, Case]


CURVES: Final = {
    "partitions": Varied("partitions of the events topic", {n: _BASE._replace(partitions=n) for n in (4, 8, 16, 32, 64)}),
    "customers": Varied(
        "customers", {n: _BASE._replace(customers=n) for n in (10_000, 100_000, 1_000_000, 5_000_000)}
    ),
    "operators": Varied("operators", {n: _BASE._replace(operators=n) for n in (1, 20, 500, 5_000)}),
    "memberships": Varied("groups of a customer", {n: _BASE._replace(memberships=n) for n in (1, 2, 5, 20, 50)}),
    "history": Varied(
        "payments of one customer, who is alone",
        {n: _BASE._replace(operators=1, customers=1, events=2 * n) for n in (1_000, 10_000, 100_000)},
    ),
    "skew": Varied("share of one operator of 500", {0.002: _BASE._replace(operators=500), 0.9: _BASE._replace(operators=500, is_skewed=True)}),
}  # fmt: skip


def rows(ctx: Context) -> list[Row]:
    """Those that are asked for; each is written when it is measured."""
    found = []
    for name in ctx.curves or CURVES:
        curve = measure(name, CURVES[name])
        if ctx.page:
            put_curve(curve)
        found += shown(curve)
    return found


def measure(name: str, varied: Varied) -> Curve:
    """One curve, its first case once more at the end: the machine may have changed meanwhile, so the better of both counts."""
    rates: list[float] = []
    for value, case in varied.cases.items():
        say(f"curves: {varied.title}: {value:,}")
        rates.append(run(case).per_cpu_s)
    rates[0] = max(rates[0], run(next(iter(varied.cases.values()))).per_cpu_s)
    return Curve(name, varied.title, measurement(_SAID), list(varied.cases), [round(rate) for rate in rates])


def shown(curve: Curve) -> list[Row]:
    """For the table of the benchmarks."""
    first = curve.events_per_cpu_s[0]
    return [
        Row("curves", f"{curve.title}: {value:,}", f"{rate:,.0f} events/CPU-s", f"{rate / first:.2f} of the first")
        for value, rate in zip(curve.values, curve.events_per_cpu_s, strict=True)
    ]

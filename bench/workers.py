"""Rows of several workers that share the partitions: the same events in fresh topics, by one, two and four of them. Each result is checked."""

import time
from typing import Final, NamedTuple

from bench.context import Context, Row, say
from bench.load import READY_SECONDS_MAX, SLOWEST
from bench.meter import Meter
from bench.peers.ours import check
from bench.produce import produce
from bench.results import Results
from bench.traffic import DAYS, NARROW, Truth, contract, directory, last_midnight_ms, visits

COUNTS: Final = (1, 2, 4)


class Taken(NamedTuple):
    """CPU-seconds of all workers, and how long it took."""

    cpu_s: float
    wall_s: float


def rows(ctx: Context) -> list[Row]:
    """Events a CPU-second of all workers together, from the first event to the last, without their start and the memberships before."""
    found = []
    for count in COUNTS:
        taken = _taken(ctx, count)
        per_cpu_s, per_s = ctx.events / taken.cpu_s, ctx.events / taken.wall_s
        note = f"{per_s:,.0f} events/s while they were sent; {NARROW.operators} operators, {NARROW.customers:,} customers; results checked"
        found.append(Row("workers", f"workers: {count}", f"{per_cpu_s:,.0f} events/CPU-s", note))
    return found


def _taken(ctx: Context, count: int) -> Taken:
    """What so many workers take. `Raises` LocalError when a result is wrong."""
    space = ctx.stack.space(f"workers_{count}", distribution_days=str(DAYS + 3))
    servers, results = space.settings.kafka_bootstrap_servers, Results(space)
    seconds_max = READY_SECONDS_MAX + (ctx.events + NARROW.customers) / SLOWEST
    say(f"workers: {count} start, and read {NARROW.customers:,} memberships")
    meters = [Meter(ctx.stack, ctx.stack.start_worker(space, number)) for number in range(1, count + 1)]
    for meter in meters:
        meter.until(ctx.stack.run.ready_file(meter.running.name).exists, "starting", READY_SECONDS_MAX)
    sent = produce(servers, space.sources, directory(NARROW))
    meters[0].until(lambda: results.is_past(sent.done_ms), "memberships", seconds_max)
    before_s, began = _cpu_s(meters), time.monotonic()
    truth = Truth(NARROW)
    made = visits(NARROW, ctx.events, last_midnight_ms())
    say(f"workers: {count} count {ctx.events:,} events as they are sent")
    sent = produce(
        servers, space.sources, (record for visit in truth.counted(made) for record in contract(NARROW, visit))
    )
    meters[0].until(lambda: results.is_past(sent.done_ms), "catching up", seconds_max)
    taken = Taken(_cpu_s(meters) - before_s, time.monotonic() - began)
    meters[0].until(lambda: results.is_clickhouse_past(sent.done_ms), "ClickHouse", seconds_max)
    check(results, truth)
    for meter in meters:
        ctx.stack.stop(meter.running)
    return taken


def _cpu_s(meters: list[Meter]) -> float:
    for meter in meters:
        meter.look()
    return sum(meter.cpu_s for meter in meters)

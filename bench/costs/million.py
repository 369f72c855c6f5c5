"""Rows of restarts with a million customers: with the store, and from an empty disk."""

from typing import Final

from bench.context import Context, Row, say
from bench.costs.file import measurement, put
from bench.costs.gauges import Gauges
from bench.costs.one_worker import OneWorker
from bench.load import empty_start
from bench.produce import produce
from bench.traffic import DataSet, contract, directory, last_midnight_ms, visits
from stream_app.local.errors import LocalError
from stream_app.sizing.costs import Million

_DATA: Final = DataSet("million", 20, 1_000_000)
_EVENTS: Final = 200_000


def rows(ctx: Context) -> list[Row]:
    """See the module."""
    million = measure(ctx, _DATA, _EVENTS)
    if ctx.page:
        put(million=million)
    return shown(million)


def measure(ctx: Context, data: DataSet, events: int) -> Million:
    """`Raises` LocalError when a result is wrong."""
    empty = empty_start(ctx, "costs_nobody")
    one = OneWorker(ctx.stack, "costs_million")
    servers, sources = one.space.settings.kafka_bootstrap_servers, one.space.sources
    say(f"million: {data.customers:,} memberships and {events:,} events")
    produce(servers, sources, directory(data))
    made = visits(data, events, last_midnight_ms())
    caught_up = one.read(produce(servers, sources, (record for visit in made for record in contract(data, visit))))
    if (found := one.results.counts()) != (events // 2, events // 2):
        raise LocalError(f"million: payments and sessions counted are {found}, {events // 2} of each came")
    started = one.start()
    gauges = Gauges(ctx.stack, one.space, one.results)
    records = gauges.look(started).records[gauges.kinds["changelog"][0]]
    ctx.stack.stop(started.running)
    emptied = one.start_empty()
    ctx.stack.stop(emptied.running)
    return Million(
        measured=measurement(f"{data.operators} operators, a group each customer, {events:,} events of 180 days"),
        customers=data.customers,
        records=records,
        rss=caught_up.rss_bytes,
        nobody_cpu_s=round(empty.cpu_s, 2),
        started_cpu_s=round(started.cpu_s, 2),
        started_s=round(started.wall_s, 1),
        emptied_cpu_s=round(emptied.cpu_s, 2),
        emptied_s=round(emptied.wall_s, 1),
    )


def shown(million: Million) -> list[Row]:
    """For the table of the benchmarks."""
    of = f"{million.customers:,} customers"
    return [
        Row("million", "start with its store", f"{million.started_s:.1f} s, {million.started_cpu_s:.1f} CPU-s", f"{of}; on empty topics {million.nobody_cpu_s:.1f} CPU-s"),
        Row("million", "  from an empty disk", f"{million.emptied_s:.1f} s, {million.emptied_cpu_s:.1f} CPU-s", f"{million.records:,} records of the changelog"),
    ]  # fmt: skip

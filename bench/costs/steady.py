"""Rows of what a worker and servers take at a steady pace, on few operators and on many.

The worker must keep the pace: one that is behind shares more of its work, and would be told as cheaper than it is. So this wants a machine that does
nothing else.
"""

import sys
import time
from collections.abc import Sequence
from typing import Final

from bench.context import Context, Row, say
from bench.costs.file import measurement, put
from bench.costs.gauges import Gauges, Look
from bench.costs.one_worker import OneWorker
from bench.load import READY_SECONDS_MAX
from bench.meter import Meter
from bench.produce import produce
from bench.traffic import DataSet, directory
from stream_app.domain.tables import TABLES
from stream_app.local.errors import LocalError
from stream_app.sizing.costs import Pace, Paced

_CUSTOMERS: Final = 25_000  # one in each group of each operator of the wide data
_NARROW: Final = DataSet("narrow", 20, _CUSTOMERS)
_WIDE: Final = DataSet("wide", 5_000, _CUSTOMERS)
_RATES: Final = (50, 150, 500)  # events a second, from the slowest on
_RATES_MIN: Final = 2
_SECONDS: Final = 12.0
_BEHIND_S_MAX: Final = 5.0
_FIRST: Final = 1_000_000_000  # ids of what comes at the first pace


def rows(ctx: Context) -> list[Row]:
    """See the module."""
    paced = measure(ctx, (_NARROW, _WIDE), _RATES, _SECONDS)
    if ctx.page:
        put(paced=paced)
    return shown(paced)


def measure(ctx: Context, data: Sequence[DataSet], rates: Sequence[int], seconds: float) -> Paced:
    """Each data set in turn, the widest last, as fast as the worker keeps the pace. `Raises` LocalError when it keeps one of them at most."""
    found: list[Pace] = []
    idle, record = 0.0, dict[str, float]()
    for one in data:
        measuring = _Measuring(ctx, one, seconds)
        meter = measuring.start()
        before = measuring.gauges.look(meter)
        if not found:
            say("steady: a worker with nothing to do")
            time.sleep(seconds)
            after = measuring.gauges.look(meter)
            idle = (after.cpu_s["worker"] - before.cpu_s["worker"]) / (after.at_s - before.at_s)
        found += measuring.paces(meter, rates, idle)
        after = measuring.gauges.look(meter)
        grown = {table.name: measuring.gauges.grown(table.name, before, after) for table in TABLES}
        record = {name: round(size / count, 1) for name, (size, count) in grown.items()}
        ctx.stack.stop(meter.running)
    said = "; ".join(f"{one.name}: {one.operators:,} operators, {one.customers:,} customers, {one.groups:,} groups" for one in data)  # fmt: skip
    measured = measurement(
        f"{said}; events of now for {seconds:.0f} s at each pace that the worker keeps, of {', '.join(map(str, rates))} a second"
    )
    return Paced(measured, partitions=8, idle=round(idle, 4), record=record, paces=found)


class _Measuring:
    """One data set."""

    def __init__(self, ctx: Context, data: DataSet, seconds: float) -> None:
        self._stack, self._data, self._seconds = ctx.stack, data, seconds
        self._one = OneWorker(ctx.stack, f"costs_steady_{data.name}")
        self._space, self._results = self._one.space, self._one.results
        self.gauges = Gauges(ctx.stack, self._space, self._results)

    def start(self) -> Meter:
        """A worker that has read all memberships."""
        say(f"steady: operators and memberships of {self._data.name}")
        sent = produce(self._space.settings.kafka_bootstrap_servers, self._space.sources, directory(self._data))
        meter = Meter(self._stack, self._stack.start_worker(self._space))
        meter.until(lambda: self._results.is_past(sent.done_ms), "catching up", READY_SECONDS_MAX)
        self._drain(meter)
        return meter

    def paces(self, meter: Meter, rates: Sequence[int], idle: float) -> list[Pace]:
        """Those that the worker keeps; two are needed to tell what an event takes from what a partition does."""
        found: list[Pace] = []
        for number, rate in enumerate(rates):
            pace = self._pace(meter, rate, _FIRST * (number + 1), idle)
            if pace is None:
                say(f"steady: the worker does not keep the pace of {rate:,} events a second, so that is no cost")
                break
            found.append(pace)
        if len(found) < _RATES_MIN:
            raise LocalError("steady: the machine has too much else to do: leave it to this")
        return found

    def _pace(self, meter: Meter, rate: int, first: int, idle: float) -> Pace | None:
        """So many events a second, from one moment at which nothing is left to do to another; None where the worker gets behind."""
        say(f"steady: {rate:,} events a second of {self._data.name}")
        data, sources = self._data, self._space.sources
        arguments = (self._space.settings.kafka_bootstrap_servers, sources["sessions"], sources["payments"], data.operators, data.customers, rate, first)  # fmt: skip
        command = [sys.executable, "-m", "bench.costs.steadily", *map(str, arguments)]
        before = self.gauges.look(meter)
        sender = self._stack.start("steadily", command, {})
        try:
            time.sleep(self._seconds)
            keeps = self._results.is_past(int(1000 * (time.time() - _BEHIND_S_MAX)))
        finally:
            self._stack.stop(sender)
        if not keeps:
            return None
        self._drain(meter)
        return self._paced(before, self.gauges.look(meter), meter, rate, idle)

    def _drain(self, meter: Meter) -> None:
        now_ms = int(time.time() * 1000)
        meter.until(lambda: self._results.is_past(now_ms), "catching up", READY_SECONDS_MAX)
        meter.until(lambda: self._results.is_clickhouse_past(now_ms), "ClickHouse", 2 * READY_SECONDS_MAX)

    def _paced(self, before: Look, after: Look, meter: Meter, rate: int, idle: float) -> Pace:
        _, events = self.gauges.grown("sources", before, after)
        seconds = events / rate
        used = {name: after.cpu_s[name] - before.cpu_s[name] for name in after.cpu_s}
        used["worker"] -= idle * (after.at_s - before.at_s - seconds)
        cores = {name: round(cpu_s / seconds, 4) for name, cpu_s in used.items()}
        return Pace(
            data=self._data.name,
            groups=self._data.groups,
            events_per_second=float(rate),
            worker=cores["worker"],
            broker=cores["kafka"],
            redis=cores["redis"],
            clickhouse=cores["clickhouse"],
            rss=meter.running.process.memory_info().rss,
            topics={kind: round(self.gauges.grown(kind, before, after)[0] / events, 1) for kind in self.gauges.kinds},
            bookkeeping=round((after.other - before.other) / (after.at_s - before.at_s)),
            redis_in=round((after.redis_in - before.redis_in) / events),
            clickhouse_rows=round((after.clickhouse_rows - before.clickhouse_rows) / events, 1),
        )


def shown(paced: Paced) -> list[Row]:
    """For the table of the benchmarks."""
    return [
        Row("steady", "nothing to do", f"{paced.idle:.2f} cores", f"{paced.partitions} partitions"),
        *(
            Row("steady", f"{one.data}: {one.events_per_second:,.0f} events/s", f"{one.worker:.2f} cores",
                f"broker {one.broker:.2f}, Redis {one.redis:.2f}, ClickHouse {one.clickhouse:.2f}; bytes an event: {one.topics}")
            for one in paced.paces
        ),
    ]  # fmt: skip

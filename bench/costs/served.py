"""Rows of what a worker, the API and servers take: catching up, and starting again, on few operators and on many."""

from collections.abc import Sequence
from typing import Final

from bench import wrk
from bench.context import Context, Row, say
from bench.costs.file import measurement, put
from bench.costs.gauges import Gauges
from bench.costs.one_worker import OneWorker
from bench.load import empty_start
from bench.meter import Meter
from bench.processes import start_api, token
from bench.produce import produce
from bench.traffic import DataSet, contract, directory, last_midnight_ms, visits
from stream_app.api.description.reference import PREFIX
from stream_app.local.errors import LocalError
from stream_app.sizing.costs import CaughtUp, Served

_NARROW: Final = DataSet("narrow", 20, 100_000)
_WIDE: Final = DataSet("wide", 5_000, 100_000)
_EVENTS: Final = 150_000
_ASKED_S: Final = 3


def rows(ctx: Context) -> list[Row]:
    """See the module."""
    served = measure(ctx, (_NARROW, _WIDE), _EVENTS)
    if ctx.page:
        put(served=served)
    return shown(served)


def measure(ctx: Context, data: Sequence[DataSet], events: int) -> Served:
    """Each data set in turn, the widest last. `Raises` LocalError when a result is wrong."""
    started = empty_start(ctx, "costs_empty")
    measured = [_Measuring(ctx, one) for one in data]
    found = [one.measure(events) for one in measured]
    said = "; ".join(f"{one.name}: {one.operators:,} operators, {one.customers:,} customers, {one.groups:,} groups" for one in data)  # fmt: skip
    return Served(
        measured=measurement(f"{said}; {events:,} events of 180 days"),
        started_cpu_s=round(started.cpu_s, 2),
        rss=started.rss_bytes,
        clickhouse_row=measured[-1].clickhouse_row,
        caught_up=found,
    )


class _Measuring:
    """One data set."""

    def __init__(self, ctx: Context, data: DataSet) -> None:
        self._ctx, self._stack, self._data = ctx, ctx.stack, data
        self._one = OneWorker(ctx.stack, f"costs_{data.name}")
        self._space, self._results = self._one.space, self._one.results
        self._gauges = Gauges(ctx.stack, self._space, self._results)
        self.clickhouse_row: dict[str, float] = {}  # bytes by table, once measured

    def measure(self, events: int) -> CaughtUp:
        """From topics with history to an empty disk."""
        redis_before = self._gauges.redis_bytes()
        caught_up = self._catch_up(events)
        redis = self._gauges.redis_bytes() - redis_before
        asked = self._ask()
        self._gauges.merge()
        rows = self._gauges.clickhouse_rows()
        self.clickhouse_row = {name: round(size / count, 2) for name, (count, size) in rows.items()}
        started = self._one.start()
        started_cpu_s = started.cpu_s
        records = self._gauges.look(started).records[self._gauges.kinds["changelog"][0]]
        self._stack.stop(started.running)
        emptied = self._one.start_empty()
        self._stack.stop(emptied.running)
        return CaughtUp(
            data=self._data.name,
            operators=self._data.operators,
            customers=self._data.customers,
            groups=self._data.groups,
            events=events,
            events_per_cpu_s=round(events / (caught_up.cpu_s - started_cpu_s)),
            rss=caught_up.rss_bytes,
            started_cpu_s=round(started_cpu_s, 2),
            emptied_cpu_s=round(emptied.cpu_s, 2),
            changelog_records=records,
            redis=redis,
            requests_per_cpu_s=round(asked),
        )

    def _catch_up(self, events: int) -> Meter:
        """A worker that knows all memberships reads the events that came while it was away, and its results are right; it is stopped."""
        data, servers = self._data, self._space.settings.kafka_bootstrap_servers
        say(f"served: operators and memberships of {data.name}")
        self._one.read(produce(servers, self._space.sources, directory(data)))
        say(f"served: {events:,} events of {data.name}, on which one worker catches up")
        made = visits(data, events, last_midnight_ms())
        meter = self._one.read(
            produce(servers, self._space.sources, (record for visit in made for record in contract(data, visit)))
        )
        if (found := self._results.counts()) != (events // 2, events // 2):
            raise LocalError(f"served: payments and sessions counted are {found}, {events // 2} of each came")
        return meter

    def _ask(self) -> float:
        """Answers for each CPU-second of the API: the default question, over operators and groups."""
        say("served: asking the API")
        api = start_api(self._ctx, self._space)
        operators = [self._data.operator(number) for number in range(min(self._data.operators, 50))]
        asked = [
            wrk.Asked("GET", f"{PREFIX}/monthlyIndex?operatorId={operator}&groupId={group}", {"Authorization": f"Bearer {token(operator)}"})
            for operator in operators for group in ("ALL", "G0", "G1")
        ]  # fmt: skip
        script = self._stack.run.root / "asked.lua"
        script.write_text(wrk.script(asked))
        program, process = wrk.install(self._stack.run.lib), api.running.process
        wrk.run(program, api.address, script, 1)
        before = process.cpu_times()
        counted = wrk.run(program, api.address, script, _ASKED_S)
        after = process.cpu_times()
        self._stack.stop(api.running)
        return counted.requests / (after.user + after.system - before.user - before.system)


def shown(served: Served) -> list[Row]:
    """For the table of the benchmarks."""
    return [
        Row("served", "start on empty topics", f"{served.started_cpu_s:.1f} CPU-s", f"{served.rss >> 20:,} MiB"),
        *(
            Row("served", f"{one.data}: catching up", f"{one.events_per_cpu_s:,.0f} events/CPU-s",
                f"{one.events:,} events, each counted once; peak {one.rss >> 20:,} MiB; next start {one.started_cpu_s:.1f} CPU-s, from an empty disk "
                f"{one.emptied_cpu_s:.1f}; Redis {one.redis / one.groups:,.0f} bytes a group; API {one.requests_per_cpu_s:,.0f} answers/CPU-s")
            for one in served.caught_up
        ),
    ]  # fmt: skip

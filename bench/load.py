"""The whole path: records in fresh topics, then one worker that catches up on them. `whole` shows it, `restart` uses its state."""

import time

from bench.context import Context, Loaded, say
from bench.meter import Meter
from bench.produce import produce
from bench.records import Network
from bench.results import Results
from stream_app.local.errors import LocalError

READY_SECONDS_MAX = 60.0
SLOWEST = 500  # records a second; slower than that is not waited for


def load(ctx: Context) -> Loaded:
    """The state of the whole path; measured when it is asked for the first time. `Raises` LocalError when a result is wrong."""
    if ctx.loaded is None:
        ctx.loaded = _load(ctx)
    return ctx.loaded


def _load(ctx: Context) -> Loaded:
    start = empty_start(ctx, "empty")
    space, network = ctx.stack.space("whole"), Network(ctx.events)
    say(f"whole: producing {ctx.events:,} records")
    sent = produce(space.settings.kafka_bootstrap_servers, space.sources, network)
    say(f"whole: one worker catches up on {sent.records:,} records, {sent.size / sent.records:.0f} bytes each")
    results = Results(space)
    meter = Meter(ctx.stack, ctx.stack.start_worker(space))
    meter.until(lambda: results.is_past(sent.done_ms), "catching up", READY_SECONDS_MAX + sent.records / SLOWEST)
    cpu_s, wall_s = meter.cpu_s, meter.wall_s
    checked_ms = int(time.time() * 1000)
    meter.until(lambda: results.is_clickhouse_past(checked_ms), "ClickHouse", READY_SECONDS_MAX)
    found, wanted = results.counts(), (network.payments, network.sessions)
    if found != wanted:
        raise LocalError(f"whole: payments and sessions counted are {found}, of the records made {wanted} count")
    ctx.stack.stop(meter.running)
    say(f"whole: {found[0]:,} payments and {found[1]:,} sessions count, as made; {cpu_s:.1f} CPU-seconds")
    return Loaded(space, sent.records, sent.size, start.cpu_s, start.wall_s, cpu_s, wall_s, meter.rss_bytes, *found)


def empty_start(ctx: Context, name: str) -> Meter:
    """A worker that has nothing to read, until it is ready, in a space of this name."""
    say("one worker starts on empty topics")
    meter = Meter(ctx.stack, ctx.stack.start_worker(ctx.stack.space(name)))
    ready = ctx.stack.run.ready_file(meter.running.name)
    meter.until(ready.exists, "starting", READY_SECONDS_MAX)
    cpu_s, wall_s = meter.cpu_s, meter.wall_s
    ctx.stack.stop(meter.running)
    meter.cpu_s, meter.wall_s = cpu_s, wall_s
    return meter

"""Rows of a rebuild: all that the whole path loaded is counted again beside the worker that serves, while payments come in.

What is told: how long it takes, what it uses, and how old the oldest result gets meanwhile. Runs last: it leaves another generation.
"""

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import orjson
import psutil
from confluent_kafka import Consumer, TopicPartition

from bench.context import Context, Row, say
from bench.load import READY_SECONDS_MAX, SLOWEST, load
from bench.meter import Meter
from bench.results import Results
from bench.stack import Space
from stream_app.local.errors import LocalError

RATE = 200  # payments a second meanwhile
OPERATORS = 16
BEFORE_S = 10  # how long ages are looked at before it begins
_LOOK_S = 0.05


class Rebuilt(NamedTuple):
    """A rebuild that is done. `oldest_ms`: the highest age of a partition's results in Redis meanwhile."""

    wall_s: float
    cpu_s: float
    rss_bytes: int
    oldest_ms: float


def rows(ctx: Context) -> list[Row]:
    """Minutes and rate of the rebuild, and the age of results before and meanwhile."""
    loaded = load(ctx)
    space, results = loaded.space, Results(loaded.space)
    worker = Meter(ctx.stack, ctx.stack.start_worker(space))
    worker.until(ctx.stack.run.ready_file(worker.running.name).exists, "starting", READY_SECONDS_MAX)
    known = _payments(space)
    most = RATE * int(BEFORE_S + READY_SECONDS_MAX + loaded.records / SLOWEST)
    arguments = [space.settings.kafka_bootstrap_servers, space.settings.topic_payments, OPERATORS, RATE, most]
    program = Path(__file__).with_name("pay_steadily.py")
    payer = ctx.stack.start("pay-steadily", [sys.executable, program, *map(str, arguments)], {})
    before_ms, until = 0.0, time.monotonic() + BEFORE_S
    while time.monotonic() < until:
        before_ms = max(before_ms, _age_ms(results))
        time.sleep(_LOOK_S)
    say(f"rebuild: {loaded.records:,} records are counted again, {RATE} payments a second come in")
    done = _rebuild(ctx, space, results, READY_SECONDS_MAX + loaded.records / SLOWEST)
    ctx.stack.stop(payer)
    sent, last_ms = _payments(space) - known, int(time.time() * 1000)
    worker.until(lambda: results.is_past(last_ms), "the next generation", READY_SECONDS_MAX)
    worker.until(lambda: results.is_clickhouse_past(last_ms), "ClickHouse", READY_SECONDS_MAX)
    found, wanted = results.counts(), (loaded.payments + sent, loaded.sessions)
    if found != wanted:
        raise LocalError(
            f"rebuild: payments and sessions counted are {found}, {wanted} were counted before or sent since"
        )
    generation = orjson.loads(results.redis.get("crm:{M0}:monthly:ALL"))["version"] >> 40
    ctx.stack.stop(worker.running)
    return [
        Row(
            "rebuild", "rebuild beside live traffic", f"{done.wall_s / 60:.1f} min",
            f"the whole command, {loaded.records / done.wall_s:,.0f} events/s: {loaded.records:,} records counted again by generation {generation}, "
            f"{RATE} payments a second served meanwhile; then checked: payments and sessions count as before, with the {sent:,} that came since",
        ),
        Row("rebuild", "  CPU", f"{done.cpu_s:.1f} CPU-s", "of the command, start-up included; that of the worker not"),
        Row("rebuild", "  peak memory", f"{done.rss_bytes >> 20:,} MiB", "resident, of the command"),
        Row("rebuild", "  oldest result meanwhile", f"{done.oldest_ms / 1000:.1f} s", f"as-of in Redis, of all partitions; {before_ms / 1000:.1f} s in the {BEFORE_S} s before"),
    ]  # fmt: skip


def _rebuild(ctx: Context, space: Space, results: Results, seconds_max: float) -> Rebuilt:
    """Run the command to its end. `Raises` LocalError when it fails, or takes too long."""
    program = Path(sys.executable).parent / "stream-app"
    command = [program, "rebuild", "--state-dir", ctx.stack.run.state / f"rebuild-{space.name}"]
    meter = Meter(ctx.stack, ctx.stack.start("rebuild", command, space.env))
    process, deadline, oldest_ms = meter.running.process, time.monotonic() + seconds_max, 0.0
    while process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            raise LocalError(f"rebuild took longer than {seconds_max:.0f} s; {ctx.stack.end_of_log('rebuild')}")
        oldest_ms = max(oldest_ms, _age_ms(results))
        with suppress(LocalError):  # it ended between two looks
            meter.look()
        time.sleep(_LOOK_S)
    if process.wait() != 0:
        raise LocalError(f"rebuild failed; {ctx.stack.end_of_log('rebuild')}")
    return Rebuilt(meter.wall_s, meter.cpu_s, meter.rss_bytes, oldest_ms)


def _age_ms(results: Results) -> float:
    return time.time() * 1000 - min(results.as_of().values())


def _payments(space: Space) -> int:
    """The number of records that the topic of payments has ever held."""
    consumer, topic = (
        Consumer({"bootstrap.servers": space.settings.kafka_bootstrap_servers, "group.id": "bench"}),
        space.settings.topic_payments,
    )
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        return sum(
            consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1] for partition in partitions
        )
    finally:
        consumer.close()

"""Rows of latency: from the time at which the broker appended a record to the time at which its result can be read.

Its result is there when as-of of its operator's partition in Redis is past the append time. That as-of tells the truth is checked as well: every look
reads as-of, then an operator's document, which must hold all its payments appended before.
"""

import itertools
import sys
import time
from bisect import bisect_left
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import orjson
from confluent_kafka import Consumer, TopicPartition

from bench.context import Context, Row, say
from bench.load import READY_SECONDS_MAX
from bench.meter import Meter
from bench.results import Results, parse_as_of
from bench.stack import Space, Stack
from stream_app.local.errors import LocalError

OPERATORS = 16
WARM_UP_S = 3  # not counted
_LOOK_S = 0.005
_BEHIND_S_MAX = 60.0


class Look(NamedTuple):
    """What Redis said: as-of of the operator's partition, then the operator's number of payments."""

    at_ms: float
    as_of: dict[int, int]
    operator: str
    partition: int
    payments: int


class Taken(NamedTuple):
    """A payment as Kafka took it."""

    operator: str
    number: int
    appended_ms: int


def rows(ctx: Context) -> list[Row]:
    """Percentiles, and what the worker used meanwhile."""
    space = ctx.stack.space("latency", log_append_time=True)
    meter = Meter(ctx.stack, ctx.stack.start_worker(space))
    meter.until(ctx.stack.run.ready_file(meter.running.name).exists, "starting", READY_SECONDS_MAX)
    count = ctx.rate * (ctx.seconds + WARM_UP_S)
    say(f"latency: {ctx.rate:,} payments a second for {ctx.seconds} s, after {WARM_UP_S} s that are not counted")
    looks, cores = _look(ctx.stack, space, meter, ctx.rate, count)
    taken = _read_back(space, count)
    ctx.stack.stop(meter.running)
    checks = _check(looks, taken)
    partitions = {look.operator: look.partition for look in looks if look.partition >= 0}
    counted = [one for one in taken if one.number >= ctx.rate * WARM_UP_S]
    found = sorted(_latencies(looks, partitions, counted))
    how = (
        f"{len(found):,} payments, {ctx.rate:,} a second over {OPERATORS} operators in {len(set(partitions.values()))} partitions, from the broker's append "
        f"until Redis' as-of is past it; a look each {_LOOK_S * 1000:.0f} ms. As-of kept its word in {checks:,} looks of {checks:,}"
    )
    return [
        Row("latency", "append to result, p50", f"{_percentile(found, 0.5):,.0f} ms", how),
        Row("latency", "  p99", f"{_percentile(found, 0.99):,.0f} ms", "to stay below 1,000 ms"),
        Row("latency", "  max", f"{found[-1]:,.0f} ms"),
        Row("latency", "  CPU meanwhile", f"{cores:.0%} of a core", "of the worker, sinks included"),
    ]


def _look(stack: Stack, space: Space, meter: Meter, rate: int, count: int) -> tuple[list[Look], float]:
    """Look at Redis while another process sends, until all is there; the looks, and how many cores the worker used."""
    results, looks = Results(space), []
    names, partitions = itertools.cycle(range(OPERATORS)), dict.fromkeys(range(OPERATORS), -1)
    program = Path(__file__).with_name("pay_steadily.py")
    arguments = [space.settings.kafka_bootstrap_servers, space.settings.topic_payments, OPERATORS, rate, count]
    cpu_s, began = meter.cpu_s, time.monotonic()
    payer = stack.start("pay-steadily", [sys.executable, program, *map(str, arguments)], {})
    counts = dict.fromkeys(range(OPERATORS), 0)
    deadline = began + count / rate + _BEHIND_S_MAX
    while sum(counts.values()) < count:
        if time.monotonic() > deadline:
            raise LocalError(
                f"{sum(counts.values()):,} of {count:,} payments show; {stack.end_of_log(meter.running.name)}"
            )
        operator = next(names)
        with results.redis.pipeline(transaction=False) as both:
            as_of, document = both.hgetall("crm:as-of").get(f"crm:{{L{operator}}}:monthly:ALL").execute()
        at_ms = time.time() * 1000
        if document is not None:
            data = orjson.loads(document)
            partitions[operator] = data["partition"]
            counts[operator] = sum(month["paymentCount"] for month in data["months"])
        looks.append(Look(at_ms, parse_as_of(as_of), f"L{operator}", partitions[operator], counts[operator]))
        time.sleep(_LOOK_S)
    meter.look()
    cores = (meter.cpu_s - cpu_s) / (time.monotonic() - began)
    last_ms = int(time.time() * 1000)
    while min(looks[-1].as_of.values()) < last_ms:  # as-of of an idle partition follows as well
        if time.monotonic() > deadline:
            raise LocalError(f"as-of stands still; {stack.end_of_log(meter.running.name)}")
        as_of = results.as_of()
        looks.append(looks[-1]._replace(at_ms=time.time() * 1000, as_of=as_of))
        time.sleep(_LOOK_S)
    stack.stop(payer)
    return looks, cores


def _read_back(space: Space, count: int) -> list[Taken]:
    """All payments, with the broker's time of each."""
    consumer = Consumer(
        {
            "bootstrap.servers": space.settings.kafka_bootstrap_servers,
            "group.id": "bench-latency",
            "enable.auto.commit": False,
        }
    )
    try:
        topic = space.settings.topic_payments
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        taken: list[Taken] = []
        deadline = time.monotonic() + _BEHIND_S_MAX
        while len(taken) < count and time.monotonic() < deadline:
            for message in consumer.consume(10_000, timeout=1):
                if message.error() is not None:
                    raise LocalError(f"{topic} can't be read back: {message.error()}")
                value = orjson.loads(message.value() or b"")
                taken.append(
                    Taken(value["operator_id"], int(value["payment_id"].removeprefix("p-")), message.timestamp()[1])
                )
    finally:
        consumer.close()
    if len({one.number for one in taken}) != count:
        raise LocalError(f"{topic} holds {len(taken):,} payments, {count:,} were sent")
    return taken


def _check(looks: list[Look], taken: list[Taken]) -> int:
    """The number of looks at which the document held all that as-of says. `Raises` LocalError for one that did not."""
    appended: dict[str, list[int]] = defaultdict(list)
    for one in sorted(taken, key=lambda one: one.appended_ms):
        appended[one.operator].append(one.appended_ms)
    checks = 0
    for look in looks:
        if look.partition in look.as_of:
            wanted = bisect_left(appended[look.operator], look.as_of[look.partition])
            if look.payments < wanted:
                raise LocalError(
                    f"as-of lies: {look.operator} shows {look.payments} payments, {wanted} came before {look.as_of[look.partition]}"
                )
            checks += 1
    return checks


def _latencies(looks: list[Look], partitions: dict[str, int], taken: list[Taken]) -> list[float]:
    """Milliseconds from append to the first look at which as-of was past it."""
    steps: dict[int, tuple[list[int], list[float]]] = {}  # by partition as-of, rising, and when it was seen first
    for look in looks:
        for partition, as_of in look.as_of.items():
            known, seen = steps.setdefault(partition, ([], []))
            if not known or as_of > known[-1]:
                known.append(as_of)
                seen.append(look.at_ms)
    out = []
    for one in taken:
        known, seen = steps[partitions[one.operator]]
        out.append(seen[bisect_left(known, one.appended_ms + 1)] - one.appended_ms)  # as-of is past it, not equal
    return out


def _percentile(found: list[float], share: float) -> float:
    return found[min(len(found) - 1, int(len(found) * share))]

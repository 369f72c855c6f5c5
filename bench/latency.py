"""Rows of latency: from the time at which the broker appended a record to the time at which its result can be read, and to that at which a viewer has it.

Its result is there when as-of of its operator's partition in Redis is past the append time. That as-of tells the truth is checked as well: every look
reads as-of, then an operator's document, which must hold all its payments appended before.
"""

import itertools
import sys
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

import orjson
from confluent_kafka import Consumer, TopicPartition

from bench import pages
from bench.context import Context, Row, say
from bench.load import READY_SECONDS_MAX
from bench.meter import Meter
from bench.processes import start_api
from bench.results import Results, parse_as_of
from bench.stack import Space, Stack
from bench.viewer import Viewer
from config.settings import ROOT
from stream_app.local.errors import LocalError

PAGE = ROOT / "docs" / "performance.md"
OPERATORS = 16
WARM_UP_S = 3  # not counted
_REDIS_MS_MAX = {0.5: 200.0, 0.99: 500.0}
_CLICKHOUSE_MS_MAX = 2_500.0
_VIEWER_MS_MAX = 700.0
_CORES_MAX, _LOW_RATE = 0.25, 1_000
_LOOK_S = 0.005
_CLICKHOUSE_LOOK_S = 0.05
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


class Found(NamedTuple):
    """What was measured at a pace: milliseconds until results are there, ascending, and how many cores the worker took."""

    rate: int
    redis: list[float]
    clickhouse: list[float]
    viewer: list[float]
    cores: float
    checks: int


def rows(ctx: Context) -> list[Row]:
    """Percentiles, and what the worker used meanwhile, at each pace asked for."""
    found = [_measure(ctx, rate) for rate in ctx.rates]
    if ctx.page:
        _write(found, ctx.seconds)
    return [row for one in found for row in _rows(one)]


def _measure(ctx: Context, rate: int) -> Found:
    space = ctx.stack.space(f"latency{rate}", log_append_time=True)
    meter = Meter(ctx.stack, ctx.stack.start_worker(space))
    meter.until(ctx.stack.run.ready_file(meter.running.name).exists, "starting", READY_SECONDS_MAX)
    count = rate * (ctx.seconds + WARM_UP_S)
    say(f"latency: {rate:,} payments a second for {ctx.seconds} s, after {WARM_UP_S} s that are not counted")
    api = start_api(ctx, space)
    with _ClickHouse(space) as clickhouse, Viewer(api, "L0") as viewer:
        looks, cores = look_while_paying(ctx.stack, space, meter, rate, count)
        taken = read_back(space, count)
        meter.until(clickhouse.is_past(max(one.appended_ms for one in taken)), "ClickHouse", _BEHIND_S_MAX)
        own = [one for one in taken if one.operator == viewer.operator]
        meter.until(lambda: bool(viewer.looks) and viewer.looks[-1][1] == len(own), "the viewer", _BEHIND_S_MAX)
    ctx.stack.stop(api.running)
    ctx.stack.stop(meter.running)
    checks = check_looks(looks, taken)
    partitions = {look.operator: look.partition for look in looks if look.partition >= 0}
    counted = [one for one in taken if one.number >= rate * WARM_UP_S]
    in_redis = sorted(latencies_of([(look.at_ms, look.as_of) for look in looks], partitions, counted))
    in_clickhouse = sorted(latencies_of(clickhouse.looks, partitions, counted))
    first = sum(one.number < rate * WARM_UP_S for one in own)
    at_viewer = sorted(viewer.latencies(sorted(one.appended_ms for one in own), first))
    return Found(rate, in_redis, in_clickhouse, at_viewer, cores, checks)


def _rows(one: Found) -> list[Row]:
    how = (
        f"{len(one.redis):,} payments, {one.rate:,} a second over {OPERATORS} operators, from the broker's append until Redis' as-of is past it; a look each "
        f"{_LOOK_S * 1000:.0f} ms. As-of kept its word in {one.checks:,} looks of {one.checks:,}"
    )
    return [
        Row("latency", f"append to result, {one.rate:,} a second, p50", f"{percentile(one.redis, 0.5):,.0f} ms", how),
        Row("latency", "  p99", f"{percentile(one.redis, 0.99):,.0f} ms", "to stay below 1,000 ms"),
        Row("latency", "  max", f"{one.redis[-1]:,.0f} ms"),
        Row("latency", "  in ClickHouse, p99", f"{percentile(one.clickhouse, 0.99):,.0f} ms", "its as-of is in whole seconds, so up to one less"),
        Row("latency", "  at a viewer, p50 and p99", f"{percentile(one.viewer, 0.5):,.0f} and {percentile(one.viewer, 0.99):,.0f} ms",
            "of one operator's stream, until its document counts as many payments as had been appended"),
        Row("latency", "  CPU meanwhile", f"{one.cores:.0%} of a core", "of the worker, sinks included"),
    ]  # fmt: skip


def _write(found: list[Found], seconds: int) -> None:
    """The table of docs/performance.md."""
    head = [
        "payments a second",
        "Redis p50, ms",
        "p99",
        "max",
        "ClickHouse p50, ms",
        "p99",
        "viewer p50, ms",
        "p99",
        "worker, cores",
    ]
    lines = [
        [
            f"{one.rate:,}",
            _aimed(percentile(one.redis, 0.5), _REDIS_MS_MAX[0.5]),
            _aimed(percentile(one.redis, 0.99), _REDIS_MS_MAX[0.99]),
            f"{one.redis[-1]:,.0f}",
            f"{percentile(one.clickhouse, 0.5):,.0f}",
            _aimed(percentile(one.clickhouse, 0.99), _CLICKHOUSE_MS_MAX),
            f"{percentile(one.viewer, 0.5):,.0f}",
            _aimed(percentile(one.viewer, 0.99), _VIEWER_MS_MAX),
            f"{one.cores:.2f}" + (f", at most {_CORES_MAX:g}: missed" if one.cores > _CORES_MAX and one.rate <= _LOW_RATE else ""),
        ]
        for one in found
    ]  # fmt: skip
    text = f"{pages.measured_on()} Each pace for {seconds} s.\n\n{pages.table(head, lines)}"
    pages.put(
        PAGE, text, "<!-- make bench writes latency from here -->", "<!-- make bench writes latency up to here -->"
    )


def _aimed(found: float, most: float) -> str:
    return f"{found:,.0f}" + (f", at most {most:,.0f}: missed" if found > most else "")


class _ClickHouse:
    """Looks at ClickHouse's as-of, beside those at Redis: (time of the look, as-of by partition), in milliseconds."""

    def __init__(self, space: Space) -> None:
        self._results, self._over = Results(space), threading.Event()
        self._thread = threading.Thread(target=self._run, name="clickhouse")
        self.looks: list[tuple[float, dict[int, int]]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(_CLICKHOUSE_LOOK_S):
            as_of = self._results.clickhouse_as_of()
            self.looks.append((time.time() * 1000, as_of))

    def is_past(self, time_ms: int) -> Callable[[], bool]:
        """Does each partition hold what was appended by then?"""
        return lambda: bool(self.looks and self.looks[-1][1]) and min(self.looks[-1][1].values()) > time_ms


def look_while_paying(stack: Stack, space: Space, meter: Meter, rate: int, count: int) -> tuple[list[Look], float]:
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


def read_back(space: Space, count: int) -> list[Taken]:
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


def check_looks(looks: list[Look], taken: list[Taken]) -> int:
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


def latencies_of(
    looks: list[tuple[float, dict[int, int]]], partitions: dict[str, int], taken: list[Taken]
) -> list[float]:
    """Milliseconds from append to the first look at which as-of was past it."""
    steps: dict[int, tuple[list[int], list[float]]] = {}  # by partition as-of, rising, and when it was seen first
    for at_ms, found in looks:
        for partition, as_of in found.items():
            known, seen = steps.setdefault(partition, ([], []))
            if not known or as_of > known[-1]:
                known.append(as_of)
                seen.append(at_ms)
    out = []
    for one in taken:
        known, seen = steps[partitions[one.operator]]
        out.append(seen[bisect_left(known, one.appended_ms + 1)] - one.appended_ms)  # as-of is past it, not equal
    return out


def percentile(found: list[float], share: float) -> float:
    """Of values in ascending order."""
    return found[min(len(found) - 1, int(len(found) * share))]

"""Ours on the data sets: one worker catches up on what is there; ClickHouse and Redis are then compared with what must come out, row by row."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

import orjson

from bench.context import Context, say
from bench.load import READY_SECONDS_MAX, SLOWEST, empty_start
from bench.meter import Meter
from bench.peers.measured import Measured, Used
from bench.produce import produce
from bench.results import Results
from bench.stack import Stack
from bench.traffic import DAYS, DataSet, Truth, contract, directory, last_midnight_ms, visits
from stream_app.local.errors import LocalError

WALL, STREAM = "ours", "ours-stream"
NAMES: Final = {
    WALL: ("ours", "whole path: exactly once, ledger in RocksDB with changelog, results topics, Redis and ClickHouse; half-hours of all days are kept"),
    STREAM: ("ours, stream clock", "the same; days pass while records of them are read, so windows roll on 180 times, as in a replay"),
}  # fmt: skip
_MONTHLY = """SELECT operator_id, group_id, stat_month, received_amount, discount_amount, payment_count, paying_customers, session_count,
    charging_customers, energy_kwh FROM {}.ads_operation_crm_monthly_current WHERE payment_count > 0 OR session_count > 0"""
_SLOTS = """SELECT operator_id, group_id, stat_date, slot, charge_count FROM {}.ads_operation_crm_charging_distri_current WHERE charge_count > 0"""
_SHOWN: Final = (
    *("receivedAmount", "discountAmount", "paymentCount", "payingCustomers"),
    *("sessionCount", "chargingCustomers", "energyKwh"),
)


def measure(ctx: Context, system: str, data: DataSet, start: Used) -> Measured:
    """Load a data set and catch up on it. `Raises` LocalError when a result is wrong."""
    clock = "stream" if system == STREAM else "wall"
    space = ctx.stack.space(f"{data.name}_{clock}", clock=clock, distribution_days=str(DAYS + 3))
    truth, until_ms = Truth(data), last_midnight_ms()
    servers = space.settings.kafka_bootstrap_servers
    say(
        f"{system}: producing {data.operators + data.customers:,} operators and memberships, and {ctx.peers_events:,} events of {data.name}"
    )
    produce(servers, space.sources, directory(data))
    made = visits(data, ctx.peers_events, until_ms)
    sent = produce(
        servers, space.sources, (record for visit in truth.counted(made) for record in contract(data, visit))
    )
    say(f"{system}: one worker catches up")
    results = Results(space)
    broker_s, sinks_s = _servers(ctx.stack)
    meter = Meter(ctx.stack, ctx.stack.start_worker(space))
    seconds_max = READY_SECONDS_MAX + (sent.records + data.customers) / SLOWEST
    meter.until(lambda: results.is_past(sent.done_ms), "catching up", seconds_max)
    wall_s = meter.wall_s
    meter.until(lambda: results.is_clickhouse_past(sent.done_ms), "ClickHouse", seconds_max)
    cpu_s = meter.cpu_s
    broker_s, sinks_s = (after - before for before, after in zip((broker_s, sinks_s), _servers(ctx.stack), strict=True))
    rows = check(results, truth)
    ctx.stack.stop(meter.running)
    return Measured(
        system,
        data.name,
        sent.records,
        cpu_s,
        start.cpu_s,
        wall_s,
        start.wall_s,
        meter.rss_bytes,
        broker_s,
        sinks_s,
        rows,
    )


def start(ctx: Context) -> Used:
    """What the start alone takes."""
    meter = empty_start(ctx, "nothing")
    return Used(meter.cpu_s, meter.wall_s, 0.0)


def check(results: Results, truth: Truth) -> int:
    """How many rows of ClickHouse and documents of Redis there are, each as it must be. `Raises` LocalError when one is not."""
    months = {
        (operator, group, f"{first:%Y-%m}"): (int(received * 100), int(discount * 100), *counts, int(energy * 1000))
        for operator, group, first, received, discount, *counts, energy in results.ask(_MONTHLY)
    }
    slots = {
        (operator, group, day.isoformat(), slot): count for operator, group, day, slot, count in results.ask(_SLOTS)
    }
    _compare("ClickHouse", months, truth.months)
    _compare("ClickHouse", slots, truth.slots)
    return len(months) + len(slots) + _check_documents(results, truth)


def _compare(where: str, found: Mapping[Any, object], wanted: Mapping[Any, object]) -> None:
    wrong = [name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)]
    if wrong:
        one = min(wrong)
        raise LocalError(
            f"ours: {len(wrong):,} of {len(wanted):,} results in {where} are wrong, such as {one}: {found.get(one)}, and not {wanted.get(one)}"
        )


def _check_documents(results: Results, truth: Truth) -> int:
    """Both documents of each group, as far as they show: money and numbers of six months, half-hours of thirty days."""
    months = truth.months
    groups = sorted({key[:2] for key in months})
    by_day: defaultdict[tuple[str, str], list[tuple[str, int, int]]] = defaultdict(list)
    for (operator, group, day, slot), count in truth.slots.items():
        by_day[operator, group].append((day, slot, count))
    shown: dict[object, object] = {}
    wanted: dict[object, object] = {}
    for operator, group in groups:
        texts = results.redis.mget(f"crm:{{{operator}}}:monthly:{group}", f"crm:{{{operator}}}:distribution:{group}")
        if None in texts:
            raise LocalError(f"ours: Redis lacks a document of {operator} {group}")
        monthly, distribution = map(orjson.loads, texts)
        for month in monthly["months"]:
            key = operator, group, month["month"]
            shown[key] = tuple(month[name] for name in _SHOWN)
            amount, discount, *counts, energy_wh = months.get(key, (0,) * 7)
            wanted[key] = (f"{amount / 100:.2f}", f"{discount / 100:.2f}", *counts, f"{energy_wh / 1000:.3f}")
        counted = [0] * 48
        for day, slot, count in by_day[operator, group]:
            if distribution["from"] <= day <= distribution["to"]:
                counted[slot] += count
        wanted[operator, group, "half-hours"] = counted
        shown[operator, group, "half-hours"] = [slot["chargeCount"] for slot in distribution["slots"]]
    _compare("Redis", shown, wanted)
    return 2 * len(groups)


def _servers(stack: Stack) -> tuple[float, float]:
    return stack.server_cpu_s("kafka"), stack.server_cpu_s("redis") + stack.server_cpu_s("clickhouse")

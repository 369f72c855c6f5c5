"""CPU, memory, disk and restarts of workers, and how many partitions and workers there must be.

A worker is one process and uses one core; a partition is one worker's, and an operator one partition's.
"""

import math
from itertools import accumulate
from typing import NamedTuple

from stream_app.sizing.costs import Costs, Pace, Points
from stream_app.sizing.demand import Demand, DemandError
from stream_app.sizing.lines import BYTES, CORES, COUNT, SECONDS, Limit, Line, Section
from stream_app.sizing.state import StateSize

PARTITIONS_MIN, PARTITIONS_MAX, WORKERS_MIN = 8, 65_535, 2
_MEMTABLES_BYTES = 24 << 20  # of a partition at most: stream_app/partition/store.py
_CACHE_MB = 64  # block_cache_mb of what was measured
_FAR_S = 3_600.0  # of the backlog whose catching up is told
_RESTART_S = 3_600.0  # within which an empty disk should be filled again


class Width(NamedTuple):
    """CPU at a steady pace on one data set: core-seconds for each event, and cores for each partition that has some."""

    events_a_group: float  # a second
    event: float
    partition: float


def widths(costs: Costs, server: str = "worker") -> list[Width]:
    """By events a second and group, few first: of each data set, a line as steep as from its slowest pace to its fastest, and above all."""
    by_data: dict[str, list[Pace]] = {}
    for one in costs.paced.paces:
        by_data.setdefault(one.data, []).append(one)
    found = []
    for some in by_data.values():
        slow, fast = (pick(some, key=lambda one: one.events_per_second) for pick in (min, max))
        cores = [getattr(one, server) for one in (slow, fast)]
        event = max(0.0, cores[1] - cores[0]) / (fast.events_per_second - slow.events_per_second)
        rest = max(0.0, *(getattr(one, server) - event * one.events_per_second for one in some))
        found.append(Width(fast.events_per_second / fast.groups, event, rest / costs.paced.partitions))
    return sorted(found)


def event_cores(demand: Demand, costs: Costs, server: str = "worker") -> float:
    """Core-seconds for each event at the busiest time: the fewer events a group has, the less of them share a document. Of servers, the most."""
    found = widths(costs, server)
    if server != "worker":
        return max(one.event for one in found) * memberships(demand, costs)
    by_width = Points([math.log(one.events_a_group) for one in found], [one.event for one in found])
    each = by_width.at(math.log(demand.events_per_second / demand.all_groups))
    return each * memberships(demand, costs)


def partition_cores(costs: Costs, server: str = "worker") -> float:
    """Cores for each partition that is written to: transactions, ticks, samples."""
    return max(one.partition for one in widths(costs, server))


def memberships(demand: Demand, costs: Costs) -> float:
    """How many times as much an event takes as with one group a customer: where a run shows less for more groups, as much as for fewer."""
    curve = costs.curves["memberships"]
    times = accumulate((curve.events_per_cpu_s[0] / rate for rate in curve.events_per_cpu_s), max)
    return Points(curve.values, list(times)).beyond(max(1, demand.memberships))


def rates(demand: Demand, costs: Costs) -> tuple[float, float]:
    """Events a CPU-second while catching up: on as many groups as these, and the best that was measured."""
    found = sorted(costs.served.caught_up, key=lambda one: one.groups)
    by_groups = Points([math.log(one.groups) for one in found], [1 / one.events_per_cpu_s for one in found])
    each = by_groups.at(math.log(demand.all_groups)) * memberships(demand, costs)
    return 1 / each, max(one.events_per_cpu_s for one in found)


class Fleet(NamedTuple):
    """Partitions and workers. `cores`: that are used at the busiest time; `share`: of all that the busiest worker has, `busiest`: and partition."""

    partitions: int
    workers: int
    cores: float
    share: float
    busiest: float


def fleet(demand: Demand, costs: Costs) -> Fleet:
    """How many there must be. `Raises` DemandError where there can't be so many, or those that are given are too few."""
    each, fixed = event_cores(demand, costs), partition_cores(costs)

    def needed(partitions: int) -> tuple[int, float]:
        events, rest = each * demand.events_per_second, fixed * partitions
        return max(WORKERS_MIN, math.ceil(demand.headroom * events + rest)), events + rest

    partitions = demand.partitions or PARTITIONS_MIN
    workers, cores = needed(partitions)
    while demand.partitions is None and workers * 2 > partitions:
        partitions *= 2
        if partitions > PARTITIONS_MAX:
            raise DemandError(f"this needs more than {PARTITIONS_MAX:,} partitions, which the service can't have")
        workers, cores = needed(partitions)
    if workers > partitions:
        raise DemandError(
            f"--partitions {partitions} are too few: {workers} workers are needed, and each needs a partition"
        )
    busiest = demand.largest + (1 - demand.largest) / partitions
    share = max(math.ceil(partitions / workers) / partitions, busiest)
    return Fleet(partitions, workers, cores, share, busiest)


def memory(demand: Demand, costs: Costs, found: Fleet) -> float:
    """Bytes of the busiest worker, at the peak of catching up on a long backlog."""
    measured = sorted(costs.served.caught_up, key=lambda one: one.groups)
    by_groups = Points([float(one.groups) for one in measured], [float(one.rss) for one in measured])
    groups = max(demand.all_groups * found.share, measured[0].groups)
    own = math.ceil(found.partitions * found.share)
    more = max(0, own - costs.paced.partitions) * _MEMTABLES_BYTES
    return by_groups.beyond(groups) * backlog(costs) + more + ((demand.block_cache_mb - _CACHE_MB) << 20)


def backlog(costs: Costs) -> float:
    """How many times as much memory a long backlog takes: that of a million customers, beside data as narrow and a short one."""
    narrow = min(costs.served.caught_up, key=lambda one: one.groups)
    return max(1.0, costs.million.rss / narrow.rss)


def restart_s(demand: Demand, costs: Costs, found: Fleet) -> float:
    """CPU-seconds of the busiest worker's start with its store: it learns its operators and groups."""
    measured = sorted(costs.served.caught_up, key=lambda one: one.groups)
    by_groups = Points([float(one.groups) for one in measured], [one.started_cpu_s for one in measured])
    return max(by_groups.beyond(demand.all_groups * found.share), *by_groups.ys)


def replayed_a_second(costs: Costs) -> float:
    """Records of the changelog that a start from an empty disk reads for each CPU-second, as measured with a million customers."""
    million = costs.million
    return million.records / (million.emptied_cpu_s - million.nobody_cpu_s)


def section(demand: Demand, costs: Costs, state: StateSize, found: Fleet) -> Section:
    """The lines of workers."""
    each, (rate, best_rate) = event_cores(demand, costs), rates(demand, costs)
    best = min(one.event for one in widths(costs)) * demand.events_per_second
    disk, rows = state.disk * found.share, state.rows * found.share
    measured = costs.served
    spare = found.workers * rate - demand.mean
    idle = partition_cores(costs) * found.partitions
    lines = [
        Line("partitions", "partitions of the events topic", found.partitions, COUNT,
             "as given" if demand.partitions else f"the power of two from {PARTITIONS_MIN} on that is twice the workers, so that they can be doubled"),
        Line("worker_cores", "cores at the busiest time", found.cores, CORES,
             f"{1e6 * each:,.0f} µs an event at {demand.events_per_second / demand.all_groups:,.3g} events a second and group, and {1e3 * partition_cores(costs):,.1f} ms a second for each partition; best: of the narrowest data",
             best + idle),
        Line("workers", "workers, a core each", found.workers, COUNT,
             f"{demand.headroom:g} times the cores of the events (--headroom), at least {WORKERS_MIN}, so that one may end"),
        Line("worker_memory", "memory of each", memory(demand, costs, found), BYTES,
             f"peak while catching up, {backlog(costs):.2f} times that of a short backlog, of {demand.all_groups * found.share:,.0f} groups in {math.ceil(found.partitions * found.share)} partitions; {_MEMTABLES_BYTES >> 20} MiB for each beyond {costs.paced.partitions}; best: a start on empty topics",
             measured.rss),
        Line("worker_disk", "disk of each", disk, BYTES,
             f"{found.share:.3g} of the state on the busiest; its rows, on disk {costs.state.disk_ratio:.2f} times; as much again while stream-app rebuild runs"),
        Line("restart", "start with its store", restart_s(demand, costs, found), SECONDS,
             "of CPU, until ready: it learns its operators and groups; best: on empty topics", measured.started_cpu_s),
        Line("restart_empty", "start from an empty disk", measured.started_cpu_s + rows / replayed_a_second(costs), SECONDS,
             f"{rows:,.0f} rows of the busiest at {replayed_a_second(costs):,.0f} records of the changelog a CPU-second; more where the changelog is not compacted yet"),
    ]  # fmt: skip
    if spare > 0:
        lines.append(
            Line("backlog", "an hour's events are caught up in", _FAR_S * demand.mean / spare, SECONDS,
                 f"{rate:,.0f} events a CPU-second on {demand.all_groups:,} groups, on all workers, beside the mean; best: {best_rate:,.0f}",
                 _FAR_S * demand.mean / (found.workers * best_rate - demand.mean))
        )  # fmt: skip
    return Section("Workers", lines)


def limits(demand: Demand, costs: Costs, state: StateSize, found: Fleet) -> list[Limit]:
    """What of it breaks at which size."""
    core = 1 / event_cores(demand, costs)
    whole = demand.events_per_second * demand.largest
    per_worker = replayed_a_second(costs) * _RESTART_S
    workers = math.ceil(state.rows / per_worker)
    return [
        Limit(
            core / whole,
            f"an operator is never split: at this width its partition takes {core:,.0f} events a second on one core, and the largest operator has {whole:,.3g}",
        ),
        Limit(
            per_worker / (state.rows * found.share),
            f"a worker fills an empty disk again with {per_worker:,.0f} rows in an hour, and the busiest has {state.rows * found.share:,.0f}"
            + (f": {workers:,} workers of equal shares would do" if workers > found.workers else ""),
        ),
        Limit(
            PARTITIONS_MAX / found.partitions, f"{PARTITIONS_MAX:,} partitions are the most, {found.partitions:,} are planned"
        ),
    ]  # fmt: skip

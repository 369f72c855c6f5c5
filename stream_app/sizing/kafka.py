"""Kafka: bytes a second in and out, and disk of each topic."""

import math
from typing import Final

from stream_app.sizing.costs import Costs, Pace, Points
from stream_app.sizing.demand import Demand
from stream_app.sizing.lines import BYTES, BYTES_A_SECOND, CORES, Line, Section
from stream_app.sizing.state import StateSize
from stream_app.sizing.workers import Fleet, event_cores, partition_cores

_YEAR_S: Final = 365 * 86_400
_DAY_S: Final = 86_400
_DIRTY: Final = 2  # times what is live: a log is compacted once half of it is old (min.cleanable.dirty.ratio)
_SEGMENT_BYTES, _SEGMENT_S = 1 << 30, 7 * _DAY_S  # the active one is not compacted: Kafka's defaults
RESULTS: Final = ("monthly", "half_hour")
WRITTEN: Final = ("events", "changelog", *RESULTS)  # by us; source topics are others'
TITLES: Final = {
    "sources": "source topics", "events": "events topic", "changelog": "changelog", "monthly": "results by month", "half_hour": "results by half-hour",
}  # fmt: skip


def _widest(costs: Costs) -> list[Pace]:
    widest = max(one.groups for one in costs.paced.paces)
    return sorted((one for one in costs.paced.paces if one.groups == widest), key=lambda one: one.events_per_second)


def bytes_an_event(kind: str, demand: Demand, costs: Costs, partitions: int, per_second: float) -> float:
    """On the widest data: the faster events come to a partition, the more of them share a batch. Results and rows of them: for each group besides."""
    found = _widest(costs)
    by_pace = Points(
        [math.log(one.events_per_second / costs.paced.partitions) for one in found], [one.topics[kind] for one in found]
    )  # fmt: skip
    each = by_pace.at(math.log(per_second / partitions))
    return each if kind in {"sources", "events"} else each * max(2, demand.counted_in) / 2


def bytes_a_second(demand: Demand, costs: Costs, partitions: int, per_second: float) -> dict[str, float]:
    """By kind of topic, as the producers send them."""
    return {
        kind: per_second * bytes_an_event(kind, demand, costs, partitions, per_second) for kind in ("sources", *WRITTEN)
    }


def disk(demand: Demand, costs: Costs, state: StateSize, found: Fleet) -> dict[str, float]:
    """Bytes of each kind of topic on all brokers together."""
    mean = bytes_a_second(demand, costs, found.partitions, demand.mean)
    record = costs.paced.record
    live = {"changelog": state.changelog}
    live |= {"monthly": state.month_cells * record["monthly"], "half_hour": state.half_hour_cells * record["half_hour"]}
    kept = {
        kind: _DIRTY * size + min(_SEGMENT_BYTES * found.partitions, _SEGMENT_S * mean[kind]) for kind, size in live.items()
    }  # fmt: skip
    kept["sources"] = mean["sources"] * demand.source_days * _DAY_S
    kept["events"] = mean["events"] * demand.years * _YEAR_S
    return {kind: kept[kind] * demand.replication_factor for kind in ("sources", *WRITTEN)}


def section(demand: Demand, costs: Costs, state: StateSize, found: Fleet) -> Section:
    """The lines of Kafka."""
    peak = bytes_a_second(demand, costs, found.partitions, demand.events_per_second)
    sizes, replicas = disk(demand, costs, state, found), demand.replication_factor
    ours = sum(peak.values())
    bookkeeping = max(one.bookkeeping for one in costs.paced.paces) * found.partitions / costs.paced.partitions
    read = peak["sources"] + peak["events"] + demand.subscribers * sum(peak[kind] for kind in RESULTS)
    cores = event_cores(demand, costs, "broker") * demand.events_per_second
    cores += partition_cores(costs, "broker") * found.partitions
    each = {kind: size / demand.events_per_second for kind, size in peak.items()}
    why = {
        "sources": f"{demand.source_days:g} days (--source-days) of the mean, as the bench's producer packs them",
        "events": f"{demand.years:g} years (--years) of the mean: it is kept for ever",
        "changelog": f"{state.rows:,.0f} rows packed to {costs.state.changelog_ratio:.2f}, {_DIRTY} times until it is compacted, and a segment a partition",
        "monthly": f"{state.month_cells:,.0f} keys of {costs.paced.record['monthly']:.0f} bytes, likewise",
        "half_hour": f"{state.half_hour_cells:,.0f} keys of {costs.paced.record['half_hour']:.0f} bytes, likewise",
    }
    return Section(
        "Kafka",
        [
            Line("kafka_in", "in at the busiest time", ours + bookkeeping, BYTES_A_SECOND,
                 f"an event: {', '.join(f'{each[kind]:,.0f} {TITLES[kind]}' for kind in each)}; and {bookkeeping:,.0f} bytes/s of offsets and transactions"),
            Line("kafka_replicated", "of it to other brokers again", (replicas - 1) * (ours + bookkeeping), BYTES_A_SECOND, f"replication factor {replicas}"),
            Line("kafka_out", "out to readers", read, BYTES_A_SECOND, f"sources and events once, results to {demand.subscribers} (--subscribers)"),
            Line("kafka_cores", "cores of the brokers", cores, CORES, "of one that has no replicas; each replica takes a share of it again, which was not measured"),
            *(
                Line(f"kafka_disk_{kind}", f"disk: {TITLES[kind]}", size, BYTES, f"{why[kind]}; {replicas} replicas")
                for kind, size in sizes.items()
            ),
            Line("kafka_disk", "disk, all topics", sum(sizes.values()), BYTES, "of all brokers together"),
        ],
    )  # fmt: skip

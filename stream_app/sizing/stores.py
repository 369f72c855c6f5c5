"""Redis, ClickHouse and the API."""

import math
from typing import Final

from stream_app.sizing.costs import Costs
from stream_app.sizing.demand import Demand
from stream_app.sizing.lines import A_SECOND, BYTES, BYTES_A_SECOND, CORES, COUNT, ROWS, Limit, Line, Section
from stream_app.sizing.state import StateSize
from stream_app.sizing.workers import Fleet, event_cores, partition_cores

_SLOTS: Final = 48
_REDIS_BYTES: Final = 64 << 30  # of one server: larger ones take long to fork, copy and load
_UNMERGED: Final = 2  # times what is live: an assumption, for what a merge drops depends on how often rows change
_DOCUMENTS: Final = 2  # of a group: months and half-hours


def redis_bytes(demand: Demand, costs: Costs) -> float:
    """All keys, of one server without replica: the most for a group that was measured, lists of groups and entries included."""
    return demand.all_groups * max(one.redis / one.groups for one in costs.served.caught_up)


def _cores(demand: Demand, costs: Costs, server: str, partitions: int) -> float:
    """Of a server that is only written to: for events, and for each partition's writes, however few."""
    return event_cores(demand, costs, server) * demand.events_per_second + partition_cores(costs, server) * partitions


def _for_groups(demand: Demand) -> float:
    """How many times as many documents and rows an event changes as with one group a customer."""
    return max(2, demand.counted_in) / 2


def redis_section(demand: Demand, costs: Costs, found: Fleet) -> Section:
    """The lines of Redis."""
    each = max(one.redis / one.groups for one in costs.served.caught_up)
    sent = max(one.redis_in for one in costs.paced.paces) * _for_groups(demand)
    most = demand.all_groups * _DOCUMENTS / demand.tick_s
    writes = min(demand.events_per_second * 1.5 * demand.counted_in, most)
    return Section(
        "Redis",
        [
            Line("redis_documents", "documents", demand.all_groups * _DOCUMENTS, COUNT, f"{_DOCUMENTS} of each of {demand.all_groups:,} groups"),
            Line("redis_memory", "memory of one server", redis_bytes(demand, costs), BYTES,
                 f"{each:,.0f} bytes a group, lists and entries included; twice as much for a fork that writes a snapshot, in the worst case"),
            Line("redis_writes", "documents written, busiest time", writes, A_SECOND,
                 f"a session changes both of a group, a payment one; each at most once in {demand.tick_s:g} s (tick_ms)"),
            Line("redis_in", "in at the busiest time", sent * demand.events_per_second, BYTES_A_SECOND, f"{sent:,.0f} bytes an event, the most that was measured"),
            Line("redis_cores", "cores", _cores(demand, costs, "redis", found.partitions), CORES, "writes of all partitions; questions come on top"),
        ],
    )  # fmt: skip


def clickhouse_section(demand: Demand, costs: Costs, state: StateSize, found: Fleet) -> Section:
    """The lines of ClickHouse."""
    row = costs.served.clickhouse_row
    months = demand.all_groups * (demand.retention_months + 12 * demand.years)
    slots = state.half_hour_cells * _SLOTS
    sizes = {"monthly": months * row["monthly"] * _UNMERGED, "half_hour": slots * row["half_hour"] * _UNMERGED}
    inserted = max(one.clickhouse_rows for one in costs.paced.paces) * _for_groups(demand)
    return Section(
        "ClickHouse",
        [
            Line("clickhouse_months", "rows of months", months, ROWS, f"of {demand.all_groups:,} groups, the retained and {demand.years:g} years (--years) before: they stay for ever"),
            Line("clickhouse_slots", "rows of half-hours", slots, ROWS, f"{_SLOTS} of each of {state.half_hour_cells:,.0f} days of a group"),
            Line("clickhouse_disk", "disk", sum(sizes.values()), BYTES,
                 f"{row['monthly']:.3g} and {row['half_hour']:.3g} bytes a row when merged, {_UNMERGED} times while parts wait for it; one replica"),
            Line("clickhouse_inserted", "rows inserted, busiest time", inserted * demand.events_per_second, A_SECOND, f"{inserted:,.0f} an event, the most that was measured: a changed day is {_SLOTS} rows"),
            Line("clickhouse_cores", "cores", _cores(demand, costs, "clickhouse", found.partitions), CORES, "inserts of all partitions, and merges; questions come on top"),
        ],
    )  # fmt: skip


def api_section(demand: Demand, costs: Costs) -> Section:
    """The lines of the API."""
    rate = min(one.requests_per_cpu_s for one in costs.served.caught_up)
    cores = demand.requests_per_second / rate
    return Section(
        "API",
        [
            Line("api_cores", "cores", cores, CORES, f"{demand.requests_per_second:g} default questions a second (--requests-per-second), {rate:,.0f} a CPU-second"),
            Line("api_processes", "processes, a core each", max(2, math.ceil(cores * demand.headroom)), COUNT, f"{demand.headroom:g} times the cores, at least 2"),
        ],
    )  # fmt: skip


def limits(demand: Demand, costs: Costs) -> list[Limit]:
    """What of it breaks at which size."""
    groups = demand.all_groups * _REDIS_BYTES / redis_bytes(demand, costs)
    found = [
        Limit(
            groups / demand.all_groups,
            f"one Redis of {_REDIS_BYTES >> 30} GiB holds {groups:,.0f} groups, and {demand.all_groups:,} are planned: beyond, a cluster",
        )
    ]
    if (each := event_cores(demand, costs, "redis")) > 0:
        found.append(
            Limit(
                1 / each / demand.events_per_second,
                f"one Redis uses one core, which takes the documents of {1 / each:,.0f} events a second at this width: beyond, a cluster",
            )
        )
    return found

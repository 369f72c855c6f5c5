"""A plan: what a demand needs of everything, what breaks first, and what nobody measured."""

from typing import Any, Final, NamedTuple

import msgspec

from stream_app.sizing import kafka, state, stores, workers
from stream_app.sizing.costs import Costs, Measurement
from stream_app.sizing.demand import Demand, check
from stream_app.sizing.lines import A_SECOND, COUNT, Limit, Line, Section

UNKNOWN: Final = (
    "Other machines: CPU is that of the cores named below, and other ones change each line of cores in proportion.",
    "A state much larger than memory: rows were measured up to a million customers a process. Beyond, disk is told in proportion, and reads and compactions of RocksDB may take more CPU.",
    "Latency at this size, and how a network between machines, other replicas and other tenants of Kafka, Redis and ClickHouse change it.",
    "How evenly operators fall on partitions: the largest is counted, the others as if they fell evenly.",
    "Regroupings, refunds and replays, which cost as much as the events that they are, and changed zones, each a scan of all entities of its operator.",
    "More than one currency of an operator: each has rows, records and parts of documents of its own.",
)


class Plan(NamedTuple):
    """`limits`: nearest first. `unknown`: what a plan can't know, in sentences."""

    demand: Demand
    sections: list[Section]
    limits: list[Limit]
    unknown: tuple[str, ...]
    measured: dict[str, Measurement]

    def line(self, key: str) -> Line:
        """A line by its key. `Raises` KeyError."""
        return {line.key: line for section in self.sections for line in section.lines}[key]


def plan(demand: Demand, costs: Costs) -> Plan:
    """What a demand needs. `Raises` DemandError when it makes no sense."""
    check(demand)
    size, fleet = state.state_size(demand, costs), workers.fleet(demand, costs)
    sections = [
        _load(demand),
        state.section(demand, costs, size),
        workers.section(demand, costs, size, fleet),
        kafka.section(demand, costs, size, fleet),
        stores.redis_section(demand, costs, fleet),
        stores.clickhouse_section(demand, costs, size, fleet),
        stores.api_section(demand, costs),
    ]
    limits = sorted([*workers.limits(demand, costs, size, fleet), *stores.limits(demand, costs)])
    curve = costs.curves["memberships"].measured
    measured = {
        "state": costs.state.measured,
        "served": costs.served.measured,
        "steady": costs.paced.measured,
        "million": costs.million.measured,
        "curves": curve,
    }
    return Plan(demand, sections, limits, UNKNOWN, measured)


def _load(demand: Demand) -> Section:
    return Section(
        "Load",
        [
            Line("events_per_second", "events, busiest time", demand.events_per_second, A_SECOND, "sessions and payments; memberships come besides"),
            Line("events_mean", "events, mean", demand.mean, A_SECOND, f"the busiest time is {demand.peak:,.3g} times the mean (--peak)"),
            Line("visits", "visits of a customer and month", demand.visits, COUNT, "each a session and a payment"),
            Line("groups", "groups with results", demand.all_groups, COUNT, f"ALL and {demand.groups} (--groups) of each of {demand.operators:,} operators; a customer is in {demand.memberships} (--groups-per-customer)"),
        ],
    )  # fmt: skip


def document(made: Plan) -> dict[str, Any]:
    """A plan for programs; numbers in the units that stand beside them."""
    return {
        "demand": msgspec.to_builtins(made.demand),
        "plan": [
            {"section": section.title, **{name: value for name, value in line._asdict().items() if value is not None}}
            for section in made.sections
            for line in section.lines
        ],
        "breaks": [limit._asdict() for limit in made.limits],
        "unknown": list(made.unknown),
        "measured": msgspec.to_builtins(made.measured),
    }

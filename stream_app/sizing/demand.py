"""What somebody asks a plan for. Every number has bounds; what is beyond them, or can't be together, is one sentence."""

from collections.abc import Mapping
from typing import Final

import msgspec

MONTH_S: Final = 365 * 86_400 / 12
_EVENTS_A_VISIT: Final = 2  # a session and a payment
_VISITS_MAX: Final = 100_000


class DemandError(Exception):
    """The numbers make no sense; the message says which, and what would."""


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """A network, and what is kept of it.

    `events_per_second`: sessions and payments at the busiest time, `peak` times the mean. `groups`: of each operator, besides ALL; `memberships`: of each
    customer. `largest`: share of the largest operator in customers and traffic, of 1. `partitions`: of the events topic, None: as many as are needed.
    `headroom`: how many times as much CPU as is needed at the busiest time. `source_days`: that source topics keep; `years`: that the events topic
    and months in ClickHouse have gathered. `requests_per_second`: to the API; `subscribers`: readers of the results topics. Last, settings of the service.
    """

    operators: int
    customers: int
    events_per_second: float
    peak: float
    groups: int
    memberships: int
    largest: float
    partitions: int | None
    headroom: float
    source_days: float
    years: float
    requests_per_second: float
    subscribers: int
    replication_factor: int
    retention_months: int
    distribution_days: int
    tick_s: float
    block_cache_mb: int

    # -- what follows

    @property
    def mean(self) -> float:
        """Events a second, over day and year."""
        return self.events_per_second / self.peak

    @property
    def visits(self) -> float:
        """Sessions of a customer in a month, each with a payment."""
        return self.mean * MONTH_S / _EVENTS_A_VISIT / self.customers

    @property
    def all_groups(self) -> int:
        """Groups that have results, ALL of each operator among them."""
        return self.operators * (self.groups + 1)

    @property
    def counted_in(self) -> int:
        """Groups in which a customer's event counts, ALL among them."""
        return self.memberships + 1


# option -> (field, lowest, highest); what somebody types is named in sentences
BOUNDS: Final[Mapping[str, tuple[str, float, float]]] = {
    "--operators": ("operators", 1, 10_000_000),
    "--customers": ("customers", 1, 100_000_000_000),
    "--events-per-second": ("events_per_second", 0.001, 10_000_000),
    "--peak": ("peak", 1, 1_000_000),
    "--groups": ("groups", 0, 100_000),
    "--groups-per-customer": ("memberships", 0, 2_000),
    "--largest-operator": ("largest", 0, 1),
    "--partitions": ("partitions", 1, 65_535),
    "--headroom": ("headroom", 1, 100),
    "--source-days": ("source_days", 0.01, 3_650),
    "--years": ("years", 0.01, 100),
    "--requests-per-second": ("requests_per_second", 0, 10_000_000),
    "--subscribers": ("subscribers", 0, 1_000),
    "--replication-factor": ("replication_factor", 1, 10),
}
_PERCENT: Final = {"--largest-operator"}


def check(demand: Demand) -> None:
    """`Raises` DemandError when a number is out of its bounds, or numbers contradict each other."""
    for option, (field, lowest, highest) in BOUNDS.items():
        value = getattr(demand, field)
        if value is not None and not lowest <= value <= highest:
            percent = 100 if option in _PERCENT else 1
            raise DemandError(
                f"{option} must be from {lowest * percent:,} to {highest * percent:,}, not {value * percent:,}"
            )
    if demand.memberships > demand.groups:
        raise DemandError(
            f"--groups-per-customer {demand.memberships} are more than the groups that an operator has, --groups {demand.groups}"
        )
    if demand.largest * demand.operators < 1 - 1e-9:
        raise DemandError(
            f"--largest-operator {100 * demand.largest:g} is less than the mean share of {demand.operators:,} operators, {100 / demand.operators:.3g}"
        )


def with_visits(demand: Demand, visits: float) -> Demand:
    """A demand, whose peak follows from how often a customer comes in a month. `Raises` DemandError."""
    check(demand)
    if not 0 < visits <= _VISITS_MAX:
        raise DemandError(f"--visits-per-month must be above 0 and at most {_VISITS_MAX:,}, not {visits:,}")
    mean = demand.customers * visits * _EVENTS_A_VISIT / MONTH_S
    if mean > demand.events_per_second:
        raise DemandError(
            f"{demand.customers:,} customers with --visits-per-month {visits:,} make {mean:,.1f} events a second on average, "
            f"more than --events-per-second {demand.events_per_second:,} at the busiest time"
        )
    return msgspec.structs.replace(demand, peak=demand.events_per_second / mean)

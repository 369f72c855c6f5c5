"""A network that others are made of, and the costs that were measured."""

from stream_app.sizing import costs
from stream_app.sizing.demand import Demand

COSTS = costs.load()
BASE = Demand(
    operators=100,
    customers=1_000_000,
    events_per_second=200.0,
    peak=2.5,
    groups=5,
    memberships=1,
    largest=0.01,
    partitions=None,
    headroom=2.0,
    source_days=7.0,
    years=3.0,
    requests_per_second=100.0,
    subscribers=1,
    replication_factor=3,
    retention_months=13,
    distribution_days=92,
    tick_s=0.15,
    block_cache_mb=64,
)

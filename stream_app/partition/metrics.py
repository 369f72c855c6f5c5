"""What the partitions of a worker hold, for Prometheus; read when it is asked for."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from stream_app.partition.lane import Lane


def expose(open_lanes: Callable[[], list[Lane]], registry: CollectorRegistry | None) -> None:
    """Gauges of the partitions that are owned at that moment; without a registry nobody sees them."""
    held = Gauge(
        "crm_ledger_past_cells",
        "Cells past retention that are held until ClickHouse has their last state",
        registry=registry,
    )
    held.set_function(lambda: sum(lane.past[0] for lane in open_lanes()))
    let_go = Gauge(
        "crm_ledger_past_cells_let_go",
        "Cells past retention that were let go before ClickHouse had their last state, for too many were held, since partitions were taken over",
        registry=registry,
    )
    let_go.set_function(lambda: sum(lane.past[1] for lane in open_lanes()))

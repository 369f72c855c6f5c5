"""The state: how many rows of each kind there are, and their bytes."""

from typing import NamedTuple

from stream_app.sizing.costs import Costs
from stream_app.sizing.demand import Demand
from stream_app.sizing.lines import BYTES, ROWS, Line, Section

_MONTH_DAYS = 365 / 12


class StateSize(NamedTuple):
    """Of all workers together. `size`: bytes before compression, `disk` in RocksDB, `changelog` on one broker, once compacted."""

    entities: float
    month_cells: float
    half_hour_cells: float
    rows: float
    size: float
    disk: float
    changelog: float


def state_size(demand: Demand, costs: Costs) -> StateSize:
    """Out of the number of rows and the bytes of each."""
    state, months = costs.state, demand.retention_months
    sessions = demand.visits * demand.customers * months
    month_cells = demand.all_groups * months
    shown = demand.visits * demand.customers * demand.distribution_days / _MONTH_DAYS
    half_hour_cells = min(demand.all_groups * demand.distribution_days, shown * demand.counted_in)
    size = (
        sessions * (state.session + state.payment)
        + demand.customers * state.customer.beyond(demand.visits * months)
        + month_cells * state.month_cell
        + half_hour_cells * state.half_hour_cell
        + demand.operators * state.operator
        + demand.all_groups * state.group
    )
    rows = 2 * sessions + demand.customers + month_cells + half_hour_cells + demand.operators + demand.all_groups
    return StateSize(
        2 * sessions,
        month_cells,
        half_hour_cells,
        rows,
        size,
        size * state.disk_ratio,
        size * state.changelog_ratio,
    )


def section(demand: Demand, costs: Costs, found: StateSize) -> Section:
    """The lines of the state."""
    state, customer = costs.state, costs.state.customer.beyond(demand.visits * demand.retention_months)
    return Section(
        "State",
        [
            Line("entities", "sessions and payments", found.entities, ROWS,
                 f"{demand.visits:,.3g} visits of a customer and month over {demand.retention_months} months; {state.session:.0f} and {state.payment:.0f} bytes a row"),
            Line("customers", "customers", demand.customers, ROWS, f"{customer:,.0f} bytes a row at so many visits"),
            Line("cells", "results", found.month_cells + found.half_hour_cells, ROWS,
                 f"{demand.all_groups:,} groups by {demand.retention_months} months and {demand.distribution_days} days; {state.month_cell:.0f} and {state.half_hour_cell:.0f} bytes a row"),
            Line("state", "all rows", found.size, BYTES, f"before compression; {found.size / demand.customers:,.0f} bytes a customer"),
            Line("state_disk", "in RocksDB, all workers", found.disk, BYTES, f"{state.disk_ratio:.2f} bytes on disk for each, the most that was measured"),
        ],
    )  # fmt: skip

"""`stream-app plan`: how much of everything a network needs. Thin: the arithmetic, and the measured costs, are sizing's."""

from typing import Annotated

import orjson
import typer

from config.settings import load
from stream_app.local.errors import LocalError
from stream_app.sizing import costs
from stream_app.sizing.demand import Demand, DemandError, with_visits
from stream_app.sizing.plan import document, plan
from stream_app.sizing.text import shown

_PEAK = 2.5


def command(
    operators: Annotated[int, typer.Option("--operators", help="How many operators.", show_default=False)],
    customers: Annotated[int, typer.Option("--customers", help="Customers of all of them.", show_default=False)],
    events_per_second: Annotated[
        float,
        typer.Option(
            "--events-per-second", help="Sessions and payments at the busiest time of the year.", show_default=False
        ),
    ],
    visits_per_month: Annotated[
        float | None,
        typer.Option(
            "--visits-per-month",
            help="Sessions of a customer, each with a payment. Without it they follow from --peak.",
            show_default=False,
        ),
    ] = None,
    peak: Annotated[
        float | None,
        typer.Option(
            "--peak", help=f"How many times the mean the busiest time is. [default: {_PEAK}]", show_default=False
        ),
    ] = None,
    groups: Annotated[int, typer.Option("--groups", help="Groups of an operator, besides ALL.")] = 5,
    groups_per_customer: Annotated[
        int, typer.Option("--groups-per-customer", help="Of these, those of a customer.")
    ] = 1,
    largest_operator: Annotated[
        float | None,
        typer.Option(
            "--largest-operator",
            help="Percent of customers and traffic that the largest has. Without it, all are alike.",
            show_default=False,
        ),
    ] = None,
    partitions: Annotated[
        int | None,
        typer.Option(
            "--partitions", help="Of the events topic. Without it, as many as are needed.", show_default=False
        ),
    ] = None,
    headroom: Annotated[
        float, typer.Option("--headroom", help="How many times the cores of the busiest time workers have.")
    ] = 2.0,
    source_days: Annotated[float, typer.Option("--source-days", help="Days that source topics keep.")] = 7.0,
    years: Annotated[
        float, typer.Option("--years", help="Years for which the events topic, kept for ever, has grown.")
    ] = 3.0,
    requests_per_second: Annotated[
        float, typer.Option("--requests-per-second", help="Questions to the HTTP interface.")
    ] = 100.0,
    subscribers: Annotated[int, typer.Option("--subscribers", help="Readers of the results topics.")] = 1,
    replication_factor: Annotated[int, typer.Option("--replication-factor", help="Of all topics.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan for programs.")] = False,
) -> None:
    """Plan partitions, workers, Kafka, Redis, ClickHouse and the API for a network, from measured costs (docs/sizing.md)."""
    if visits_per_month is not None and peak is not None:
        raise LocalError("--peak follows from --visits-per-month: leave one of them out.")
    settings = load()
    try:
        demand = Demand(
            operators=operators,
            customers=customers,
            events_per_second=events_per_second,
            peak=_PEAK if peak is None else peak,
            groups=groups,
            memberships=groups_per_customer,
            largest=largest_operator / 100 if largest_operator is not None else 1 / max(1, operators),
            partitions=partitions,
            headroom=headroom,
            source_days=source_days,
            years=years,
            requests_per_second=requests_per_second,
            subscribers=subscribers,
            replication_factor=replication_factor,
            retention_months=settings.retention_months,
            distribution_days=settings.distribution_days,
            tick_s=settings.tick_ms / 1000,
            block_cache_mb=settings.block_cache_mb,
        )
        if visits_per_month is not None:
            demand = with_visits(demand, visits_per_month)
        made = plan(demand, costs.load())
    except DemandError as error:
        raise LocalError(f"{error}.") from None
    if as_json:
        print(orjson.dumps(document(made), option=orjson.OPT_INDENT_2).decode())
    else:
        print("\n".join(shown(made)))

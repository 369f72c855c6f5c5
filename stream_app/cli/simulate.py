"""`stream-app simulate`: a plausible network's history, and its live traffic. Thin: the network is the simulator's."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from config import settings as config
from stream_app.cli.access import need_kafka
from stream_app.cli.generation import prepare_client
from stream_app.local.errors import LocalError
from stream_app.simulator.live import Live
from stream_app.simulator.network import Network, build
from stream_app.simulator.plan import History
from stream_app.simulator.run import send_history, send_live
from stream_app.simulator.send import Sender, SendError
from stream_app.sources import registry
from stream_app.sources.registry import SourceTopic

SEED, OPERATORS, CUSTOMERS, MONTHS, RATE = 1, 6, 400, 13, 5.0


def command(
    months: Annotated[int, typer.Option(min=1, max=60, help="Months of history, the current one included")] = MONTHS,
    rate: Annotated[float, typer.Option(min=0.01, max=5000, help="Live records a second")] = RATE,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Live for so long; without it until it is stopped")
    ] = None,
    operators: Annotated[int, typer.Option(min=1, max=500, help="How many operators: M1, M2, ...")] = OPERATORS,
    customers: Annotated[int, typer.Option(min=1, help="Customers of M1, the largest operator")] = CUSTOMERS,
    seed: Annotated[int, typer.Option(help="The same seed gives the same records")] = SEED,
    history: Annotated[bool, typer.Option("--history/--no-history", help="Send the history, up to now")] = True,
    live: Annotated[bool, typer.Option("--live", help="Then go on live")] = False,
    ready_file: Annotated[Path | None, typer.Option(help="Made, with the pid, when live records are sent")] = None,
) -> None:
    """Send the records of a plausible network of chargers to the source topics."""
    if not history and not live:
        raise LocalError("there is nothing to send: --no-history goes with --live.")
    if seconds is not None and not live:
        raise LocalError("--seconds bounds the live traffic: it goes with --live.")
    settings, network = config.load(), build(seed, operators, customers)

    prepare_client()
    need_kafka(settings, "importer")
    try:
        asyncio.run(_send(settings, network, months if history else 0, (rate, seconds) if live else None, ready_file))
    except SendError as error:
        raise LocalError(f"{error}.") from None


def source_topics(settings: config.Settings) -> dict[SourceTopic, str]:
    """Their names in Kafka."""
    return {topic: settings.source_topic(topic.name) for topic in registry.TEAMS}


async def history_with_bar(network: Network, months: int, sender: Sender) -> int:
    """Send the history up to now; epoch milliseconds of when Kafka had all of it."""
    plan = History(network, months, int(time.time() * 1000))
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    began = time.monotonic()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{months} months of {len(network.operators)} operators", total=plan.days)
        sent, at_ms = await send_history(
            plan,
            sender,
            lambda day, sent: bar.update(task, completed=day, description=f"{sent:,} records of {months} months"),
        )
    rate = sent / (time.monotonic() - began)
    print(f"Sent {sent:,} records of {months} months and {len(network.operators)} operators, {rate:,.0f} a second")
    return at_ms


async def _send(
    settings: config.Settings,
    network: Network,
    months: int,
    pace: tuple[float, float | None] | None,
    ready_file: Path | None,
) -> None:
    """`months` 0: no history. `pace`: records a second and for how many seconds; None: no live traffic."""
    async with Sender(settings.kafka, source_topics(settings)) as sender:
        if months:
            await history_with_bar(network, months, sender)
        if pace:
            await _send_live(network, sender, *pace, ready_file)


async def _send_live(
    network: Network, sender: Sender, rate: float, seconds: float | None, ready_file: Path | None
) -> None:
    """Until it is over or told to stop; both are a good end."""
    sent = 0

    def note(number: int) -> None:
        nonlocal sent
        if not sent and ready_file:
            ready_file.write_text(f"{os.getpid()}\n", encoding="ascii")
        sent = number

    print(f"Live: {rate:g} records a second" + ("" if seconds is None else f" for {seconds:g} s"), flush=True)
    work = asyncio.create_task(send_live(Live(network, int(time.time() * 1000)), sender, rate, seconds, note))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    await asyncio.wait([work])
    if not work.cancelled():
        work.result()
    print(f"Sent {sent:,} live records", flush=True)

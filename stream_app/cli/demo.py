"""`stream-app demo`: after `up`, a network with history, its report, and live traffic to watch."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from config import settings as config
from stream_app.cli.access import need_kafka
from stream_app.cli.generation import generation_in_force, prepare_client
from stream_app.cli.simulate import (
    CUSTOMERS,
    MONTHS,
    OPERATORS,
    RATE,
    SEED,
    history_with_bar,
    source_topics,
)
from stream_app.cli.token import HOURS, dashboard, signed
from stream_app.cli.up import run_folder
from stream_app.domain.tables import TABLES
from stream_app.local.errors import LocalError
from stream_app.local.lock import alone
from stream_app.local.processes import child_env, find, start, wait_ready
from stream_app.local.run_folder import RunFolder
from stream_app.local.stack import worker_ready
from stream_app.simulator.network import Network, build
from stream_app.simulator.report import ReportError, answer_report, ask, groups_line, width_of
from stream_app.simulator.send import Sender, SendError
from stream_app.simulator.shown import Shown, ShownError

SHOWN_OPERATOR = "M1"
SHOWN_SECONDS_MAX = 300.0
ALIVE_SECONDS_MAX = 15.0
LIVE = "simulate"


def command(
    months: Annotated[int, typer.Option(min=1, max=13, help="Months of history, the current one included")] = MONTHS,
    customers: Annotated[int, typer.Option(min=1, help="Customers of M1, the largest operator")] = CUSTOMERS,
    rate: Annotated[float, typer.Option(min=0.01, max=5000, help="Live records a second")] = RATE,
) -> None:
    """Fill the running stack with a plausible network, show a report, and leave live traffic running."""
    prepare_client()
    run, settings, program = run_folder(), config.load(), Path(sys.executable).parent / "stream-app"
    network = build(SEED, OPERATORS, customers)
    need_kafka(settings, "pay")
    try:
        asyncio.run(_fill(settings, network, months))
        with alone(run):
            _start_live(run, program, customers, rate)
        _show(run, settings)
    except (SendError, ShownError, ReportError) as error:
        raise LocalError(f"{error}.") from None


async def _fill(settings: config.Settings, network: Network, months: int) -> None:
    """Send the history and wait until the results hold it, unless it is there.

    A history ends with the names of its operators. One that was sent again later would say nothing else of the days it had, but meet live traffic of those since.
    """
    print(
        f"Demo of the stack in {config.RUN}: Kafka {settings.kafka_bootstrap_servers}, Redis {settings.redis_url}",
        flush=True,
    )
    partitions = range((await generation_in_force(settings)).events_partitions)
    shown = Shown(settings.redis_address)
    try:
        if not await shown.wait(partitions, int(time.time() * 1000), ALIVE_SECONDS_MAX):
            raise LocalError(
                f"the results don't follow Kafka, so nothing was sent: see whether workers run "
                f"(make up, {config.RUN / 'worker-1.log'}) and have worked off what is there."
            )
        if await _is_there(shown, network):
            print("The network is there already, so its history is not sent again (make clean drops it)")
            return
        async with Sender(settings.kafka, source_topics(settings)) as sender:
            at_ms = await history_with_bar(network, months, sender)
        with Console(stderr=True).status("Waiting until the results hold all of it"):
            held = await shown.wait(partitions, at_ms, SHOWN_SECONDS_MAX)
    finally:
        await shown.close()
    if not held:
        raise LocalError(
            f"the history is in Kafka, but after {SHOWN_SECONDS_MAX:.0f} s the results don't hold it: "
            f"see {config.RUN / 'worker-1.log'}, then start make demo again."
        )


async def _is_there(shown: Shown, network: Network) -> bool:
    entries = [await shown.operator(operator.id) for operator in network.operators]
    return all(
        entry and entry["name"] == operator.name for entry, operator in zip(entries, network.operators, strict=True)
    )


def _start_live(run: RunFolder, program: Path, customers: int, rate: float) -> None:
    if find(run, LIVE):
        print(f"Live traffic runs already ({run.log_file(LIVE)})")
        return
    run.ready_file(LIVE).unlink(missing_ok=True)
    arguments = ["--no-history", "--live", "--rate", f"{rate:g}", "--customers", str(customers)]
    command: list[str | Path] = [program, "simulate", *arguments, "--ready-file", run.ready_file(LIVE)]
    running = start(run, LIVE, command, note=f"{rate:g}", env=child_env(), cwd=config.ROOT)
    wait_ready(run, running, worker_ready(run, LIVE), 60)
    print(f"Live traffic runs now: {rate:g} records a second ({run.log_file(LIVE)})")


def _show(run: RunFolder, settings: config.Settings) -> None:
    base = settings.api_url
    token = signed(settings, ["*"])
    operators = ask(base, token, "operators", {})["operators"]
    name = next((entry["name"] for entry in operators if entry["operatorId"] == SHOWN_OPERATOR), None)
    of = {"operatorId": SHOWN_OPERATOR}
    parts = [
        part
        for table in TABLES
        for part in answer_report(table, name or SHOWN_OPERATOR, ask(base, token, table.path, of))
    ]
    # Tables need their width; a terminal that lacks it wraps lines. The line of groups wraps anyway.
    console = Console(highlight=False, width=max(Console().width, width_of(parts)))
    console.print()
    for part in parts:
        console.print(part)
    console.print(groups_line(ask(base, token, "groups", of)))
    print(f"""
The dashboard, live, with a token for {HOURS:.0f} hours:
  {dashboard(settings)}

Try next:
  make pay ARGS="--operator {SHOWN_OPERATOR} --amount 12.50"    a payment, and how long until it shows
  TOKEN=$(make token ARGS="--operator '*'")
  curl -s -H "Authorization: Bearer $TOKEN" "{base}/smart-bi/crm/monthlyIndex?operatorId={SHOWN_OPERATOR}&groupId=vip"
  {base}/docs    the API, to be tried in a browser
  tail -f {run.log_file("worker-1")}

make down stops it all and keeps the data; make clean drops them.""")

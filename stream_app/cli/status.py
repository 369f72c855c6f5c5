"""`stream-app status`: what the monitor says, as a table that people like to read. Asks the monitor only; knows no Kafka."""

import time
from typing import Annotated

import httpx
import msgspec
import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from config.settings import load
from stream_app.cli.status_page import page
from stream_app.local.errors import LocalError
from stream_app.monitor.document import StatusDocument, decode_status

_WATCH_SECONDS = 2.0
_WIDTH_MIN = 120
_WELL = {"OK", "WARN", "UNSUPPORTED"}  # a group of this status needs nobody


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print what the monitor answers, for programs")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds, until ^C")] = False,
) -> None:
    """Show how far consumer groups and results are behind, and why; exits with 1 when something is wrong."""
    settings = load()
    url = f"http://{settings.monitor_host}:{settings.monitor_port}/status"
    if as_json:
        print(msgspec.json.format(ask(url)[1], indent=2).decode())
        return
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH_MIN)
    shown, _ = ask(url)
    if not watch:
        console.print(page(shown))
        console.print(
            Text(f"In a browser: {settings.api_url}/ops, with a token of stream-app token --ops", style="dim")
        )
        raise typer.Exit(0 if is_well(shown) else 1)
    try:
        with Live(page(shown), console=console, auto_refresh=False) as live:
            while True:
                time.sleep(_WATCH_SECONDS)
                live.update(page(ask(url)[0]), refresh=True)
    except KeyboardInterrupt:
        return


def ask(url: str) -> tuple[StatusDocument, bytes]:
    """The monitor's document, and the JSON that it came as. `Raises` LocalError."""
    try:
        body = httpx.get(url, timeout=10, trust_env=False).raise_for_status().content
        return decode_status(body), body
    except (httpx.HTTPError, ValueError):
        raise LocalError(f"the monitor does not answer at {url}: start it by make up, or stream-app monitor.") from None


def is_well(shown: StatusDocument) -> bool:
    """Is there nothing that somebody should look at?"""
    return (
        shown.kafka.is_seen
        and all(group.status in _WELL for group in shown.groups)
        and all(row.stage is None for row in shown.results)
        and not any(row.is_silent for row in shown.sources)
        and not shown.is_push_to_blame
    )

"""`stream-app status`: what the monitor says, as a table that people like to read. Asks the monitor only; knows no Kafka."""

import json
import time
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from config.settings import load
from stream_app.cli.status_page import page
from stream_app.local.errors import LocalError

_WATCH_SECONDS = 2.0
_WIDTH_MIN = 120


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print what the monitor answers, for programs")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds, until ^C")] = False,
) -> None:
    """Show how far consumer groups and results are behind, and why; exits with 1 when something is wrong."""
    settings = load()
    url = f"http://{settings.monitor_host}:{settings.monitor_port}/status"
    if as_json:
        print(json.dumps(ask(url), indent=2, ensure_ascii=False))
        return
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH_MIN)
    shown = ask(url)
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
                live.update(page(ask(url)), refresh=True)
    except KeyboardInterrupt:
        return


def ask(url: str) -> dict[str, Any]:
    """The monitor's answer. `Raises` LocalError."""
    try:
        found: dict[str, Any] = httpx.get(url, timeout=10, trust_env=False).raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        raise LocalError(f"the monitor does not answer at {url}: start it by make up, or stream-app monitor.") from None
    return found


def is_well(shown: dict[str, Any]) -> bool:
    """Is there nothing that somebody should look at?"""
    return (
        bool(shown["kafka"]["is_seen"])
        and all(group["status"] in {"OK", "WARN", "UNSUPPORTED"} for group in shown["groups"])
        and all(row["stage"] is None for row in shown["results"])
        and not any(row["is_silent"] for row in shown["sources"])
        and not shown["is_push_to_blame"]
    )

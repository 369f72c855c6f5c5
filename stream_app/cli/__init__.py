"""The command `stream-app`: each command is a module with a function (or Typer app) named `command`.

Invariant: a command imports its own module only, so that `stream-app token` starts no stream framework. Modules are
thin: they read the settings and hand values down.
"""

import gc
import importlib
import sys

import typer

from stream_app.access.errors import AccessError
from stream_app.local.errors import LocalError
from stream_app.sources.maps.map_file import MapError

# name -> (module, what `stream-app --help` says)
COMMANDS = {
    "worker": ("stream_app.cli.worker", "Run a worker: ingest and ledger of some partitions"),
    "api": ("stream_app.cli.api", "Run the HTTP API and the dashboard"),
    "monitor": ("stream_app.cli.monitor", "Watch consumer groups and results, and tell how far behind they are"),
    "status": ("stream_app.cli.status", "Show what the monitor sees: lag, age of results, and why"),
    "rebuild": ("stream_app.cli.rebuild", "Count all again by today's rules, beside what serves, and take its place"),
    "dead-letters": ("stream_app.cli.dead_letters", "List records that could not be used, send them again, drop them"),
    "token": ("stream_app.cli.token", "Print a token for local use"),
    "import": ("stream_app.cli.import_", "Send records of files to the source topics"),
    "map": ("stream_app.cli.map", "Print a first map for a topic of one's own, and what a map makes of its records"),
    "contract-test": (
        "stream_app.cli.contract_test",
        "Write golden results for the CI of who reads them, or check a view",
    ),
    "plan": ("stream_app.cli.plan", "Plan partitions, workers, disks and servers for a network, from measured costs"),
    "simulate": ("stream_app.cli.simulate", "Send the records of a plausible network"),
    "demo": ("stream_app.cli.demo", "Fill the running stack, show a report, leave live traffic running"),
    "pay": ("stream_app.cli.pay", "Send one payment now, and say when it shows"),
    "up": ("stream_app.cli.up", "Start the local stack: all that is not already running"),
    "down": ("stream_app.cli.down", "Stop the local stack; data stays"),
    "clean": ("stream_app.cli.clean", "Stop the local stack and drop its data"),
}


def main() -> None:
    """Run the command that the arguments name; exits with 1 on what the user has to mend, 2 on wrong arguments."""
    name, arguments = (sys.argv[1] if len(sys.argv) > 1 else "--help"), sys.argv[2:]
    if name in ("--help", "-h", "help"):
        print(usage())
        return
    if name not in COMMANDS:
        print(f"There is no command {name!r}.\n\n{usage()}", file=sys.stderr)
        sys.exit(2)
    try:
        load(name)(args=arguments, prog_name=f"stream-app {name}")
    except (LocalError, MapError) as error:
        print(f"stream-app {name}: {error}", file=sys.stderr)
        sys.exit(1)
    except AccessError as error:
        print(f"stream-app {name}: {error}.", file=sys.stderr)
        sys.exit(1)


def load(name: str) -> typer.Typer:
    """The Typer app of one command."""
    gc.disable()  # modules are no garbage: looks for cycles among them took a fifth of the time in which a worker is imported
    try:
        command = importlib.import_module(COMMANDS[name][0]).command
    finally:
        gc.enable()
    if isinstance(command, typer.Typer):
        return command
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    return app


def usage() -> str:
    """The list of commands."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(["Usage: stream-app COMMAND [--help]", "", *lines])

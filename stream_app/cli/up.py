"""`stream-app up`: the local stack, started and ready."""

import asyncio
import hashlib
import os
import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from config import settings as config
from config import source_maps
from stream_app.access.secret_files import read_secrets
from stream_app.access.stores import without_password
from stream_app.cli.access import check_kafka
from stream_app.cli.generation import generation_in_force, prepare_client
from stream_app.cli.token import HOURS, dashboard, operations, signed
from stream_app.cli.topics import topics_of
from stream_app.local.errors import LocalError
from stream_app.local.lock import alone
from stream_app.local.run_folder import RunFolder
from stream_app.local.servers import SERVERS, start_servers
from stream_app.local.stack import App, answers_http, check_port, start_apps, worker_ready
from stream_app.local.topics import create_missing

_SECONDS_MAX = 20.0  # that a Kafka or a schema registry that was given may be on its way
SECRET = "STREAM_APP_JWT_SECRET"  # noqa: S105  # the variable's name


def command(
    workers: Annotated[int, typer.Option(min=1, help="How many workers run")] = 2,
    servers_only: Annotated[bool, typer.Option(help="Start Kafka, Redis and ClickHouse only")] = False,
) -> None:
    """Start all of the local stack that is not already running, and return when it is ready."""
    prepare_client()
    run = run_folder()
    with alone(run):
        settings = config.load()
        source_maps.teams(settings)
        if not servers_only:
            check_port(run, "api", settings.api_port, "choose another port with STREAM_APP_API_PORT")
            check_port(run, "monitor", settings.monitor_port, "choose another port with STREAM_APP_MONITOR_PORT")
        addresses = start_servers(run, given_addresses())
        secret = os.environ.get(SECRET) or run.read_env().get(SECRET) or secrets.token_urlsafe(32)
        run.write_env({**addresses, SECRET: secret})
        settings = config.load()
        check_kafka(settings, "up", seconds_max=_SECONDS_MAX)
        serving = asyncio.run(generation_in_force(settings))  # topics of those before it are not made anew
        if made := create_missing(settings.kafka, topics_of(serving)):
            print("Made the topics " + ", ".join(made), file=sys.stderr)
        if (access := settings.schema_registry) and settings.schema_registry_contracts:
            from stream_app.cli.contracts import register_contracts  # noqa: PLC0415  # half a second that most need not wait for

            register_contracts(settings, access, seconds_max=_SECONDS_MAX)
        if not servers_only:
            start_apps(run, _apps(run, settings, workers), env=addresses, cwd=config.ROOT)
    for name, address in addresses.items():
        print(f"{name}={without_password(address)[0]}")
    if not servers_only:
        print(f"API: {settings.api_url}/docs")
        print(f"Dashboard, with a token for {HOURS:.0f} hours: {dashboard(settings)}")
        print(f"Operations, with a token for {HOURS:.0f} hours: {operations(settings)}")


def run_folder() -> RunFolder:
    """The run folder of the checkout."""
    return RunFolder(config.RUN, config.LIB)


def given_addresses() -> dict[str, str]:
    """Variable -> address of the servers that the environment names."""
    variables = {server.variable: [server.variable, f"STREAM_APP_{server.variable}"] for server in SERVERS}
    given = read_secrets(os.environ, variables)
    for server in SERVERS:
        for variable in (server.variable, f"STREAM_APP_{server.variable}"):
            if address := os.environ.get(variable):
                given[server.variable] = address
                break
    return given


def _apps(run: RunFolder, settings: config.Settings, workers: int) -> list[App]:
    """What runs beside the servers."""
    program = Path(sys.executable).parent / "stream-app"
    if not program.exists():
        raise LocalError(f"{program} is missing: start the stack by make up.")
    # Settings and maps are part of the note, so that a changed one is not ignored by a process that runs already.
    said = [settings.model_dump_json(), settings.secrets(), source_maps.texts(settings)]
    note = hashlib.sha256(repr(said).encode()).hexdigest()[:16]
    apps = []
    for number in range(1, workers + 1):
        name = f"worker-{number}"
        files: list[str | Path] = ["--state-dir", run.state / name, "--ready-file", run.ready_file(name)]
        if settings.worker_metrics_port:
            files += ["--metrics-port", str(settings.worker_metrics_port + number - 1)]
        apps.append(App(name, [program, "worker", "--name", name, *files], note, worker_ready(run, name)))
    # Its /readyz says that a store answers; a store of a new stack has no tables, and answers no question, until a worker wrote to it.
    question = f"{settings.api_url}/smart-bi/crm/operators"
    apps.append(
        App("api", [program, "api"], note, answers_http(question, signed(settings, ["*"]), settings.api_ssl_cafile))
    )
    alive = f"http://{settings.monitor_host}:{settings.monitor_port}/healthz"
    apps.append(App("monitor", [program, "monitor"], note, answers_http(alive)))
    return apps

"""The stack of compose.yaml, as it is, on an engine: how it is started, and what others see of it at its ports on loopback."""

import json
import os
import signal
from collections.abc import Mapping
from typing import Any

from tests.containers.engine import Engine
from tests.containers.images import SERVICES
from tests.support.service import Service
from tests.support.waiting import wait_until

IMAGE = "crm-stats"
WORKERS = tuple(name for name, service in SERVICES.items() if service.get("command", [""])[0] == "worker")
ADDRESSES = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "CLICKHOUSE_URL": "clickhouse://default@127.0.0.1:9000",
}


class Composed(Service):
    """See the module. Runs from the start on, with the image that is tagged IMAGE then."""

    def __init__(self, engine: Engine, image: str) -> None:
        self.engine = engine
        self.use(image)
        self.up()
        super().__init__(ADDRESSES, "http://127.0.0.1:8080")
        self.env: Mapping[str, str] = ADDRESSES

    def use(self, image: str) -> None:
        """What is started from now on is of this image: as after `docker compose build`."""
        self.engine.docker("tag", image, IMAGE)

    def up(self, *services: str) -> None:
        """Start services, or all, and wait until they are well; one whose image has changed is replaced."""
        only = ["--no-deps", *services] if services else []
        self.engine.compose("up", "--detach", "--wait", "--no-build", *only)

    def down(self) -> None:
        """Stop all and drop the volumes."""
        self.disconnect()
        self.engine.compose("down", "--volumes")

    def token(self, *arguments: str) -> str:
        return self.run("api", "stream-app", "token", *arguments).strip()

    def run(self, service: str, *command: str) -> str:
        """What a command prints in the container of a service."""
        return self.engine.compose("exec", "-T", service, *command)

    def refused(self, service: str, *command: str) -> str:
        """What a command says in the container of a service that fails there."""
        done = self.engine.try_compose("exec", "-T", service, *command)
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    def inspect(self, service: str) -> Mapping[str, Any]:
        """What the engine says of the container of a service."""
        number = self.engine.compose("ps", "--all", "--quiet", service).strip()
        return json.loads(self.engine.docker("inspect", number))[0]

    def is_well(self, service: str) -> bool:
        """Whether its container runs and its health check says so."""
        state = self.inspect(service)["State"]
        return state["Running"] and state.get("Health", {"Status": "healthy"})["Status"] == "healthy"

    def kill(self, service: str) -> None:
        """kill -9 of its process, from outside: to the engine a process that ended by itself."""
        os.kill(self.inspect(service)["State"]["Pid"], signal.SIGKILL)

    def wait_restarted(self, service: str, times: int) -> None:
        """Until the engine has started its container again so often, and it is well."""
        wait_until(f"{service} is started again", lambda: self.inspect(service)["RestartCount"] == times)
        wait_until(f"{service} is well", lambda: self.is_well(service))

    def logs(self) -> str:
        """The last lines of all containers, for whoever looks for what went wrong."""
        return self.engine.try_compose("logs", "--no-color", "--tail", "60").stdout

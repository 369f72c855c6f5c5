"""A Docker engine of our own, and Docker Compose on it: images, containers, networks and their rules lie in a folder and in namespaces, and end with them.

So nothing of an engine that the machine may run is used, taken or left behind, and no port of the machine is. To be used inside of `namespaces`.
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO

from config.settings import ROOT
from tests.support.waiting import wait_until

HOME = ROOT / ".run" / "containers"
# Builds need the machine's network; without a network of the engine's own no rule of the machine is touched.
ON_THE_MACHINE = ("--iptables=false", "--bridge=none")
SECRET = "a secret of the tests, long enough"  # of nothing else
_PULL_S_MAX = 300.0
COMPOSE = "COMPOSE"  # variable: the program, where it is not the plugin of `docker`


def missing() -> list[str]:
    """What the machine lacks, in words."""
    packages = {
        "dockerd": "docker.io",
        "docker": "docker.io or docker-cli",
        "debootstrap": "debootstrap",
        "ip": "iproute2",
    }
    found = [f"{name} (Debian: {package})" for name, package in packages.items() if shutil.which(name) is None]
    if not found and subprocess.run([*compose_program(), "version"], capture_output=True, check=False).returncode != 0:
        found.append(f"Docker Compose v2, as `docker compose` or as a program that ${COMPOSE} names")
    return found if os.getuid() == 0 else ["root", *found]


def compose_program() -> list[str]:
    """How Docker Compose is called."""
    return shlex.split(os.environ.get(COMPOSE, "docker compose"))


def namespaces(command: Sequence[str], *, alone: bool) -> list[str]:
    """The command with mounts and processes of its own, which end with it; `alone`: with a network of its own, too, which leads nowhere."""
    network = ["--net"] if alone else []
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *network, *command]


class Engine:
    """One that answers. `env`: for programs that talk to it."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = dict(env)

    def docker(self, *words: str, stdin: IO[bytes] | None = None) -> str:
        """What `docker` prints. `Raises` AssertionError with its last words."""
        return _said(self._run(["docker", *words], stdin))

    def compose(self, *words: str) -> str:
        """What Docker Compose prints of compose.yaml, as it is. `Raises` AssertionError with its last words."""
        return _said(self.try_compose(*words))

    def try_compose(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The same, whatever came of it."""
        return self._run([*compose_program(), "--file", str(ROOT / "compose.yaml"), *words])

    def is_there(self, image: str) -> bool:
        """Whether the engine has the image."""
        return self._run(["docker", "image", "inspect", image]).returncode == 0

    def pull(self, image: str) -> bool:
        """Fetch the image, if a registry answers that has it; whether one did."""
        try:
            return self._run(["docker", "pull", "--quiet", image], timeout_s=_PULL_S_MAX).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def _run(
        self, command: Sequence[str], stdin: IO[bytes] | None = None, timeout_s: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            stdin=stdin,
            timeout=timeout_s,
        )


def _said(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, f"{shlex.join(done.args)}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


@contextmanager
def engine(*options: str) -> Iterator[Engine]:
    """An engine with these options of dockerd, until the block ends."""
    HOME.mkdir(parents=True, exist_ok=True)
    socket, log = HOME / "docker.sock", HOME / "dockerd.log"
    command = ["dockerd", f"--host=unix://{socket}", f"--pidfile={HOME}/dockerd.pid"]
    command += [f"--data-root={HOME}/data", f"--exec-root={HOME}/exec", *options]
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STREAM_APP_")}
    found = Engine({**clean, "DOCKER_HOST": f"unix://{socket}", "STREAM_APP_JWT_SECRET": SECRET})

    def answers() -> bool:
        assert process.poll() is None, log.read_text(errors="replace")[-3000:]
        return subprocess.run(["docker", "version"], env=found.env, capture_output=True, check=False).returncode == 0

    try:
        wait_until("the engine answers", answers)
        yield found
    finally:
        process.terminate()
        process.wait()

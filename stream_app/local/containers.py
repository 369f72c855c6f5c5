"""A server of the local stack in a container: the way of a machine that has nothing but a Docker engine.

The container sees the network and the run folder as the machine does, at the same paths, and runs as the user who starts it: so it is configured, found and
stopped like a program of the machine. The process that is ours is Docker's client, which hands signals on.
"""

import os
import shutil
import subprocess

from stream_app.local.errors import LocalError
from stream_app.local.run_folder import RunFolder


def docker_answers() -> bool:
    """Whether a Docker engine runs that could bring the servers."""
    return _docker() is not None


def _docker() -> str | None:
    """Docker's client, where its engine answers."""
    program = shutil.which("docker")
    if program is None:
        return None
    try:
        asked = subprocess.run(
            [program, "version"], capture_output=True, check=False, timeout=10, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return program if asked.returncode == 0 else None


def command(run: RunFolder, name: str, image: str, program: str, otherwise: LocalError) -> list[str]:
    """What runs a program of an image, with arguments behind it; a container of this name that was left behind is removed.

    `otherwise`: why there is no program but in a container. `Raises` it where no Docker engine answers.
    """
    docker = _docker()
    if docker is None:
        raise otherwise
    run.root.mkdir(parents=True, exist_ok=True)
    root = run.root.absolute()
    called = f"crm-stats-{name}-{root.stat().st_ino}"
    subprocess.run([docker, "rm", "--force", called], capture_output=True, check=False, stdin=subprocess.DEVNULL)
    return [
        *(docker, "run", "--rm", "--name", called, "--network", "host", "--user", f"{os.getuid()}:{os.getgid()}"),
        *("--volume", f"{root}:{root}", "--workdir", str(root), "--entrypoint", program, image),
    ]

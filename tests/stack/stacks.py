"""A stack in a run folder and on ports of its own, and the commands on it."""

import os
import subprocess
import sys
from pathlib import Path

from dotenv import dotenv_values

from stream_app.local.ports import free_port

PROGRAM = Path(sys.executable).parent / "stream-app"
SERVERS = ["clickhouse", "kafka", "redis"]


class Stack:
    """A run folder of its own, and the commands on it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.ports = {"STREAM_APP_API_PORT": str(free_port()), "STREAM_APP_MONITOR_PORT": str(free_port())}

    def popen(self, *arguments, **env):
        return subprocess.Popen(
            [PROGRAM, *arguments],
            env={**os.environ, **self.ports, "STREAM_APP_RUN": str(self.folder), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments, **env):
        process = self.popen(*arguments, **env)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    def ok(self, *arguments, **env):
        code, out, err = self.run(*arguments, **env)
        assert code == 0, err
        return out

    def pids(self):
        return {path.stem: int(path.read_text()) for path in self.folder.glob("*.pid")}

    def env(self):
        return dotenv_values(self.folder / "env")

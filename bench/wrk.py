"""Load by wrk, which is written in C and needs a fraction of the CPU of what it measures: Debian's package, unpacked beside the servers.

Each connection sends its next request when it has the answer to the last, so what comes out is the most that a server takes.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from stream_app.local import downloads
from stream_app.local.errors import LocalError

CONNECTIONS = 32


class Asked(NamedTuple):
    """A request; `status`: what its answer must be."""

    method: str
    path: str
    headers: dict[str, str]
    body: str | None = None
    status: int = 200


class Load(NamedTuple):
    """What wrk counted."""

    requests: int
    seconds: float


class Wrk(NamedTuple):
    """The program, and the environment in which it finds its libraries."""

    program: Path
    env: dict[str, str]


def install(lib: Path) -> Wrk:
    """The machine's, else a downloaded one."""
    if found := shutil.which("wrk"):
        return Wrk(Path(found), dict(os.environ))
    folder = downloads.provide(lib, "wrk", lambda beside: downloads.debian_packages(["wrk"], beside))
    libraries = ":".join(str(path) for path in (folder / "usr" / "lib").glob("*-linux-gnu*"))
    return Wrk(folder / "usr" / "bin" / "wrk", {**os.environ, "LD_LIBRARY_PATH": libraries})


def script(requests: Sequence[Asked]) -> str:
    """A program for wrk that sends these requests in turn. All of it is ASCII, whose JSON strings are Lua's, too."""
    lines = ["local prepared, turn = {}, 0", "function init()"]
    for one in requests:
        headers = ", ".join(f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in one.headers.items())
        body = "nil" if one.body is None else json.dumps(one.body)
        lines.append(
            f"  prepared[#prepared + 1] = wrk.format({json.dumps(one.method)}, {json.dumps(one.path)}, {{{headers}}}, {body})"
        )
    lines += ["end", "function request()", "  turn = turn % #prepared + 1", "  return prepared[turn]", "end", ""]
    return "\n".join(lines)


def run(wrk: Wrk, address: str, script_file: Path, seconds: int) -> Load:
    """Send as much as is taken. `Raises` LocalError when an answer is an error, or none."""
    command = [
        wrk.program,
        "--threads",
        "1",
        "--connections",
        str(CONNECTIONS),
        "--duration",
        f"{seconds}s",
        "--timeout",
        "30s",
    ]
    done = subprocess.run(
        [*command, "--script", script_file, address],
        env=wrk.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 60,
    )
    counted = re.search(r"(\d+) requests in ([\d.]+)s", done.stdout)
    if done.returncode or counted is None or re.search(r"Non-2xx|Socket errors", done.stdout):
        raise LocalError(f"endpoints: wrk failed: {done.stdout}{done.stderr}")
    return Load(int(counted[1]), float(counted[2]))

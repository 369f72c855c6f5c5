"""Processes of the local stack: started with a pid file, found again by it, stopped.

A pid file holds the pid alone, for `kill $(cat NAME.pid)`. The start file beside it holds the pid again, when the process
started (seconds since the machine did, so that a changed clock does not matter), and a note of what it was started with.
Invariant: a process counts as ours only if both files and its start agree, so a pid that was given to a stranger is never
waited for or signalled. Must not decide what to start.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from stream_app.local.errors import LocalError
from stream_app.local.run_folder import RunFolder

START_TOLERANCE_SECONDS = 2.0
# A machine may have much else to do, and a worker that lost its disk reads its state back from Kafka before it is ready. One that ended is told at once.
READY_SECONDS_MAX = 300.0


@dataclass(frozen=True, slots=True)
class Running:
    """A process of ours that lives. `note` is what it was started with."""

    name: str
    process: psutil.Process
    note: str


# What this very process started, by pid: kept to be waited for when it has ended.
_children: dict[int, subprocess.Popen[bytes]] = {}


def find(run: RunFolder, name: str) -> Running | None:
    """The living process of this name, by its pid file and its start file."""
    try:
        pid, started, note = run.start_file(name).read_text().split("\n")[:3]
        process = psutil.Process(int(run.pid_file(name).read_text()))
        same = process.pid == int(pid) and abs(_started(process) - float(started)) < START_TOLERANCE_SECONDS
        alive = same and process.status() != psutil.STATUS_ZOMBIE
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return None
    return Running(name, process, note) if alive else None


def start(
    run: RunFolder, name: str, command: Sequence[str | Path], *, note: str, env: Mapping[str, str], cwd: Path
) -> Running:
    """Start a process in a session of its own, so that an interrupted `make` leaves it alone.

    Its output is appended to the log file. `Raises` LocalError when the program can't be run.
    """
    run.root.mkdir(parents=True, exist_ok=True)
    with run.log_file(name).open("ab") as log:
        try:
            child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=cwd,
                env=dict(env),
                start_new_session=True,
            )
        except OSError as error:
            raise LocalError(f"{name} can't be started: {command[0]}: {error.strerror}.") from error
    process = psutil.Process(child.pid)
    # The start file first: a pid file without one that agrees names nobody.
    _replace(run.start_file(name), f"{child.pid}\n{_started(process):.2f}\n{note}\n")
    _replace(run.pid_file(name), f"{child.pid}\n")
    _children[child.pid] = child
    return Running(name, process, note)


def wait_ready(
    run: RunFolder, running: Running, ready: Callable[[], bool], seconds_max: float = READY_SECONDS_MAX
) -> None:
    """Return when `ready` says so. `Raises` LocalError with the log's end when the process dies or takes too long."""
    deadline = time.monotonic() + seconds_max
    while not ready():
        if not _alive(running.process):
            how = _how_it_ended(running.process.pid)
            raise LocalError(f"{running.name} ended while starting{how}; {_end_of_log(run, running.name)}")
        if time.monotonic() > deadline:
            raise LocalError(f"{running.name} is not ready after {seconds_max:.0f} s; {_end_of_log(run, running.name)}")
        time.sleep(0.05)


def stop(run: RunFolder, running: Sequence[Running], *, seconds_max: float) -> None:
    """End these processes side by side: SIGTERM, then SIGKILL for what is left; their files go, but for the logs."""
    for one in running:
        _signal(one.process, signal.SIGTERM)
    _, left = psutil.wait_procs([one.process for one in running], timeout=seconds_max)
    for process in left:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(left, timeout=10)
    for pid in [pid for pid, child in _children.items() if child.poll() is not None]:  # those of before, too
        del _children[pid]
    for one in running:
        run.forget(one.name)


def child_env(**more: str | Path) -> dict[str, str]:
    """The environment for a process of the stack: the caller's, and these."""
    return {**os.environ, **{name: str(value) for name, value in more.items()}}


def _replace(path: Path, text: str) -> None:
    """Write a file in one step, so that a reader never sees half of it."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(text)
    temporary.replace(path)


def _started(process: psutil.Process) -> float:
    """Seconds from the machine's start to the process's."""
    return float(process.create_time() - psutil.boot_time())


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    """Send a signal; psutil refuses when the pid belongs to another process by now."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _how_it_ended(pid: int) -> str:
    """The signal that ended a child of this process: its log does not tell."""
    child = _children.pop(pid, None)
    code = child.wait() if child else 0
    return f" (by {signal.Signals(-code).name})" if code < 0 else ""


def _end_of_log(run: RunFolder, name: str) -> str:
    path = run.log_file(name)
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return f"the end of {path}:\n" + "\n".join(lines[-8:])

"""`python -m tests.machines`: the README's commands on new machines, made by debootstrap: no compiler, no Java, no cache, as root and as a user.

A machine is a folder with a Debian, entered by chroot in namespaces of its own; the network is that of the host, which must be a Debian, with root.
Prints a table of times, and ends with 1 when anything failed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from config.settings import ROOT

HOME = ROOT / ".run" / "machines"
RELEASES = {"bookworm": "Debian 12", "trixie": "Debian 13", "forky": "Debian 14 (testing)"}
USERS = ("root", "engineer")
PACKAGES = "make,git,ca-certificates,python3,python3-venv"  # what the README asks for
SCRIPTS = Path("/usr/share/debootstrap/scripts")
BUNDLE = Path("etc/ssl/certs/ca-certificates.crt")
COMMANDS = (
    ("demo", 'make demo WORKERS=1 ARGS="--months 2 --customers 30"'),
    ("demo again", 'make demo WORKERS=1 ARGS="--months 2 --customers 30"'),
    ("pay", 'make pay ARGS="--operator M1 --amount 12.50"'),
    ("down", "make down"),
    ("clean", "make clean"),
)
_MINUTES_MAX = 9
_PASSED_ON = ("http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE")


class Outcome(NamedTuple):
    """A command on a machine: how long it took, in seconds, and what it said where it failed."""

    release: str
    python: str
    user: str
    command: str
    took_s: float
    failure: str


def new_machine(release: str) -> Path:
    """A folder with a new Debian, its users and a clone of this checkout for each."""
    base = HOME / f"{release}.base"
    if not base.is_dir():
        beside = HOME / f".{release}"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        _run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", release, str(beside), *_script(release)])
        beside.rename(base)
    machine = HOME / release
    shutil.rmtree(machine, ignore_errors=True)
    _run(["cp", "-a", str(base), str(machine)])
    if (host := Path("/") / BUNDLE).is_file():  # a proxy may sign with one that only this machine knows
        shutil.copy(host, machine / BUNDLE)
    shutil.copy("/etc/resolv.conf", machine / "etc" / "resolv.conf")
    _run(["chroot", str(machine), "useradd", "--create-home", USERS[1]])
    for user in USERS:
        clone = machine / _home(user).lstrip("/") / "crm-stats"
        _run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)])
        _run(["chroot", str(machine), "chown", "-R", f"{user}:", f"{_home(user)}/crm-stats"])
    return machine


def inside(machine: Path, user: str, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the user's clone; processes that it leaves behind live on."""
    passed_on = [f"{name}={value}" for name in _PASSED_ON if (value := os.environ.get(name))]
    script = f"cd {_home(user)}/crm-stats && {command}"
    enter = ["chroot", f"--userspec={user}:{user}", str(machine), "/usr/bin/env", "-i", f"HOME={_home(user)}"]
    enter += ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", *passed_on, "bash", "-c", script]
    return subprocess.run(enter, capture_output=True, text=True, check=False, timeout=60 * _MINUTES_MAX)


def check(release: str) -> list[Outcome]:
    """All commands on a new machine, by each user."""
    machine = new_machine(release)
    mounts = [(["--rbind", f"/{name}"], machine / name) for name in ("proc", "sys", "dev")]
    found = []
    try:
        for options, place in mounts:
            _run(["mount", *options, str(place)])
            _run(["mount", "--make-rslave", str(place)])
        for user in USERS:
            python = inside(machine, user, "python3 --version").stdout.strip()
            for name, command in COMMANDS:
                began = time.monotonic()
                done = inside(machine, user, command)
                failure = "" if done.returncode == 0 else f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
                found.append(Outcome(release, python, user, name, time.monotonic() - began, failure))
                print(f"{RELEASES[release]}, {user}: {name} {failure and 'failed: ' + failure}", file=sys.stderr)
                if failure:
                    inside(machine, user, "make clean")
                    break
    finally:
        for _, place in mounts:
            subprocess.run(["umount", "--recursive", "--lazy", str(place)], check=False)
    shutil.rmtree(machine)
    return found


def show(found: Sequence[Outcome]) -> None:
    """Print the times as one table."""
    table = Table("machine", "user", *(name for name, _ in COMMANDS))
    for release in dict.fromkeys(each.release for each in found):
        for user in USERS:
            times = {each.command: each for each in found if (each.release, each.user) == (release, user)}
            python = next(iter(times.values())).python
            cells = [
                "-" if (each := times.get(name)) is None else "failed" if each.failure else f"{each.took_s:.0f} s"
                for name, _ in COMMANDS
            ]
            table.add_row(f"{RELEASES[release]}, {python}", user, *cells)
    Console().print(table)


def main(words: Sequence[str]) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="make machines", description="ARGS of make machines")
    parser.add_argument("releases", nargs="*", default=list(RELEASES), metavar="release", help=", ".join(RELEASES))
    arguments = parser.parse_args(words)
    if unknown := set(arguments.releases) - RELEASES.keys():
        parser.error(f"no such release: {', '.join(sorted(unknown))}")
    if os.getuid() or shutil.which("debootstrap") is None:
        print("make machines needs root and debootstrap (Debian: apt-get install debootstrap)", file=sys.stderr)
        return 2
    found = [outcome for release in arguments.releases for outcome in check(release)]
    show(found)
    return int(any(outcome.failure for outcome in found))


def _script(release: str) -> list[str]:
    """What debootstrap must be told of a release that is newer than itself: a mirror, the machine's own, and the script of the newest."""
    if (SCRIPTS / release).exists():
        return []
    asked = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"]
    lines = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    found = (line.split(" ", 1) for line in lines)
    return [next(uri for origin, uri in found if origin == "Debian" and "security" not in uri), str(SCRIPTS / "sid")]


def _home(user: str) -> str:
    return "/root" if user == "root" else f"/home/{user}"


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

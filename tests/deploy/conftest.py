"""Prometheus of Debian, unpacked beside the other servers' programs, or the machine's."""

import shutil
import subprocess
from pathlib import Path

import pytest

from config.settings import ROOT
from stream_app.local import downloads
from tests.conftest import LIB


@pytest.fixture(scope="session")
def prometheus_bin() -> Path:
    """The folder of the programs prometheus and promtool."""
    if (found := shutil.which("promtool")) and shutil.which("prometheus"):
        return Path(found).parent
    folder = downloads.provide(LIB, "prometheus", lambda it: downloads.debian_packages(["prometheus"], it))
    return folder / "usr" / "bin"


@pytest.fixture
def promtool(prometheus_bin):
    """Calls promtool with arguments, among the files of deploy/prometheus: what it said, and whether it is content."""

    def call(*words, cwd=ROOT / "deploy" / "prometheus"):
        command = [prometheus_bin / "promtool", *words]
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr, done.returncode == 0

    return call

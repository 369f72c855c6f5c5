"""The examples of docs/subscribers as their readers would build them: a command for each language."""

import shutil
import subprocess
import sys
from zlib import crc32

import pytest

from config.settings import LIB
from stream_app.local import downloads, kafka_server
from tests.subscribers.building import EXAMPLES, pinned_in_pom


@pytest.fixture(scope="session")
def python_view():
    return [sys.executable, EXAMPLES / "python" / "view.py"]


@pytest.fixture(scope="session")
def java_view(tmp_path_factory):
    """Compiled against the jars of the broker, among which are those that the example's pom.xml names."""
    folder, jars = tmp_path_factory.mktemp("java"), kafka_server.install(LIB)
    assert [name for name, number in pinned_in_pom() if not (jars / f"{name}-{number}.jar").exists()] == []
    command = ["javac", "-Xlint:all", "-Werror", "-cp", f"{jars}/*", "-d", folder, EXAMPLES / "java" / "View.java"]
    subprocess.run(command, check=True)
    return ["java", "-Dlog4j2.level=WARN", "-cp", f"{folder}:{jars}/*", "View"]


@pytest.fixture(scope="session")
def typescript_view():
    """Compiled with the packages of its lock file, once for each state of its files."""
    source = EXAMPLES / "typescript"
    files = [source / name for name in (".npmrc", "package.json", "package-lock.json", "tsconfig.json", "view.ts")]

    def build(beside):
        for file in files:
            shutil.copy(file, beside)
        subprocess.run(["npm", "ci", "--silent", "--ignore-scripts"], cwd=beside, check=True)
        subprocess.run(["npm", "run", "--silent", "build"], cwd=beside, check=True)

    name = f"subscriber-{crc32(b''.join(file.read_bytes() for file in files)):08x}"
    return ["node", downloads.provide(LIB, name, build) / "built" / "view.js"]


@pytest.fixture(scope="session")
def views(python_view, java_view, typescript_view):
    """The command of each language."""
    return {"python": python_view, "java": java_view, "typescript": typescript_view}

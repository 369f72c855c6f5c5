"""One ClickHouse of our own: the machine's program, else Debian's server unpacked, else the makers' own program, else a container.

Debian's is 18.16, the oldest that results must work on. Must not be used by a worker.
"""

import os
import platform
import shutil
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from clickhouse_driver import Client
from clickhouse_driver.errors import Error

from stream_app.local import archives, containers, downloads, ports
from stream_app.local.errors import LocalError
from stream_app.local.processes import Running, child_env, start, wait_ready
from stream_app.local.run_folder import RunFolder

NAME = "clickhouse"
PORT = 9000
_RELEASE = "bookworm"  # the last Debian that has it
VERSION = "26.8.11.7"  # of the makers' own, archive and image, one with long-term support
IMAGE = f"clickhouse/clickhouse-server:{VERSION}"
_CHOICES = "give CLICKHOUSE_URL, install ClickHouse so that `clickhouse` is on the PATH, or start a Docker engine"
_ARCHIVES = "https://github.com/ClickHouse/ClickHouse/releases/download"
_MAKERS = f"clickhouse-{VERSION}"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


class Program(NamedTuple):
    """A server program: the words before its options, and the environment that it needs."""

    command: list[str]
    env: dict[str, str]


def install(lib: Path) -> Program:
    """A server program of this machine, or one that is brought under `lib`. `Raises` LocalError where there is none."""
    for name, words in (("clickhouse-server", []), ("clickhouse", ["server"])):
        if found := shutil.which(name):
            return Program([found, *words], {})
    ways = [lambda: _of_debian(lib), lambda: _of_the_makers(lib)]
    if (lib / _MAKERS).is_dir():  # the first way failed before, and takes long to
        ways.reverse()
    return downloads.first_that_works("ClickHouse", _CHOICES, *ways)


def _of_debian(lib: Path) -> Program:
    folder = downloads.provide(
        lib, "clickhouse-18.16", lambda it: downloads.debian_packages(["clickhouse-server"], it, _RELEASE)
    )
    libraries = folder / "usr" / "lib" / f"{platform.machine()}-linux-gnu"
    path = [str(libraries), str(folder / "lib" / libraries.name)]
    return Program([str(folder / "usr" / "sbin" / "clickhouse-server")], {"LD_LIBRARY_PATH": os.pathsep.join(path)})


def _of_the_makers(lib: Path) -> Program:
    """The one program that does all, out of the archive of a release."""
    if (machine := _MACHINES.get(platform.machine())) is None:
        raise LocalError(f"ClickHouse is not made for {platform.machine()}")
    package = f"clickhouse-common-static-{VERSION}"

    def build(beside: Path) -> None:
        program = f"{package}/usr/bin/clickhouse"
        url = f"{_ARCHIVES}/v{VERSION}-lts/{package}-{machine}.tgz"
        archives.unpack(url, beside, lambda path: "clickhouse" if path.removeprefix("./") == program else None)
        (beside / "clickhouse").chmod(0o755)

    return Program([str(downloads.provide(lib, _MAKERS, build) / "clickhouse"), "server"], {})


def launch(run: RunFolder, port: int) -> Running:
    """Start the server on this port of loopback and return when it answers."""
    try:
        program = install(run.lib)
    except LocalError as error:
        program = Program([*containers.command(run, NAME, IMAGE, "clickhouse", error), "server"], {})
    data = run.data / "clickhouse"
    data.mkdir(parents=True, exist_ok=True)
    run.conf.mkdir(parents=True, exist_ok=True)
    (run.conf / "clickhouse-users.xml").write_text(USERS)
    (run.conf / "clickhouse.xml").write_text(_config(run, data, port))
    url = f"clickhouse://default@{ports.HOST}:{port}"
    command = [*program.command, f"--config-file={run.conf}/clickhouse.xml"]
    running = start(run, NAME, command, note=url, env=child_env(**program.env), cwd=data)
    wait_ready(run, running, lambda: answers(url))
    return running


def answers(url: str) -> bool:
    """Whether a server answers a query."""
    if not ports.answers(urlsplit(url).port or PORT):  # asked first, for the driver logs each refusal
        return False
    client = Client.from_url(f"{url}?connect_timeout=2&send_receive_timeout=5")
    try:
        return bool(client.execute("SELECT 1") == [(1,)])
    except (Error, OSError, EOFError):
        return False
    finally:
        client.disconnect()


USERS = f"""<?xml version="1.0"?>
<yandex>
  <profiles><default><max_memory_usage>2000000000</max_memory_usage></default></profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <password></password>
      <networks><ip>{ports.HOST}</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
    </default>
  </users>
</yandex>
"""


def _config(run: RunFolder, data: Path, port: int) -> str:
    """The server's configuration: loopback, the native protocol only, small caches, no files outside the run folder."""
    return f"""<?xml version="1.0"?>
<yandex>
  <logger><level>warning</level><console>1</console></logger>
  <listen_host>{ports.HOST}</listen_host>
  <tcp_port>{port}</tcp_port>
  <path>{escape(str(data))}/</path>
  <tmp_path>{escape(str(data))}/temporary/</tmp_path>
  <user_files_path>{escape(str(data))}/user_files/</user_files_path>
  <format_schema_path>{escape(str(data))}/format_schemas/</format_schema_path>
  <users_config>{escape(str(run.conf))}/clickhouse-users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
  <timezone>UTC</timezone>
  <mark_cache_size>268435456</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <max_concurrent_queries>100</max_concurrent_queries>
</yandex>
"""

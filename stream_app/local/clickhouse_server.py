"""One ClickHouse of our own: Debian's server unpacked, or the machine's program.

Debian's is 18.16, the oldest that results must work on. Must not be used by a worker.
"""

import os
import platform
import shutil
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from clickhouse_driver import Client
from clickhouse_driver.errors import Error

from stream_app.local import downloads, ports
from stream_app.local.processes import Running, child_env, start, wait_ready
from stream_app.local.run_folder import RunFolder

NAME = "clickhouse"
PORT = 9000
_RELEASE = "bookworm"  # the last Debian that has it
ADVICE = "install clickhouse-server, or give CLICKHOUSE_URL"


def install(lib: Path) -> tuple[Path, dict[str, str]]:
    """The server program and the environment it needs."""
    if found := shutil.which("clickhouse-server"):
        return Path(found), {}
    folder = downloads.provide(
        lib, "clickhouse-18.16", lambda it: downloads.debian_packages(["clickhouse-server"], it, ADVICE, _RELEASE)
    )
    libraries = folder / "usr" / "lib" / f"{platform.machine()}-linux-gnu"
    path = [str(libraries), str(folder / "lib" / libraries.name)]
    return folder / "usr" / "sbin" / "clickhouse-server", {"LD_LIBRARY_PATH": os.pathsep.join(path)}


def launch(run: RunFolder, port: int) -> Running:
    """Start the server on this port of loopback and return when it answers."""
    program, env = install(run.lib)
    data = run.data / "clickhouse"
    data.mkdir(parents=True, exist_ok=True)
    run.conf.mkdir(parents=True, exist_ok=True)
    (run.conf / "clickhouse-users.xml").write_text(USERS)
    (run.conf / "clickhouse.xml").write_text(_config(run, data, port))
    url = f"clickhouse://default@{ports.HOST}:{port}"
    command: list[str | Path] = [program, f"--config-file={run.conf}/clickhouse.xml"]
    running = start(run, NAME, command, note=url, env=child_env(**env), cwd=data)
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

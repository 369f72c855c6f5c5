"""ClickHouse 18.16 with TLS beside its plain port, and users with passwords: `default` for tests, and those that are given."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from stream_app.local import clickhouse_server
from stream_app.local.ports import HOST, free_port
from stream_app.local.processes import child_env
from tests.support.secured import Certificate
from tests.support.waiting import wait_until

_CONFIG = """<?xml version="1.0"?>
<yandex>
  <logger><level>warning</level><console>1</console></logger>
  <listen_host>{host}</listen_host>
  <tcp_port>{plain}</tcp_port>
  <tcp_port_secure>{secured}</tcp_port_secure>
  <openSSL><server>
    <certificateFile>{cert}</certificateFile><privateKeyFile>{key}</privateKeyFile>
    <verificationMode>none</verificationMode><loadDefaultCAFile>false</loadDefaultCAFile><disableProtocols>sslv2,sslv3</disableProtocols>
  </server></openSSL>
  <path>{data}/</path><tmp_path>{data}/temporary/</tmp_path><user_files_path>{data}/user_files/</user_files_path>
  <format_schema_path>{data}/format_schemas/</format_schema_path>
  <users_config>{users}</users_config>
  <default_profile>default</default_profile><default_database>default</default_database><timezone>UTC</timezone>
  <mark_cache_size>268435456</mark_cache_size>
</yandex>
"""
_USER = "<{name}><password>{password}</password><networks><ip>{host}</ip></networks><profile>{profile}</profile><quota>default</quota></{name}>"


class SecuredClickHouse:
    """See the module. `users`: password and profile, `default` or `reads`, by name."""

    def __init__(self, path: Path, lib: Path, certificate: Certificate, users: Mapping[str, tuple[str, str]]) -> None:
        path.mkdir(parents=True)
        plain, self.port = free_port(), free_port()
        self.url = f"clickhouse://default@{HOST}:{plain}"
        known = {"default": ("", "default"), **users}
        (path / "users.xml").write_text(
            "<yandex><profiles><default></default><reads><readonly>1</readonly></reads></profiles><quotas><default/></quotas><users>"
            + "".join(
                _USER.format(name=name, password=escape(password), host=HOST, profile=profile)
                for name, (password, profile) in known.items()
            )
            + "</users></yandex>"
        )
        said = {"host": HOST, "plain": plain, "secured": self.port, "data": path, "users": path / "users.xml"}
        (path / "config.xml").write_text(_CONFIG.format(**said, cert=certificate.cert, key=certificate.key))
        program = clickhouse_server.install(lib)
        with (path / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*program.command, f"--config-file={path}/config.xml"],
                env=child_env(**program.env),
                cwd=path,
                stdout=log,
                stderr=log,
            )
        wait_until("ClickHouse answers", lambda: clickhouse_server.answers(self.url))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

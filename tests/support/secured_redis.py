"""Debian's Redis 7.0, which speaks TLS itself, beside its plain port: what the tests' Valkey is built without."""

import subprocess
from pathlib import Path

import redis

from stream_app.local.downloads import debian_packages, provide
from stream_app.local.ports import HOST, free_port
from stream_app.local.processes import child_env
from stream_app.local.redis_server import answers
from tests.support.secured import Certificate
from tests.support.waiting import wait_until


class SecuredRedis:
    """See the module. `port`: of TLS; `url`: the plain address, of the default user, who may do all."""

    def __init__(self, path: Path, lib: Path, certificate: Certificate, cafile: Path) -> None:
        path.mkdir(parents=True)
        plain, self.port = free_port(), free_port()
        self.url = f"redis://{HOST}:{plain}/0"
        folder = provide(lib, "redis-debian", lambda into: debian_packages(["redis-server"], into))
        libraries = {str(found.parent) for found in folder.glob("usr/lib/**/*.so.*")}
        options = {
            "bind": HOST, "port": plain, "tls-port": self.port, "tls-cert-file": certificate.cert,
            "tls-key-file": certificate.key, "tls-ca-cert-file": cafile, "tls-auth-clients": "no",
            "dir": path, "save": "", "daemonize": "no",
        }  # fmt: skip
        with (path / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [folder / "usr/bin/redis-server", *(word for name, value in options.items() for word in (f"--{name}", str(value)))],
                env=child_env(LD_LIBRARY_PATH=":".join(sorted(libraries))), cwd=path, stdout=log, stderr=log,
            )  # fmt: skip
        wait_until("Redis answers", lambda: answers(self.url))
        self.admin = redis.Redis.from_url(self.url)

    def close(self) -> None:
        self.admin.close()
        self._process.kill()
        self._process.wait()

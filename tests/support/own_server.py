"""A server of one test, which the test may stop, kill and start again on its port."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from stream_app.local.ports import is_free
from stream_app.local.processes import find, stop
from stream_app.local.run_folder import RunFolder
from stream_app.local.servers import SERVERS, start_server
from tests.support.waiting import wait_until


@contextmanager
def frozen(run: RunFolder, name: str) -> Iterator[None]:
    """A server of this name takes connections and answers nothing while the block runs."""
    running = find(run, name)
    assert running is not None
    running.process.suspend()
    try:
        yield
    finally:
        running.process.resume()


class OwnServer:
    """Kafka, Redis or ClickHouse in a folder of its own, on a free port; it runs when it is made."""

    def __init__(self, name: str, folder: Path, lib: Path) -> None:
        self._run = RunFolder(folder, lib)
        self._server = next(server for server in SERVERS if server.name == name)
        self.address = start_server(self._run, self._server, None, default_ports=False)

    def begin(self) -> None:
        """Start it again, with the data and on the port that it had."""
        assert start_server(self._run, self._server, self.address, default_ports=False) == self.address

    def halt(self) -> None:
        """Stop it, unless it is down already."""
        if running := find(self._run, self._server.name):
            stop(self._run, [running], seconds_max=10)

    def frozen(self) -> AbstractContextManager[None]:
        """It takes connections and answers nothing while the block runs."""
        return frozen(self._run, self._server.name)

    def kill(self) -> None:
        """kill -9; returns when its port is free."""
        running = find(self._run, self._server.name)
        assert running is not None
        running.process.kill()
        port = urlsplit(self.address if "//" in self.address else f"//{self.address}").port
        assert port is not None
        wait_until("its port is free", lambda: not find(self._run, self._server.name) and is_free(port))

"""A whole deployment of one test: its own servers, workers and API, each a real process that can be killed.

The fixture `deploy` is there for every room: tests/conftest.py names this module among its plugins.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stream_app.local.ports import free_port, is_free
from stream_app.local.processes import find, stop
from stream_app.local.run_folder import RunFolder
from stream_app.local.servers import SERVERS, start_server, start_servers
from tests.oracle import TOPICS
from tests.support.own_server import frozen
from tests.support.service import Service
from tests.support.stacks import told
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).parent / "stream-app"
SOURCES = dict.fromkeys(TOPICS.values(), 1) | {
    "charging.sessions": 3,
    "charging.payments": 5,
    "crm.customer-groups": 2,
}
STOP_S_MAX = 120.0  # a worker that does not end never does
_FAILED = pytest.StashKey[bool]()  # of a test


class Deployment(Service):
    """See the module.

    `sources`: topics and partitions that other teams would have made; `checkout`: whose modules the processes run; `kafka`: bootstrap servers of a
    cluster that runs already, in place of a broker of its own; `through`: gives, by variable, the addresses that the processes are told in place of
    the servers' own, such as proxies'; settings as STREAM_APP_… has them.
    """

    def __init__(
        self,
        path: Path,
        *,
        sources: Mapping[str, int] = SOURCES,
        checkout: Path = ROOT,
        kafka: str | None = None,
        through: Callable[[Mapping[str, str]], Mapping[str, str]] = dict,
        **settings: str,
    ) -> None:
        self.checkout = checkout
        self.run = RunFolder(path, ROOT / ".run" / "lib")
        path.mkdir(parents=True, exist_ok=True)
        given = {} if kafka is None else {"KAFKA_BOOTSTRAP_SERVERS": kafka}
        addresses = start_servers(self.run, given, default_ports=False)
        super().__init__(addresses, f"http://127.0.0.1:{(port := free_port())}")
        clean = {k: v for k, v in os.environ.items() if not k.startswith("STREAM_APP_")}
        own = {f"STREAM_APP_{name.upper()}": value for name, value in settings.items()}
        self.env = {
            **clean,
            **through(addresses),
            "PYTHONPATH": str(checkout),
            "STREAM_APP_RUN": str(path),
            "STREAM_APP_JWT_SECRET": "a secret of the tests, long enough",
            "STREAM_APP_API_PORT": str(port),
            "STREAM_APP_MONITOR_PORT": str(free_port()),
            "STREAM_APP_SESSION_TIMEOUT_MS": "6000",
            "PYTHONFAULTHANDLER": "1",
            **own,
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        if sources:
            self.make_topics(sources)
        self.run_command("up", "--servers-only").check_returncode()  # our topics

    # -- processes

    def use(self, checkout: Path) -> None:
        """Run the modules of another checkout from now on; what runs goes on."""
        self.checkout, self.env["PYTHONPATH"] = checkout, str(checkout)

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a process of ours; its log is in the run folder."""
        with self.run.log_file(name).open("ab") as log:
            process = subprocess.Popen([PROGRAM, *arguments], env=self.env, stdout=log, stderr=log, cwd=self.checkout)
        self._processes[name] = process
        return process

    def run_command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ours to its end."""
        return subprocess.run(
            [PROGRAM, *arguments], env=self.env, cwd=self.checkout, capture_output=True, text=True, check=False
        )

    def start_worker(self, number: int) -> subprocess.Popen[bytes]:
        """Start a worker, with the state it left."""
        name = f"worker-{number}"
        self.run.ready_file(name).unlink(missing_ok=True)
        return self.start(
            name,
            "worker",
            "--name",
            name,
            "--state-dir",
            str(self.run.state / name),
            "--ready-file",
            str(self.run.ready_file(name)),
        )

    def wait_ready(self, number: int) -> None:
        """Until the worker's partitions are recovered."""
        name = f"worker-{number}"

        def ready() -> bool:
            assert self._processes[name].poll() is None, f"{name} ended: {self.log(name)[-3000:]}"
            return self.run.ready_file(name).exists()

        wait_until(f"{name} is ready", ready)

    def start_api(self) -> None:
        """Start the API, and wait until it answers."""
        process = self.start("api", "api")

        def ready() -> bool:
            assert process.poll() is None, self.log("api")[-3000:]
            try:
                with urllib.request.urlopen(f"{self.api}/readyz", timeout=2) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        wait_until("the API is ready", ready)

    def process(self, name: str) -> subprocess.Popen[bytes]:
        return self._processes[name]

    def check_alive(self, name: str) -> None:
        assert self._processes[name].poll() is None, f"{name} ended: {self.log(name)[-4000:]}"

    def log(self, name: str) -> str:
        return self.run.log_file(name).read_text(errors="replace")

    def kill(self, name: str) -> None:
        """kill -9."""
        self._processes[name].kill()
        self._processes[name].wait()

    def stop(self, name: str) -> int:
        """SIGTERM; the exit code. One that hangs says where its threads are."""
        process = self._processes[name]
        process.terminate()
        try:
            return process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # by PYTHONFAULTHANDLER, even where its loop stands still
            process.wait()
            raise AssertionError(f"{name} did not stop: {self.log(name)[-9000:]}") from None

    def restart_server(self, name: str, *, empty: bool) -> None:
        """Stop a server (kill -9), drop its data if so, and start it on the same port."""
        server = next(server for server in SERVERS if server.name == name)
        running = find(self.run, name)
        assert running is not None
        os.kill(running.process.pid, signal.SIGKILL)
        # A killed process may hold its port for a moment longer; the server would take another one.
        address = self._addresses[server.variable]
        port = urlsplit(address).port
        wait_until(f"{name} has let go of its port", lambda: find(self.run, name) is None and is_free(port))
        if empty:
            shutil.rmtree(self.run.data / name)
        assert start_server(self.run, server, address, default_ports=False) == address

    def frozen(self, name: str) -> AbstractContextManager[None]:
        """A server of this name takes connections and answers nothing while the block runs."""
        return frozen(self.run, name)

    def tell_where_workers_stand(self) -> None:
        """Have those that run write where each of their tasks waits, into their logs."""
        for name, process in self._processes.items():
            if name.startswith("worker") and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGUSR1)
        time.sleep(2)  # nothing tells that all is written

    def close(self) -> None:
        """End everything that was started."""
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self.disconnect()
        running = [found for server in SERVERS if (found := find(self.run, server.name))]
        stop(self.run, running, seconds_max=20)

    def token(self, *arguments: str) -> str:
        found = self.run_command("token", *arguments)
        found.check_returncode()
        return found.stdout.strip()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note a test that fails, for the fixtures that end behind it."""
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture
def deploy(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Deployment]]:
    """Makes deployments; on failure the ends of their logs are printed, and where their workers stand."""
    made: list[Deployment] = []

    def make(**settings: object) -> Deployment:
        made.append(Deployment(tmp_path / f"run-{len(made)}", **settings))  # type: ignore[arg-type]
        return made[-1]

    try:
        yield make
    finally:
        for deployment in made:
            if request.node.stash.get(_FAILED, False):
                deployment.tell_where_workers_stand()
            deployment.close()
            for log in sorted(deployment.run.root.glob("*.log")):
                if log.stem == "kafka":  # it writes warnings only
                    print(f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-40:], sep="\n")
                elif log.stem not in {"clickhouse", "redis"}:
                    text, _, stacks = log.read_text(errors="replace").partition("\nTHREAD ")
                    lines = [line for line in text.splitlines() if "[INFO] [^" not in line]
                    print(f"--- {log.name}", *lines[:60], *lines[60:][-60:], *told(stacks), sep="\n")

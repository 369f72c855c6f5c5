"""`python -m tests.kubernetes`: the containers of the chart, run as they are rendered, without a cluster. `make pods`.

Each pod is a process in namespaces of its own: user and group of the manifest, no capabilities, a root that can't be written to, its own `/tmp` and
volume, its secrets as files, its variables, arguments and probes. Kafka, Redis, ClickHouse and the Services are found by their names, on loopback of a
network that only these processes see. What a cluster does beside is not there: no scheduling, no policies, no image.

Prints what happened and how long it took; ends with 1 when anything did not. Needs root, for namespaces, and iproute2.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from config.settings import ROOT
from deploy.kubernetes.references import pods
from deploy.kubernetes.rendering import of, rendered
from stream_app.local.run_folder import RunFolder
from stream_app.local.servers import start_servers
from tests.support.waiting import wait_until

OBJECTS = rendered("least")
CONTAINERS = {c["name"]: (pod, c) for pod in pods(OBJECTS) for c in pod["spec"]["template"]["spec"]["containers"]}
SECRET = "a secret for a trial, long enough to be taken"
NAMES = ("localhost", "kafka", "redis", "clickhouse", *(one["metadata"]["name"] for one in of("Service", OBJECTS)))
ONE_BROKER = {"STREAM_APP_REPLICATION_FACTOR": "1"}
STAGES = {"redis", "clickhouse", "push"}
NOT_SHARED = {"tmp", "state", "run", "proc", "root", "home"}


class Pod:
    """A pod of one container. Its folders outlive its process, as they outlive a pod's containers."""

    def __init__(self, folder: Path, component: str, name: str) -> None:
        self.folder, self.name = folder / name, name
        self.pod, self.container = CONTAINERS[component]
        spec = self.pod["spec"]["template"]["spec"]
        self.grace_s = spec.get("terminationGracePeriodSeconds", 30)
        self.user = spec["securityContext"]["runAsUser"]
        for own in ("tmp", "state", "files"):
            (self.folder / own).mkdir(parents=True)
            os.chown(self.folder / own, self.user, self.user)
        (self.folder / "files" / "jwt_secret").write_text(SECRET)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start its container, or start it again."""
        root = self.folder / "root"
        variables = [f"{name}={value}" for name, value in self._environment().items()]
        arguments = [word.replace("$(POD_NAME)", self.name) for word in self.container["args"]]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "bash", "-ec", self._script(root), "pod", *variables, "stream-app", *arguments],
                stdout=log, stderr=log,
            )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for source in self.container.get("envFrom", ()):
            wanted = source["configMapRef"]["name"]
            found |= next(one["data"] for one in of("ConfigMap", OBJECTS) if one["metadata"]["name"] == wanted)
        found |= {variable["name"]: variable.get("value", self.name) for variable in self.container.get("env", ())}
        image = {
            "PATH": f"{Path(sys.prefix) / 'bin'}:/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONTZPATH": "",
        }
        return image | found | ONE_BROKER

    def _script(self, root: Path) -> str:
        """Bash that builds the pod's root, of the machine's programs and its own folders, and becomes the program in it."""
        lines = [f"mkdir -p {root}", f"mount -t tmpfs -o mode=755 tmpfs {root}"]
        for path in sorted(path for path in Path("/").iterdir() if path.name not in NOT_SHARED):
            if path.is_symlink():
                lines.append(f"ln -s {path.readlink()} {root}{path}")
            elif path.is_dir():
                lines.append(f"mkdir {root}{path}; mount --rbind {path} {root}{path}")
        mounts = {"tmp": "tmp", "state": "state", "run/crm-stats": "files"}
        lines += [f"mkdir -p {root}/{at}; mount --bind {self.folder / own} {root}/{at}" for at, own in mounts.items()]
        lines.append(f"mkdir {root}/proc; mount -t proc proc {root}/proc")
        needed = (Path(sys.base_prefix), ROOT)  # they may lie where others may not look, or below what is the pod's own
        lines += [f"mkdir -p {root}{path}; mount --bind {path} {root}{path}" for path in needed]
        lines += [f"mount -o remount,bind,ro {root}{path}" for path in (*needed, "/run/crm-stats", "")]
        user = f"setpriv --reuid {self.user} --regid {self.user} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all"
        return "; ".join([*lines, f'exec chroot {root} {user} env -i "$@"'])

    def is_ready(self) -> bool:
        """What its readiness probe says."""
        assert self.process is not None
        assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}: {self.log()}"
        probe = self.container["readinessProbe"]
        if "httpGet" in probe:
            return self.answers(probe["httpGet"]["path"])
        enter = [
            "nsenter",
            "--target",
            str(self.process.pid),
            "--mount",
            "--root",
            "setpriv",
            "--reuid",
            str(self.user),
        ]
        enter += ["--regid", str(self.user), "--clear-groups", *probe["exec"]["command"]]
        return subprocess.run(enter, capture_output=True, check=False).returncode == 0

    def answers(self, path: str) -> bool:
        """Whether its port answers a path."""
        (port,) = (port["containerPort"] for port in self.container["ports"])
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End its container by a signal, within its grace period."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(self.grace_s)

    def log(self) -> str:
        """The end of what it said."""
        return (self.folder / "log").read_text()[-3000:]


def trial(folder: Path) -> None:
    """All of it. `Raises` AssertionError with the first thing that is not as it must be."""
    topics, worker = Pod(folder, "topics", "topics"), Pod(folder, "worker", "crm-stats-worker-0")
    api, monitor = Pod(folder, "api", "api"), Pod(folder, "monitor", "monitor")
    topics.start()
    assert topics.process is not None
    assert topics.process.wait(120) == 0, topics.log()
    print("topics: the job has made them")
    for pod in (worker, api, monitor):
        pod.start()
        _told(f"{pod.name}: ready", lambda pod=pod: pod.is_ready())
        assert pod.answers("/metrics")
        if "livenessProbe" in pod.container:
            assert pod.answers(pod.container["livenessProbe"]["httpGet"]["path"])
    _told("the monitor's probe: in Redis, ClickHouse and a viewer's stream", lambda: _arrived() == STAGES)
    worker.end(signal.SIGKILL)
    worker.start()
    assert not worker.is_ready(), "by what the container before it wrote"
    _told(f"{worker.name}: killed, started again in its pod, and ready", worker.is_ready)
    for pod in (worker, api, monitor):
        began = time.monotonic()
        pod.end()
        print(f"{pod.name}: ended by SIGTERM after {time.monotonic() - began:.1f} s, of {pod.grace_s}")


def _told(what: str, condition: Any) -> None:
    began = time.monotonic()
    wait_until(what, condition)
    print(f"{what}, after {time.monotonic() - began:.1f} s", flush=True)


def _arrived() -> set[str]:
    (port,) = (port["containerPort"] for port in CONTAINERS["monitor"][1]["ports"])
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5) as answer:
        return {probe["stage"] for probe in orjson.loads(answer.read())["probes"] if probe["count"]}


def inside() -> int:
    """The trial, in namespaces that end with it."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="crm-stats-pods-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "hosts").write_text(f"127.0.0.1 {' '.join(NAMES)}\n")
        subprocess.run(["mount", "--bind", str(folder / "hosts"), "/etc/hosts"], check=True)
        (folder / "servers").mkdir()
        start_servers(RunFolder(folder / "servers", ROOT / ".run" / "lib"), {})
        try:
            trial(folder)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def main(words: Sequence[str]) -> int:
    """See the module."""
    if words == ["--inside"]:
        return inside()
    if os.getuid() or shutil.which("ip") is None:
        print("make pods needs root and ip (Debian: apt-get install iproute2)", file=sys.stderr)
        return 2
    spaces = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return subprocess.run(
        [*spaces, sys.executable, "-m", "tests.kubernetes", "--inside"], cwd=ROOT, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Starting and stopping processes of ours, with small real ones in place of workers and the API."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config import settings
from stream_app.local import downloads
from stream_app.local.certificates import java_options
from stream_app.local.errors import LocalError
from stream_app.local.ports import free_port, is_free
from stream_app.local.processes import find, start, stop
from stream_app.local.run_folder import RunFolder
from stream_app.local.stack import App, answers_http, down, start_apps, worker_ready

WORKER = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(f'{os.getpid()}\\n'); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
)
SERVER = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""

# Refuses what comes without the token, and has no data for the first two who ask with it.
ASKED = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        allowed = self.headers["Authorization"] == "Bearer secret"
        Answer.asked += allowed
        print(Answer.asked, flush=True)
        self.send_response(401 if not allowed else 503 if Answer.asked < 3 else 200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "run", tmp_path / "lib")
    yield folder
    down(folder)


def worker(run, name, note="1"):
    return App(name, [sys.executable, "-c", WORKER, run.ready_file(name)], note, worker_ready(run, name))


def up(run, *apps):
    start_apps(run, apps, env={}, cwd=run.root.parent)
    return {app.name: find(run, app.name).process.pid for app in apps}


def test_apps_are_ready_when_they_say_so(run):
    port = free_port()
    api = App("api", [sys.executable, "-c", SERVER, str(port)], "1", answers_http(f"http://127.0.0.1:{port}/readyz"))
    pids = up(run, worker(run, "worker-1"), worker(run, "worker-2"), api)
    assert run.ready_file("worker-2").read_text() == f"{pids['worker-2']}\n"
    assert not is_free(port)
    assert down(run) == ["api", "worker-1", "worker-2"]
    assert is_free(port)
    assert [path.suffix for path in run.root.iterdir() if path.suffix != ".log"] == []


def test_an_app_is_ready_when_it_has_an_answer_for_the_token(run):
    port = free_port()
    ready = answers_http(f"http://127.0.0.1:{port}/operators", "secret")
    up(run, App("api", [sys.executable, "-c", ASKED, str(port)], "1", ready))
    asked = [line for line in run.log_file("api").read_text().splitlines() if line.isdigit()]
    assert asked == ["1", "2", "3"]


def test_what_died_is_started_again_and_the_rest_left_alone(run):
    before = up(run, worker(run, "worker-1"), worker(run, "worker-2"))
    os.kill(before["worker-1"], signal.SIGKILL)
    psutil.wait_procs([psutil.Process(before["worker-1"])], timeout=10)
    after = up(run, worker(run, "worker-1"), worker(run, "worker-2"))
    assert after["worker-1"] != before["worker-1"]
    assert after["worker-2"] == before["worker-2"]


def test_what_died_and_was_started_again_is_no_zombie_after_stop(run):
    before = up(run, worker(run, "worker-1"))
    os.kill(before["worker-1"], signal.SIGKILL)
    while find(run, "worker-1"):
        time.sleep(0.01)
    up(run, worker(run, "worker-1"))
    assert psutil.pid_exists(before["worker-1"])
    down(run)
    assert not psutil.pid_exists(before["worker-1"])


def test_changed_settings_start_an_app_again(run):
    before = up(run, worker(run, "worker-1"))
    after = up(run, worker(run, "worker-1", note="2"))
    assert after != before
    assert not psutil.pid_exists(before["worker-1"])


def test_an_app_that_ends_while_starting_is_told_with_its_last_words(run):
    broken = App("worker-1", [sys.executable, "-c", "raise SystemExit('no such topic')"], "1", lambda: False)
    with pytest.raises(LocalError, match=r"worker-1 ended while starting; (.|\n)*no such topic"):
        up(run, broken)


def test_an_app_that_a_signal_ended_while_starting_is_told_so(run):
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(LocalError, match=r"^worker-1 ended while starting \(by SIGKILL\); "):
        up(run, App("worker-1", [sys.executable, "-c", crash], "1", lambda: False))


def test_a_pid_file_of_another_process_than_the_start_file_names_nobody(run):
    pids = up(run, worker(run, "worker-1"), worker(run, "worker-2"))
    run.pid_file("worker-1").write_text(f"{pids['worker-2']}\n")
    try:
        assert find(run, "worker-1") is None
    finally:
        run.pid_file("worker-1").write_text(f"{pids['worker-1']}\n")
    assert find(run, "worker-1").process.pid == pids["worker-1"]


def test_what_ignores_sigterm_is_killed(run):
    running = start(run, "stubborn", [sys.executable, "-c", STUBBORN], note="", env=os.environ, cwd=run.root.parent)
    while b"ready" not in run.log_file("stubborn").read_bytes():
        assert running.process.is_running()
    stop(run, [running], seconds_max=0.2)
    assert not psutil.pid_exists(running.process.pid)


def test_a_process_of_a_stack_survives_its_starter(run):
    running = start(run, "worker-1", [sys.executable, "-c", STUBBORN], note="", env=os.environ, cwd=run.root.parent)
    assert os.getsid(running.process.pid) == running.process.pid
    stop(run, [running], seconds_max=0.1)


def test_a_missing_program_is_one_clear_sentence(run):
    with pytest.raises(LocalError, match=r"^redis can't be started: /nowhere/redis: No such file or directory\.$"):
        start(run, "redis", ["/nowhere/redis"], note="", env={}, cwd=run.root.parent)


APT = """#!/bin/sh
echo "$*" >>{folder}/asked
case "$*" in
*indextargets*) echo "Debian http://mirror.example/debian/"; echo "Debian http://mirror.example/debian-security/" ;;
*SourceParts=/dev/null*simulate*) printf 'Inst libc6 (2.36)\\nInst libfoo1 (1.0)\\nInst clickhouse-server (18.16)\\n' ;;
*simulate*) echo "E: Unable to locate package clickhouse-server" >&2; exit 100 ;;
*download*) touch libfoo1.deb clickhouse-server.deb ;;
esac
for word in "$@"; do case "$word" in Dir::Etc::SourceList=*) cat "${{word#*=}}" >{folder}/sources ;; esac; done
"""
DPKG = """#!/bin/sh
case "$1" in --extract) echo "$(basename "$2")" >>{folder}/unpacked ;; esac
"""
DPKG_QUERY = "#!/bin/sh\necho libc6\n"


def test_what_a_debian_no_longer_has_comes_from_an_older_one_by_the_same_mirror(tmp_path, monkeypatch):
    for name, text in (("apt-get", APT), ("dpkg", DPKG), ("dpkg-query", DPKG_QUERY)):
        (program := tmp_path / name).write_text(text.format(folder=tmp_path))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (folder := tmp_path / "lib" / "it").mkdir(parents=True)
    with pytest.raises(LocalError, match=r"no package clickhouse-server here .*Unable to locate package"):
        downloads.debian_packages(["clickhouse-server"], folder)
    downloads.debian_packages(["clickhouse-server"], folder, "bookworm")
    assert (tmp_path / "sources").read_text() == "deb http://mirror.example/debian/ bookworm main\n"
    assert (tmp_path / "unpacked").read_text().split() == ["clickhouse-server.deb", "libfoo1.deb"]
    assert "download libfoo1 clickhouse-server" in (tmp_path / "asked").read_text()


def test_a_java_of_ours_trusts_what_the_machine_trusts(tmp_path, monkeypatch):
    """A proxy may sign with a certificate that only this machine knows."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the proxy")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (bundle := tmp_path / "bundle.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    store, password = (option.split("=", 1)[1] for option in java_options(tmp_path))
    keytool = downloads.java(settings.LIB).resolve().parent / "keytool"
    listed = subprocess.run(
        [keytool, "-list", "-keystore", store, "-storepass", password], capture_output=True, text=True, check=True
    )
    assert "trustedCertEntry" in listed.stdout
    fingerprint = signed.fingerprint(hashes.SHA256()).hex(":").upper()
    assert fingerprint in listed.stdout


def test_a_download_is_complete_or_absent(tmp_path):
    def broken(folder):
        (folder / "half").touch()
        raise LocalError("the line broke")

    with pytest.raises(LocalError, match="the line broke"):
        downloads.provide(tmp_path, "thing-1", broken)
    assert list(tmp_path.iterdir()) == []
    assert downloads.provide(tmp_path, "thing-1", lambda folder: (folder / "all").touch()).name == "thing-1"
    assert downloads.provide(tmp_path, "thing-1", broken) == tmp_path / "thing-1"


def test_a_child_does_not_keep_the_lock(run):
    code = "from stream_app.local.lock import alone; import sys, pathlib, subprocess\n"
    code += "from stream_app.local.run_folder import RunFolder\n"
    code += f"run = RunFolder(pathlib.Path({str(run.root)!r}), pathlib.Path({str(run.lib)!r}))\n"
    sleeper = "subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)"
    holder = f"{code}with alone(run): print({sleeper}.pid)"
    child = subprocess.run([sys.executable, "-c", holder], capture_output=True, text=True, check=True, timeout=20)
    try:
        subprocess.run([sys.executable, "-c", code + "with alone(run): pass"], check=True, timeout=20)
    finally:
        os.kill(int(child.stdout), signal.SIGKILL)


@pytest.mark.parametrize("secret", ["plain", "two words", "a#b # c", 'it\'s "quoted"', "back\\slash", "näme=x"])
def test_settings_read_each_value_that_up_wrote(run, monkeypatch, secret):
    """Whatever characters it holds, and readable by its owner only."""
    run.write_env({"STREAM_APP_JWT_SECRET": secret, "REDIS_URL": "redis://127.0.0.1:1/0"})
    assert run.read_env() == {"STREAM_APP_JWT_SECRET": secret, "REDIS_URL": "redis://127.0.0.1:1/0"}
    assert (run.root / "env").stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(settings, "RUN", run.root)
    loaded = settings.load()
    assert (loaded.jwt_secret.get_secret_value(), loaded.redis_url) == (secret, "redis://127.0.0.1:1/0")
    assert sorted(path.name for path in run.root.iterdir()) == ["env"]

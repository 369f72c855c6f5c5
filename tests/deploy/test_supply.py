"""What the service is made of: the list of it, and what is known against it, asked of a service of our own."""

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from config.settings import ROOT

LOCK = (ROOT / "requirements.lock").read_text()
BAD = {"id": "GHSA-0000", "affected": [{"package": {"name": "orjson", "ecosystem": "PyPI"}, "ranges": [
    {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}]}], "modified": "2026-11-01T00:00:00Z"}  # fmt: skip


@pytest.fixture
def advisories():
    """Runs the check on two packages of the lock file; knows one advisory of the packages named."""

    class Answer(BaseHTTPRequestHandler):
        bad: tuple[str, ...] = ()

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
            body = json.dumps({"vulns": [BAD]} if asked in self.bad else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def run(folder, packages, *, bad=(), port=None):
        Answer.bad = bad
        lock = folder / "requirements.lock"
        lock.write_text(packages)
        url = f"http://127.0.0.1:{port or server.server_port}/v1/query"
        program = (
            "import sys; sys.path.insert(0, 'deploy'); from pathlib import Path; import advisories;"
            "sys.exit(advisories.main([Path(sys.argv[1])], ['--osv-url', sys.argv[2]]))"
        )
        return subprocess.run(
            [sys.executable, "-c", program, str(lock), url], cwd=ROOT, capture_output=True, text=True, check=False,
            env=os.environ | {"NO_PROXY": "127.0.0.1"},
        )  # fmt: skip

    run.url = f"http://127.0.0.1:{server.server_port}/v1/query"
    yield run
    server.shutdown()
    server.server_close()


TWO = "".join(f"{name}==1.0 --hash=sha256:{'0' * 64}\n" for name in ("orjson", "msgspec"))


@pytest.mark.parametrize(
    ("bad", "code", "told"),
    [
        ((), 0, "requirements.lock: 2 packages were looked up, 0 advisories are known of them\n"),
        (
            ("orjson",),
            1,
            (
                "requirements.lock: orjson 1.0: GHSA-0000, mended by 99.1\n"
                "requirements.lock: 2 packages were looked up, 1 advisories are known of them\n"
            ),
        ),
    ],
)
def test_advisories_are_told_and_end_with_an_error(advisories, tmp_path, bad, code, told):
    done = advisories(tmp_path, TWO, bad=bad)
    assert (done.returncode, done.stdout) == (code, told), done.stderr


def test_the_command_looks_up_all_that_is_pinned(advisories, tmp_path):
    """As it is documented, on both lock files."""
    advisories(tmp_path, TWO)
    command = ["make", "advisories", f"ARGS=--osv-url {advisories.url}"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | {"NO_PROXY": "127.0.0.1"}
    )
    assert done.returncode == 0, done.stderr
    found = re.findall(
        r"^(\S+): (\d+) packages were looked up, 0 advisories are known of them$", done.stdout, re.MULTILINE
    )
    assert [name for name, _ in found] == ["requirements.lock", "requirements-dev.lock"]
    assert 50 < int(found[0][1]) < int(found[1][1])


def test_a_service_that_can_t_be_reached_is_said_and_is_no_clean_bill(advisories, tmp_path):
    done = advisories(tmp_path, TWO, port=1)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("requirements.lock: nothing was looked up, the advisories can't be reached: ")


def test_the_list_of_what_the_service_is_made_of_has_each_pinned_package():
    """By `make sbom`, as it is documented: name, version, hashes."""
    done = subprocess.run(["make", "sbom"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((ROOT / ".run" / "sbom.json").read_text())
    assert (found["bomFormat"], found["metadata"]["component"]["name"]) == ("CycloneDX", "crm-stats")
    pinned = {line.split("==")[0].split("[")[0] for line in LOCK.splitlines() if "==" in line and line[0].isalnum()}
    assert {component["name"] for component in found["components"]} == pinned
    assert all(component["externalReferences"][0]["hashes"] for component in found["components"])

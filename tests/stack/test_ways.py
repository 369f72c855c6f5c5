"""Where the programs of the local stack come from: each way alone, with stand-ins for the programs of the machine, a distribution, an archive and a Docker engine."""

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from config import settings
from config.settings import ROOT
from stream_app.local import clickhouse_server, kafka_server
from stream_app.local.errors import LocalError
from stream_app.local.ports import HOST, free_port
from stream_app.local.processes import stop
from stream_app.local.run_folder import RunFolder
from tests.support.secured import Authority
from tests.support.tls import tls_proxy

CLICKHOUSE = f"clickhouse-common-static-{clickhouse_server.VERSION}"
KAFKA = f"kafka_2.13-{kafka_server.VERSION}"
UV = os.environ.get("UV") or shutil.which("uv") or ROOT / ".run" / "tools" / "bin" / "uv"
# What the stack itself needs of a machine that has nothing.
TOOLS = ("sh", "cat", "basename", "mkdir", "touch", "dirname", "chmod")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine that has nothing: a function that gives it programs, shell scripts."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in TOOLS:
        (programs / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv("PATH", str(programs))
    for variable in ("JAVA_HOME", "UV"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(clickhouse_server.platform, "machine", lambda: "x86_64")

    def add(name, text, folder=programs):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
        return folder / name

    return add


@pytest.fixture
def site(monkeypatch):
    """Files by path, served to both makers' addresses; `site.asked` are the paths that were asked for."""

    class Files(dict):
        asked: list
        port: int

    files = Files()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            files.asked.append(self.path)
            body = files.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer((HOST, 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    files.asked, files.port = [], server.server_port
    for module in (clickhouse_server, kafka_server):
        monkeypatch.setattr(module, "_ARCHIVES", f"http://{HOST}:{server.server_port}")
    monkeypatch.setenv("NO_PROXY", HOST)
    yield files
    server.shutdown()
    thread.join()
    server.server_close()


def archive(files):
    """A tar archive of files by path."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            (info := tarfile.TarInfo(name)).size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def of_clickhouse(site, *, digest=None):
    """The makers publish a program; `digest`: another than it has."""
    path = f"/v{clickhouse_server.VERSION}-lts/{CLICKHOUSE}-amd64.tgz"
    site[path] = archive({f"{CLICKHOUSE}/usr/bin/clickhouse": b"the program", f"{CLICKHOUSE}/install/doinst.sh": b"no", "../out": b"no"})  # fmt: skip
    digest = digest or hashlib.sha512(site[path]).hexdigest()
    site[f"{path}.sha512"] = f"{digest}  {CLICKHOUSE}-amd64.tgz\n".encode()
    return path


@pytest.mark.parametrize(
    ("names", "words"),
    [(["clickhouse"], ["clickhouse", "server"]), (["clickhouse", "clickhouse-server"], ["clickhouse-server"])],
)
def test_a_clickhouse_on_the_path_comes_first(machine, site, tmp_path, names, words):
    for name in names:
        machine(name, "")
    program = clickhouse_server.install(tmp_path / "lib")
    assert program.command == [str(tmp_path / "bin" / words[0]), *words[1:]]
    assert site.asked == []


APT = """case "$*" in *simulate*) echo 'Inst clickhouse-server (18.16)' ;; *download*) touch clickhouse-server.deb ;; esac"""
DPKG = 'case "$1" in --extract) mkdir -p "$3/usr/sbin"; touch "$3/usr/sbin/clickhouse-server" ;; esac'


def test_then_the_distribution_s_package(machine, site, tmp_path):
    machine("apt-get", APT)
    machine("dpkg", DPKG)
    machine("dpkg-query", "")
    of_clickhouse(site)
    program = clickhouse_server.install(tmp_path / "lib")
    assert program.command == [str(tmp_path / "lib" / "clickhouse-18.16" / "usr" / "sbin" / "clickhouse-server")]
    assert "LD_LIBRARY_PATH" in program.env
    assert site.asked == []


def test_then_the_makers_own_program_once(machine, site, tmp_path):
    """Also where the distribution has no such package; and later it is there, so nothing is asked for."""
    machine("apt-get", 'echo "E: Unable to locate package" >&2; exit 100')
    machine("dpkg", "")
    path, lib = of_clickhouse(site), tmp_path / "lib"
    program = clickhouse_server.install(lib)
    assert program.command == [str(lib / f"clickhouse-{clickhouse_server.VERSION}" / "clickhouse"), "server"]
    assert (found := lib / f"clickhouse-{clickhouse_server.VERSION}" / "clickhouse").read_bytes() == b"the program"
    assert os.access(found, os.X_OK)
    assert [file.name for file in found.parent.iterdir()] == ["clickhouse"]
    assert site.asked == [f"{path}.sha512", path]
    machine("apt-get", "exit 9")
    assert clickhouse_server.install(lib) == program
    assert len(site.asked) == 2


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda site, _: of_clickhouse(site, digest="0" * 128), "does not agree with its checksum"),
        (lambda site, path: site.update({path: site[path] + b"more"}), "does not agree with its checksum"),
        (lambda site, path: site.update({f"{path}.sha512": b"<html>\n"}), r"the checksum of \S+ can't be read"),
        (lambda site, path: site.pop(f"{path}.sha512"), "could not be fetched"),
        (lambda site, path: site.pop(path), "could not be fetched"),
    ],
)
def test_what_does_not_agree_with_its_checksum_is_not_used(machine, site, tmp_path, spoil, why):
    spoil(site, of_clickhouse(site))
    with pytest.raises(LocalError, match=why):
        clickhouse_server.install(tmp_path / "lib")
    assert list((tmp_path / "lib").iterdir()) == []


def test_where_nothing_works_one_sentence_names_the_choices(machine, site, tmp_path):
    run = RunFolder(tmp_path / "run", tmp_path / "lib")
    with pytest.raises(LocalError) as clickhouse:
        clickhouse_server.launch(run, free_port())
    assert str(clickhouse.value).startswith(
        "There is no ClickHouse here to start: give CLICKHOUSE_URL, install ClickHouse so that `clickhouse` is on the PATH, "
        "or start a Docker engine (this system has no apt-get to fetch clickhouse-server by; http://"
    )
    with pytest.raises(
        LocalError, match=r"^There is no Kafka here to start: give KAFKA_BOOTSTRAP_SERVERS, install "
    ) as kafka:
        kafka_server.install(run.lib)
    assert all("\n" not in str(error.value) for error in (clickhouse, kafka))


DOCKER = """echo "$*" >>{folder}/asked
case "$1" in version|rm) exit 0 ;; esac
while [ "$1" != "{image}" ]; do shift; done
shift
exec {program} "$@"
"""


def test_then_a_docker_engine_which_is_stopped_like_any_program(machine, site, tmp_path):
    """A stand-in for its client, and a real ClickHouse, which it starts with what the image's program is told."""
    real = clickhouse_server.install(settings.LIB)
    words = " ".join([*(f"{name}={value}" for name, value in real.env.items()), *real.command])
    machine("docker", DOCKER.format(folder=tmp_path, image=clickhouse_server.IMAGE, program=f"env {words}").replace('"$@"', '"$2"'))  # fmt: skip
    machine("env", f'exec {shutil.which("env", path=os.defpath)} "$@"')
    run = RunFolder(tmp_path / "run", tmp_path / "lib")
    running = clickhouse_server.launch(run, port := free_port())
    try:
        assert clickhouse_server.answers(f"clickhouse://default@{HOST}:{port}")
    finally:
        stop(run, [running], seconds_max=20)
    asked, removed, started = (tmp_path / "asked").read_text().splitlines()
    assert asked == "version"
    name = removed.split()[-1]
    assert removed == f"rm --force {name}"
    assert started == (
        f"run --rm --name {name} --network host --user {os.getuid()}:{os.getgid()} --volume {run.root}:{run.root} --workdir {run.root} "
        f"--entrypoint clickhouse {clickhouse_server.IMAGE} server --config-file={run.conf}/clickhouse.xml"
    )


def test_kafka_by_a_docker_engine_is_told_the_same(machine, site, tmp_path):
    machine("docker", DOCKER.format(folder=tmp_path, image=kafka_server.IMAGE, program="false"))
    machine("false", "exit 1")
    run = RunFolder(tmp_path / "run", tmp_path / "lib")
    with pytest.raises(LocalError, match="Kafka's data folder can't be made"):
        kafka_server.launch(run, free_port())
    told = (tmp_path / "asked").read_text().splitlines()[-1]
    assert f"--entrypoint java {kafka_server.IMAGE} -cp /opt/kafka/libs/* " in told
    assert "kafka.tools.StorageTool format --cluster-id=" in told


@pytest.mark.parametrize(("version", "is_taken"), [("4.1.0", True), ("3.9.1", False)])
def test_a_kafka_on_the_path_comes_first_if_it_is_new_enough(machine, site, tmp_path, version, is_taken):
    home = tmp_path / "opt" / "kafka"
    script = machine("kafka-server-start.sh", "", home / "bin")
    (tmp_path / "bin" / script.name).symlink_to(script)
    (home / "libs").mkdir()
    (home / "libs" / f"kafka_2.13-{version}.jar").touch()
    if is_taken:
        assert kafka_server.install(tmp_path / "lib") == home / "libs"
    else:
        with pytest.raises(LocalError, match="There is no Kafka here"):
            kafka_server.install(tmp_path / "lib")


def test_kafka_s_archive_is_the_way_without_maven(machine, site, tmp_path):
    """Its checksum file has the name first, and the digest in groups."""
    site[path := f"/{kafka_server.VERSION}/{KAFKA}.tgz"] = archive(
        {f"{KAFKA}/libs/{KAFKA}.jar": b"the broker", f"{KAFKA}/bin/kafka-topics.sh": b"no"}
    )
    digest = hashlib.sha512(site[path]).hexdigest().upper()
    groups = " ".join(digest[at : at + 8] for at in range(0, 128, 8))
    site[f"{path}.sha512"] = f"{KAFKA}.tgz: {groups[:70]}\n {groups[70:]}\n".encode()
    jars = kafka_server.install(tmp_path / "lib")
    assert {jar.name: jar.read_bytes() for jar in jars.iterdir()} == {f"{KAFKA}.jar": b"the broker"}
    assert kafka_server.install(tmp_path / "lib") == jars
    assert len(site.asked) == 2


def test_a_proxy_s_own_certificate_is_trusted_as_the_machine_does(machine, site, tmp_path, monkeypatch):
    """By archives and by uv, where SSL_CERT_FILE names it; else nothing comes through."""
    authority = Authority(tmp_path / "ca")
    path = of_clickhouse(site)
    with tls_proxy(authority.issue("proxy"), site.port) as port:
        monkeypatch.setattr(clickhouse_server, "_ARCHIVES", f"https://{HOST}:{port}")
        monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", f"https://{HOST}:{port}")
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")

        def fetch_python():
            command = [UV, "python", "install", "--no-bin", "--install-dir", tmp_path / "python", "--cache-dir", tmp_path / "cache", "3.13"]  # fmt: skip
            env = {**os.environ, "UV_PYTHON_DOWNLOADS": "manual"}
            return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)

        with pytest.raises(LocalError, match=r"(?i)certificate"):
            clickhouse_server.install(tmp_path / "lib")
        assert fetch_python().returncode
        assert site.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        assert clickhouse_server.install(tmp_path / "lib").command[1:] == ["server"]
        assert site.asked == [f"{path}.sha512", path]
        fetch_python()  # nothing is there for it; that it asked is what the certificate decides
        assert site.asked[-1].startswith("/2")
        assert "cpython-3.13" in site.asked[-1]

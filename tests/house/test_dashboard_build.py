"""The dashboard as it is committed: built from the committed sources, small, and complete in itself."""

import gzip
import hashlib
import re
import shutil
import subprocess

import pytest

from config.settings import ROOT

FOLDER = ROOT / "stream_app" / "dashboard"
BUILT = FOLDER / "built"
BESIDE = ("build.js", "package-lock.json", "package.json", "tsconfig.json")
GZIPPED_BYTES_MAX = 150_000


def digest():
    """As build.js computes it."""
    names = [*BESIDE, *(str(path.relative_to(FOLDER)) for path in (FOLDER / "src").rglob("*") if path.is_file())]
    found = hashlib.sha256()
    for name in sorted(names):
        found.update(f"{name}\n".encode() + (FOLDER / name).read_bytes())
    return found.hexdigest()


def test_what_is_committed_was_built_from_the_committed_sources(tmp_path):
    said = re.search(r'<meta name="sources" content="(\w+)">', (BUILT / "index.html").read_text())[1]
    assert said == digest(), "make dashboard"
    if shutil.which("node") and (FOLDER / "node_modules").exists():
        subprocess.run(["node", "build.js", tmp_path], cwd=FOLDER, check=True)
        fresh = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        assert fresh == {path.name: path.read_bytes() for path in BUILT.iterdir()}


def test_it_is_small():
    assert sum(len(gzip.compress(path.read_bytes())) for path in BUILT.iterdir()) <= GZIPPED_BYTES_MAX


def test_nothing_in_it_is_of_another_host():
    for path in BUILT.iterdir():
        text = re.sub(r"/\*!.*?\*/", "", path.read_text(), flags=re.DOTALL)  # licences name their homes
        hosts = set(re.findall(r"https?://([^/\"'`\s)]+)", text))
        assert hosts <= {"www.w3.org"}, path.name  # names of XML, never fetched


@pytest.mark.parametrize(("name", "script"), [("index.html", "app.js"), ("ops.html", "ops.js")])
def test_a_page_has_no_script_and_no_style_of_its_own(name, script):
    page = (BUILT / name).read_text()
    assert "style=" not in page
    assert "<style" not in page
    assert re.findall(r"<script(.*?)>(.*?)</script>", page, re.DOTALL) == [(f' type="module" src="{script}"', "")]

"""Who may import whom; who must stay free of I/O, clocks and logging."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import ROOT

PURE = ("domain", "health", "formats", "ports", "sizing", "sources")
ALLOWED = {
    *(
        "abc",
        "array",
        "base64",
        "bisect",
        "collections",
        "contextlib",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fractions",
    ),
    *(
        "functools",
        "hashlib",
        "heapq",
        "importlib",
        "itertools",
        "json",
        "keyword",
        "math",
        "operator",
        "re",
        "statistics",
        "string",
        "struct",
    ),
    *("types", "typing", "tzdata", "unicodedata", "urllib", "zlib", "zoneinfo"),
    *("fastavro", "google", "iso4217", "msgspec", "orjson"),  # of google: Protobuf
    *("io", "uuid"),  # for BytesIO, and UUIDs of bytes
}
CLOCKS = {"now", "today", "utcnow"}
IO = {"open", "print", "input"}  # the functions; .open() of package data is no more than a constant


def imported(tree):
    """The modules that a source imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def impure(source):
    """What in this source is not pure: modules and calls."""
    tree = ast.parse(source)
    for module in imported(tree):
        if module.split(".")[0] not in ALLOWED and not module.startswith(tuple(f"stream_app.{room}" for room in PURE)):
            yield module
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=name)) if name in CLOCKS:
                yield f"{name}()"
            case ast.Call(func=ast.Name(id=name)) if name in IO:
                yield f"{name}()"


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "import logging",
        "from asyncio import sleep",
        "datetime.now(UTC)",
        "open('x')",
        "import stream_app.kafka",
    ],
)
def test_what_is_impure_is_seen(source):
    assert list(impure(source))


@pytest.mark.parametrize("room", PURE)
def test_a_pure_room_has_no_io_no_clock_no_logging(room):
    modules = list((ROOT / "stream_app" / room).rglob("*.py"))
    assert modules
    found = {str(path.relative_to(ROOT)): list(impure(path.read_text())) for path in modules}
    assert {name: what for name, what in found.items() if what} == {}


def lint(folder):
    """(whether all contracts hold, what lint-imports says)."""
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache", "--no-logo"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},  # before what is installed, which is the checkout
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0, done.stdout


def test_imports_go_one_way():
    kept, said = lint(ROOT)
    assert kept, said


@pytest.fixture
def copy(tmp_path):
    """The modules of the checkout, and its contracts."""
    for package in ("agents", "bench", "config", "stream_app", "tables", "tests"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=_no_module)
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def _no_module(folder, names):
    """What in a folder is neither a module nor a folder of modules."""
    folders = {name for name in names if Path(folder, name).is_dir()} - {"__pycache__", "node_modules"}
    return [name for name in names if not name.endswith(".py") and name not in folders]


@pytest.mark.parametrize(
    ("module", "text", "sentence"),
    [
        ("stream_app/cellar/__init__.py", "", "stream_app.cellar"),
        ("tests/cellar/test_cellar.py", "", "tests.cellar"),
        ("bench/cellar.py", "import tests.support.waiting", "bench.cellar -> tests.support.waiting"),
        ("stream_app/domain/cellar.py", "import bench.meter", "stream_app.domain.cellar -> bench.meter"),
        ("tests/sinks/cellar.py", "import tests.api.real", "tests.sinks.cellar -> tests.api.real"),
        ("bench/stack.py", "import bench.meter", "No cycles are allowed in bench."),
    ],
)
def test_a_room_that_is_not_listed_and_an_arrow_that_runs_back_fail(copy, module, text, sentence):
    path = copy / module
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    kept, said = lint(copy)
    assert not kept
    assert sentence in " ".join(said.split())

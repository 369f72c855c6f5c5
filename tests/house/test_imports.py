"""Who may import whom; who must stay free of I/O, clocks and logging."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import ROOT

PURE = ("domain", "health", "formats", "ports", "sources")
ALLOWED = {
    *(
        "abc",
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
        "math",
        "operator",
        "re",
        "statistics",
        "string",
        "struct",
    ),
    *("types", "typing", "unicodedata", "urllib", "zlib", "zoneinfo"),
    *("iso4217", "msgspec", "orjson"),
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


def test_imports_go_one_way():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout

"""The pages that people read, and what stands in them."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from config.settings import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = ("stream-app", ".venv/bin/stream-app")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ASSIGNMENT = re.compile(r"[A-Z_]+=")
_HERE = Path(sys.executable).parent  # our programs, as .venv/bin has them
_MAKE, _OURS = re.compile(r"(?<![\w./-])make(?= )"), re.compile(r"(?<![\w./-])(?:\.venv/bin/)?stream-app(?= )")
_OF_MAKE = (
    "MAKEFLAGS",
    "MFLAGS",
    "MAKELEVEL",
)  # of the make that may run these tests: its variables would be those of what is typed


class Command(NamedTuple):
    """A line that the reader is told to type. `line` is whole, `words` begin with the program."""

    page: str
    line: str
    words: list[str]


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of these languages."""
    return blocks_of(page.read_text(), *languages)


def blocks_of(text: str, *languages: str) -> list[str]:
    """The same of a part of a page."""
    return [block for language, block in fences(text) if language in languages]


def fences(text: str) -> list[tuple[str, str]]:
    """All fenced blocks of a page or a part of one, in order: language and text."""
    return _FENCE.findall(text)


def lines(page: Path) -> list[str]:
    """Lines to type: all of a sh block, those with a prompt of a console block."""
    typed = [line for block in blocks(page, "sh") for line in block.splitlines()]
    typed += [line[2:] for block in blocks(page, "console") for line in block.splitlines() if line.startswith("$ ")]
    return [line for line in typed if line.strip()]


def commands(page: Path) -> list[Command]:
    """The lines to type, without assignments before the program; `NAME=$(program …)` is that program."""
    found = []
    for line in lines(page):
        inner = re.fullmatch(r"[A-Z_]+=\$\((.*)\)", line)
        words = shlex.split(inner[1] if inner else line)
        while words and _ASSIGNMENT.match(words[0]):
            words = words[1:]
        found.append(Command(page.name, line, words))
    return found


def prose(page: Path) -> str:
    """What is not inside a block."""
    return _FENCE.sub("", page.read_text())


def section(page: Path, heading: str) -> str:
    """What stands under a heading of the second level."""
    return page.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def type_line(
    line: str, env: dict[str, str], cwd: Path = ROOT, programs: Path = _HERE, **user: Any
) -> "subprocess.CompletedProcess[str]":
    """Type a line of a page in a folder that looks like the checkout; `env` is added to the environment, without settings of ours.

    `programs`: the folder of stream-app and its Python; `user`: as subprocess has it.
    """
    typed = _MAKE.sub(f"make --no-print-directory -C {shlex.quote(str(ROOT))} BIN={shlex.quote(str(programs))}", line)
    typed = _OURS.sub(shlex.quote(str(programs / "stream-app")), typed)
    whole = {k: v for k, v in os.environ.items() if not k.startswith("STREAM_APP_")} | env
    for name in _OF_MAKE:
        whole.pop(name, None)
    return subprocess.run(
        ["bash", "-euc", typed], cwd=cwd, env=whole, capture_output=True, text=True, check=False, timeout=300, **user
    )


def run_script(name: str, *arguments: str, code: str = "") -> "subprocess.CompletedProcess[str]":
    """Runs a script of `docs/`, which writes pages or files there, after some code, from a folder elsewhere."""
    script = ROOT / "docs" / name
    whole = f"import runpy, sys\nsys.path.insert(0, {str(ROOT)!r})\n{code}\nrunpy.run_path({str(script)!r}, run_name='__main__')"
    command = [sys.executable, "-c", whole, *arguments]
    return subprocess.run(command, cwd=Path("/"), capture_output=True, text=True, timeout=120, check=False)

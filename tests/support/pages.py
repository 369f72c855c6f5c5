"""The pages that people read, and what stands in them."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from config.settings import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = ("stream-app", ".venv/bin/stream-app")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ASSIGNMENT = re.compile(r"[A-Z_]+=")


class Command(NamedTuple):
    """A line that the reader is told to type. `line` is whole, `words` begin with the program."""

    page: str
    line: str
    words: list[str]


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of these languages."""
    return [text for language, text in _FENCE.findall(page.read_text()) if language in languages]


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


def run_script(name: str, *arguments: str, code: str = "") -> "subprocess.CompletedProcess[str]":
    """Runs a script of `docs/`, which writes pages or files there, after some code, from a folder elsewhere."""
    script = ROOT / "docs" / name
    whole = f"import runpy, sys\nsys.path.insert(0, {str(ROOT)!r})\n{code}\nrunpy.run_path({str(script)!r}, run_name='__main__')"
    command = [sys.executable, "-c", whole, *arguments]
    return subprocess.run(command, cwd=Path("/"), capture_output=True, text=True, timeout=120, check=False)

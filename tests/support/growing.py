"""The lists of CONTRIBUTING.md, and copies of the checkout in which somebody did what they say."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

from config.settings import ROOT
from tests.support.pages import section

CONTRIBUTING = ROOT / "CONTRIBUTING.md"
LISTS = FIGURE, TABLE, SOURCE_TOPIC = "Add a figure", "Add a table", "Add a source topic"
_ITEM = re.compile(r"^\d+\. `([^`]+)`:.*?\n\n   ```(\w+)\n(.*?)^   ```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"^\d+\. ", re.MULTILINE)


class Step(NamedTuple):
    """An item of a list: what to write in a file. `language` is diff for one that is there, else that of the whole file."""

    file: str
    language: str
    text: str


def steps(heading: str) -> list[Step]:
    """The items of a list, in order; each must have a file and a block."""
    text = section(CONTRIBUTING, heading)
    found = [Step(file, language, textwrap.dedent(block)) for file, language, block in _ITEM.findall(text)]
    assert len(found) == len(_NUMBER.findall(text)) > 0, heading
    return found


def changed(before: str, diff: str) -> str:
    """A text with a diff done, whose hunks are apart by `@@` and stand where their old lines are, which must be one place."""
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines()
        assert {line[:1] for line in lines} <= {" ", "-", "+"}, hunk
        old, new = ("".join(f"{line[1:]}\n" for line in lines if line[0] in signs) for signs in (" -", " +"))
        assert before.count(old) == 1, f"stands {before.count(old)} times:\n{old}"
        before = before.replace(old, new)
    return before


class Copy:
    """A copy of what git tracks of the checkout, with its environment and downloads. `env`: of processes that run the copy's modules."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
        for name in filter(None, tracked.decode().split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        (folder / ".venv").symlink_to(Path(sys.prefix))
        (folder / ".run").mkdir()
        (folder / ".run" / "lib").symlink_to(ROOT / ".run" / "lib")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("STREAM_APP_")}
        self.env["PYTHONPATH"] = str(folder)

    def do(self, heading: str) -> None:
        """Do what a list says."""
        for step in steps(heading):
            file = self.root / step.file
            assert (step.language == "diff") == file.exists(), step.file
            file.write_text(changed(file.read_text(), step.text) if step.language == "diff" else step.text)

    def write_docs(self) -> None:
        """What `make docs` does."""
        self.run("make", "-o", ".venv/development", "docs")

    def python(self, code: str, env: dict[str, str] | None = None) -> str:
        """What Python code that imports the copy's modules prints."""
        return self.run(sys.executable, "-c", code, env=env)

    def run(self, *command: str, env: dict[str, str] | None = None) -> str:
        """What a command prints that runs in the copy, and must succeed."""
        ran = subprocess.run(
            command, cwd=self.root, env={**self.env, **(env or {})}, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-3000:]
        return ran.stdout

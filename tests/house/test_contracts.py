"""docs/contracts is what the code says."""

import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import ROOT


def contract_files(*arguments, code=""):
    """Runs the script that writes docs/contracts, after some code."""
    script = ROOT / "docs" / "contract_files.py"
    whole = f"import runpy, sys\nsys.path.insert(0, {str(ROOT)!r})\n{code}\nrunpy.run_path({str(script)!r}, run_name='__main__')"
    command = [sys.executable, "-c", whole, *arguments]
    return subprocess.run(command, cwd=Path("/"), capture_output=True, text=True, timeout=120, check=False)


def test_the_contracts_are_as_the_code_is():
    done = contract_files("--check")
    assert done.returncode == 0, done.stderr


CHANGED = {
    "a figure": """
from stream_app.domain import figures
figures.FIGURES = figures.FIGURES[:-1]
""",
    "a table": """
from stream_app.domain import tables
tables.TABLES = tables.TABLES[:1]
""",
    "a field of a source event": """
import msgspec
from stream_app.sources import canonical
canonical.GroupName = msgspec.defstruct("GroupName", [("operator_id", str)])
""",
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_change_that_the_contracts_lack_is_seen(what):
    done = contract_files("--check", code=CHANGED[what])
    assert done.returncode == 1
    assert done.stderr.endswith("not as the code is: make docs\n")

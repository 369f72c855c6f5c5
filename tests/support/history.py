"""Trees of the repository's history."""

import subprocess
from pathlib import Path

from config.settings import ROOT


def unpack(commit: str, to: Path, *folders: str) -> None:
    """The tree of a commit, or some folders of it, in this folder."""
    done = subprocess.run(
        ["git", "archive", "--format=tar", commit, *folders], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0, f"the whole history is needed (git fetch --unshallow): {done.stderr.decode()}"
    to.mkdir(exist_ok=True)
    # By tar itself: tarfile's filters came with 3.11.4, and Debian 12 has 3.11.2.
    subprocess.run(["tar", "--extract", "--directory", str(to)], input=done.stdout, check=True)

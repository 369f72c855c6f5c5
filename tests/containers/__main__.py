"""`python -m tests.containers`: the images built, and compose.yaml run with them, on an engine of its own; what came of it as a table.

Images are built on the machine's network; the stack then runs in a network of its own, so that its ports are free whatever else runs.
Ends with 1 when anything was wrong. Images stay in .run/containers for the next run.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.containers import images
from tests.containers.engine import HOME, ON_THE_MACHINE, engine, missing, namespaces
from tests.containers.proof import Proof

COMMIT = "8ca9cbc"  # of the older version: it writes formats of its own
MEGABYTES_MAX = 350
FOUND = HOME / "found.json"


def main(words: Sequence[str]) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="make containers", description="ARGS of make containers")
    parser.add_argument("--older", default=COMMIT, metavar="COMMIT", help="the version that is replaced (%(default)s)")
    parser.add_argument("--inside", choices=("build", "run"), help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    if asked.inside == "build":
        return _build(asked.older)
    if asked.inside == "run":
        return _run()
    if lacking := missing():
        print(f"make containers needs {', '.join(lacking)}", file=sys.stderr)
        return 2
    FOUND.unlink(missing_ok=True)
    for inside in ("build", "run"):
        command = [sys.executable, "-m", "tests.containers", "--inside", inside, "--older", asked.older]
        if code := subprocess.run(namespaces(command, alone=inside == "run"), check=False).returncode:
            return code
    _show(json.loads(FOUND.read_text()))
    return 0


def _build(older: str) -> int:
    with engine(*ON_THE_MACHINE) as ours:
        began = time.monotonic()
        images.provide(ours, older, _say)
        sizes = {name: images.megabytes(ours, name) for name in (images.TODAY, images.OLDER, images.BASE)}
        FOUND.write_text(json.dumps({"sizes": sizes, "built_s": time.monotonic() - began}))
    if sizes[images.TODAY] > MEGABYTES_MAX:
        print(
            f"make containers: the image has {sizes[images.TODAY]:.0f} MB, more than {MEGABYTES_MAX}", file=sys.stderr
        )
        return 1
    return 0


def _run() -> int:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with engine() as ours:
        proof = Proof(ours, _say)
        proof.run()
    FOUND.write_text(json.dumps(json.loads(FOUND.read_text()) | {"steps": proof.steps}))
    return 0


def _show(found: dict) -> None:
    table = Table("what", "")
    for name, size in found["sizes"].items():
        table.add_row(f"image {name}", f"{size:.0f} MB")
    table.add_row("images built", f"{found['built_s']:.0f} s")
    for name, took_s in found["steps"]:
        table.add_row(name, f"{took_s:.1f} s")
    Console().print(table)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

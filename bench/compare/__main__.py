"""`python -m bench.compare`: run the cases and write the page. Ends with 1 when our monitor was wrong anywhere."""

import argparse
import sys
from pathlib import Path

from bench import apart  # noqa: F401  # first
from bench.compare.page import problems, put, section
from bench.compare.run import Program, run
from config.settings import ROOT
from stream_app.local.errors import LocalError


def _program(text: str) -> Program:
    version, _, path = text.partition("=")
    if not path or not Path(path).is_file():
        raise argparse.ArgumentTypeError("must be VERSION=PATH of a program")
    return Program(version, Path(path).resolve())


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare")
    parser.add_argument("--burrow", type=_program, metavar="VERSION=PATH", help="a Burrow of yours, beside Debian's")
    parser.add_argument(
        "--page", type=Path, default=ROOT / "docs" / "operations.md", help="where the result is written"
    )
    arguments = parser.parse_args()
    try:
        found = run(arguments.burrow)
    except LocalError as error:
        print(f"compare: {error}", file=sys.stderr)
        return 1
    put(arguments.page, section(found, arguments.burrow))
    wrong = problems(found)
    for problem in wrong:
        print(f"compare: {problem}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

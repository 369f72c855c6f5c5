"""Rows of reading source records: what bench/sources.py prints, in a process of its own."""

import re
import subprocess
import sys
from pathlib import Path

from bench.context import Context, Row, say
from config.settings import ROOT
from stream_app.local.errors import LocalError

_LINE = re.compile(r"(.+?) +([\d,]+) records per CPU-second")


def rows(ctx: Context) -> list[Row]:
    """A row a kind of traffic."""
    del ctx
    say("sources: reading records, without Kafka")
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("sources.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    found = [match for line in done.stdout.splitlines() if (match := _LINE.fullmatch(line))]
    if done.returncode or not found:
        raise LocalError(f"sources: nothing was measured: {done.stderr[-500:]}")
    how = "bytes to rows or rejections, median of batches"
    return [Row("sources", f"decode {match[1]}", f"{match[2]} records/CPU-s", how) for match in found]

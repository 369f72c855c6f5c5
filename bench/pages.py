"""Pages of docs that runs write into: between two marks, so that what people wrote around them stays as it is."""

import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import psutil

from config.settings import ROOT
from stream_app.local import kafka_server


def put(page: Path, text: str, begin: str, end: str) -> None:
    """Replace what stands between the marks, which the page must have."""
    before, rest = page.read_text().split(begin)
    _, after = rest.split(end)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown; all columns but the first are numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def measured_on() -> str:
    """When, on which commit and machine."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = psutil.virtual_memory().total >> 30
    return (
        f"Measured {datetime.now(UTC):%Y-%m-%d} at commit `{commit}`, one at a time, servers on the same machine: {psutil.cpu_count()} cores of {cpu}, "
        f"{memory} GiB, {platform.system()} {platform.release()}, Python {platform.python_version()}, Kafka {kafka_server.VERSION}; load {psutil.getloadavg()[0]:.1f} at the end."
    )

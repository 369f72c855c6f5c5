"""The file of costs: parts of it are replaced, with where and when they were measured, and docs/sizing.md is written anew."""

import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil

from config.settings import ROOT
from stream_app.local import kafka_server
from stream_app.sizing.costs import FILE, Costs, Curve, Measurement

_MEASURED: Final = ("agents", "config", "tables", "stream_app", ":!stream_app/cli", ":!stream_app/sizing")
PATH: Final = ROOT / "stream_app" / "sizing" / FILE


def measurement(data: str) -> Measurement:
    """Here and now. The commit is the last that changed what is measured."""
    command = ["git", "log", "-1", "--format=%h", "--", *_MEASURED]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    cpu = models[0].split(":", 1)[1].strip() if models else platform.machine()
    machine = (
        f"{psutil.cpu_count()} cores of {cpu}, {psutil.virtual_memory().total >> 30} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, Kafka {kafka_server.VERSION}, servers beside it; load {psutil.getloadavg()[0]:.1f} at the end"
    )
    return Measurement(f"{datetime.now(UTC):%Y-%m-%d}", commit, machine, data)


def put(**parts: Any) -> None:
    """Replace parts, and write the page."""
    kept = msgspec.json.decode(PATH.read_bytes()) if PATH.exists() else {"curves": {}}
    _write(kept | parts)


def put_curve(curve: Curve) -> None:
    """Replace one curve."""
    kept = msgspec.json.decode(PATH.read_bytes())
    _write(kept | {"curves": kept["curves"] | {curve.name: curve}})


def _write(parts: dict[str, Any]) -> None:
    PATH.write_bytes(msgspec.json.format(msgspec.json.encode(parts), indent=1) + b"\n")
    if parts.keys() >= set(Costs.__struct_fields__):
        _write_page()


def _write_page() -> None:
    subprocess.run([sys.executable, "docs/sizing_page.py"], cwd=ROOT, check=True)

"""The chart as Helm renders it, kept in rendered/: what is to be looked at, and tested, without Helm.

A file begins with a digest of all that it is made from. So a test sees one that is older than the chart; the check writes it anew.
"""

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

FOLDER: Final = Path(__file__).resolve().parent
CHART: Final = FOLDER / "chart"
RENDERED: Final = FOLDER / "rendered"
EXAMPLES: Final = ("least", "everything")
RELEASE: Final = "crm-stats"
KUBE_VERSION: Final = "1.30.0"

Manifest = dict[str, Any]


def digest(example: str) -> str:
    """Of all that an example is rendered from."""
    made_from = [
        CHART / "Chart.yaml",
        CHART / "values.yaml",
        *sorted((CHART / "templates").iterdir()),
        FOLDER / f"{example}.yaml",
    ]
    texts = [f"{path.name}\n{path.read_text()}" for path in made_from]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def template(helm: Path, *values: Path) -> "subprocess.CompletedProcess[str]":
    """Helm's manifests of the chart with these values."""
    options = [word for file in values for word in ("--values", str(file))]
    command = [
        str(helm),
        "template",
        RELEASE,
        str(CHART),
        "--namespace",
        "crm",
        "--kube-version",
        KUBE_VERSION,
        *options,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def header(example: str) -> str:
    """The first lines of a rendered file."""
    return f"# Written by `make kubernetes`: the chart with {example}.yaml, as Helm renders it.\n# digest: {digest(example)}\n"


def manifests(text: str) -> list[Manifest]:
    """The objects in a text of YAML."""
    return [one for one in yaml.safe_load_all(text) if one]


def rendered(example: str) -> list[Manifest]:
    """The objects of a rendered file."""
    return manifests((RENDERED / f"{example}.yaml").read_text())


def of(kind: str, objects: Sequence[Manifest]) -> list[Manifest]:
    """Those of a kind."""
    return [one for one in objects if one["kind"] == kind]

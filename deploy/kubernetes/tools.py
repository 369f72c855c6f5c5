"""What the check of the chart needs and the checkout does not have: Helm, and the published schemas. Fetched into .run/kubernetes as Go modules.

Versions are pinned here; Go checks what it fetches against its checksum database. Nothing here looks at the chart.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
HOME: Final = ROOT / ".run" / "kubernetes"
HELM: Final = "helm.sh/helm/v3/cmd/helm@v3.22.0"
# The oldest that Chart.yaml promises, and the newest that was there.
KUBERNETES: Final = ("v1.30.0", "v1.37.2")
KEDA: Final = "github.com/kedacore/keda/v2@v2.21.0"
PROMETHEUS_OPERATOR: Final = "github.com/prometheus-operator/prometheus-operator@v0.85.0"


class ToolError(Exception):
    """What is missing, and what to do: one sentence."""


def helm() -> Path:
    """Helm: the machine's, or one that is built here, once, in some minutes."""
    if found := shutil.which("helm"):
        return Path(found)
    built = HOME / "bin" / "helm"
    if not built.exists():
        print(f"Building {HELM} into {built.relative_to(ROOT)}, once: some minutes", file=sys.stderr)
        _go("install", HELM)
    return built


def openapi(version: str) -> Path:
    """Kubernetes' OpenAPI document of a version."""
    return _module(f"k8s.io/kubernetes@{version}") / "api" / "openapi-spec" / "swagger.json"


def custom_resources() -> list[Path]:
    """The definitions of the custom resources that the chart writes."""
    keda = _module(KEDA) / "config" / "crd" / "bases" / "keda.sh_scaledobjects.yaml"
    folder = _module(PROMETHEUS_OPERATOR) / "example" / "prometheus-operator-crd"
    return [keda, folder / "monitoring.coreos.com_servicemonitors.yaml"]


def _module(name: str) -> Path:
    """The folder of a Go module at a version, fetched once."""
    folder = HOME / "go" / name
    if not folder.exists():
        print(f"Fetching {name}", file=sys.stderr)
        return Path(json.loads(_go("mod", "download", "-json", name))["Dir"])
    return folder


def _go(*arguments: str) -> str:
    program = shutil.which("go")
    if program is None:
        raise ToolError(
            "Go is missing: the schemas, and Helm where it is missing, are Go modules. Install Go 1.26 or newer."
        )
    HOME.mkdir(parents=True, exist_ok=True)
    where = {"GOMODCACHE": str(HOME / "go"), "GOBIN": str(HOME / "bin"), "GOFLAGS": "-modcacherw"}
    done = subprocess.run(
        [program, *arguments], cwd=HOME, env=os.environ | where, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ToolError(f"go {' '.join(arguments)} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout

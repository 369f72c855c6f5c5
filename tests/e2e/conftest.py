"""A deployment of its own for each test, ended whatever happens."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.deployment import Deployment


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Callable[..., Deployment]]:
    """Makes deployments; on failure the ends of their logs are printed."""
    made: list[Deployment] = []

    def make(**settings: object) -> Deployment:
        made.append(Deployment(tmp_path / f"run-{len(made)}", **settings))  # type: ignore[arg-type]
        return made[-1]

    try:
        yield make
    finally:
        for deployment in made:
            deployment.close()
            for log in sorted(deployment.run.root.glob("*.log")):
                if log.stem not in {"kafka", "clickhouse", "redis"}:
                    lines = [line for line in log.read_text(errors="replace").splitlines() if "[INFO] [^" not in line]
                    print(f"--- {log.name}", *lines[:60], *lines[60:][-60:], sep="\n")

"""Writes docs/contracts/ from the types and tables of the code: JSON Schemas, AsyncAPI, OpenAPI. `make docs`; a test of the house calls --check.

A file that the code no longer makes is removed. What lies in `released` is not touched: see docs/contract_changes.py.
"""

import json
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from config.settings import Settings  # noqa: E402  # after the path that it is found on
from docs.contract_asyncapi import asyncapi  # noqa: E402
from stream_app.api.asking.windows import Retention  # noqa: E402
from stream_app.api.description.reference import document  # noqa: E402
from stream_app.contracts.results import as_of_schema, letter_schema, record_schema  # noqa: E402
from stream_app.contracts.sources import source_schema  # noqa: E402
from stream_app.domain.tables import TABLES  # noqa: E402
from stream_app.sources.registry import TEAMS  # noqa: E402

FOLDER: Final = ROOT / "docs" / "contracts"
# By default: a stack of this checkout may have other ports.
_SETTINGS: Final = Settings(**tomllib.loads((ROOT / "config" / "defaults.toml").read_text()))
_VERSION: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def sources() -> Mapping[str, Any]:
    """File -> schema, of the topics of our own contract. Other source topics have the form of whoever designed it."""
    names = {_SETTINGS.source_topic(topic.name): topic for topic in TEAMS if topic.number == 0}
    return {f"{name}.json": source_schema(topic, name) for name, topic in names.items()}


def results() -> Mapping[str, Any]:
    """File -> schema, of values that others read; of dead letters the headers."""
    tables = {f"{_SETTINGS.result_topic(table.name)}.json": record_schema(table) for table in TABLES}
    others = {_SETTINGS.topic_as_of: as_of_schema(), _SETTINGS.topic_dead_letters: letter_schema()}
    return tables | {f"{name}.json": schema for name, schema in others.items()}


def openapi() -> Any:
    """The HTTP interface, as it describes itself at /openapi.json."""
    retention = Retention(_SETTINGS.retention_months, _SETTINGS.distribution_days)
    return json.loads(document(_VERSION, retention, TABLES))


def written() -> dict[Path, str]:
    """Each file and its text."""
    titles = {name.removesuffix(".json"): schema["title"] for name, schema in sources().items()}
    interfaces = {"asyncapi.json": asyncapi(_SETTINGS, _VERSION, titles), "openapi.json": openapi()}
    files = {**sources(), **results(), **interfaces}
    return {FOLDER / name: json.dumps(made, indent=2, ensure_ascii=False) + "\n" for name, made in files.items()}


if __name__ == "__main__":
    files = written()
    there = {path: path.read_text() for path in FOLDER.glob("*.json")}
    if "--check" in sys.argv:
        old = sorted(path.name for path in {*files, *there} if files.get(path) != there.get(path))
        sys.exit(f"docs/contracts: {', '.join(old)} not as the code is: make docs" if old else None)
    FOLDER.mkdir(exist_ok=True)
    for path in there.keys() - files:
        path.unlink()
    for path, text in files.items():
        path.write_text(text)

"""Writes what the chart knows of settings into its schema, and the table of values in docs/kubernetes.md from the schema. `make docs`; a test of the house calls --check.

Which settings are secrets or paths of files, and which the chart gives itself, follows from config/settings.py and stands nowhere else.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "kubernetes.md"
CHART = ROOT / "deploy" / "kubernetes" / "chart"
SCHEMA = CHART / "values.schema.json"
sys.path.insert(0, str(ROOT))

from config.settings import Settings, secret_names  # noqa: E402  # after the path that it is found on

# What the chart gives each program, so that ports, probes and policies agree.
GIVEN: Final = frozenset(
    {
        "api_host",
        "api_port",
        "monitor_host",
        "monitor_port",
        "worker_metrics_host",
        "worker_metrics_port",
        "state_dir",
        "sources_dir",
        "tracing",
    }
)
# Addresses that may hold a password, so that they may be secrets, too.
ADDRESSES: Final = ("redis_url", "clickhouse_url")
_NO_PASSWORD: Final = "^[a-z+]+://([^:@/]*@)?[^@]*$"  # noqa: S105  # of addresses that are no secrets
_PROGRAMS: Final = ("worker", "api", "monitor", "topics", "rebuild")
_SHARED: Final = ("settings", "secrets", "files", "resources", "scheduling", "podAnnotations")
_REGION: Final = re.compile(r"(<!-- values: written by make docs -->\n).*?(<!-- end -->\n)", re.DOTALL)


def files() -> list[str]:
    """The settings that are paths of files."""
    return [name for name in Settings.model_fields if name.endswith(("_cafile", "_certfile", "_keyfile"))]


def definitions() -> dict[str, Any]:
    """What may stand in `settings`, `secrets` and `files`, as JSON Schema."""
    kept = {*GIVEN, *secret_names(), *files()}
    told = Settings.model_json_schema(by_alias=False)["properties"]
    values = {
        name: {key: value for key, value in told[name].items() if key not in {"title", "default", "format"}}
        for name in Settings.model_fields
        if name not in kept
    }
    for name in ADDRESSES:
        values[name]["pattern"] = _NO_PASSWORD
    return {
        "settings": {
            "type": "object",
            "description": "Settings by name (settings.md), but secrets, paths of files, and what the chart gives itself",
            "additionalProperties": False,
            "properties": values,
        },
        "secrets": _mounted(
            "Settings that are secrets: name -> Secret of the namespace, and key in it. An address with a password is one",
            [*ADDRESSES, *secret_names()],
            {},
        ),
        "files": _mounted(
            "Settings that are paths of files, certificates and keys: name -> Secret, or with `isConfigMap` ConfigMap, and key in it",
            files(),
            {"isConfigMap": {"type": "boolean"}},
        ),
    }


def _mounted(description: str, names: list[str], more: Mapping[str, Any]) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1}
    place = {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "key"],
        "properties": {"name": text, "key": text, **more},
    }
    return {
        "type": "object",
        "description": description,
        "propertyNames": {"enum": sorted(names)},
        "additionalProperties": place,
    }


def schema() -> str:
    """The schema as it should be."""
    now = json.loads(SCHEMA.read_text())
    now["definitions"] |= definitions()
    return json.dumps(now, indent=2, ensure_ascii=False) + "\n"


def rows(told: Mapping[str, Any], values: Any, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Value, default and meaning, in the order of the schema. What each program has is told once."""
    for name, part in told["properties"].items():
        where = f"{path}{name}"
        if where == "global" or (path.rstrip(".") in _PROGRAMS and name in _SHARED and name != "resources"):
            continue
        whole = told_of(part)
        if whole.get("description"):
            default = json.dumps(values[name], ensure_ascii=False)
            yield f"`{where}`", f"`{default}`", whole["description"].replace("|", "\\|")
        else:
            yield from rows(whole, values[name], f"{where}.")


def told_of(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """A part of the schema, without its reference."""
    if "$ref" not in part:
        return part
    return {**json.loads(schema())["definitions"][part["$ref"].rsplit("/", 1)[1]], **part}


def table() -> str:
    """The table of values."""
    told = json.loads(schema())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    lines = ["| value | default | what it is |", "| --- | --- | --- |"]
    lines += [f"| {' | '.join(row)} |" for row in rows(told, values)]
    programs = ", ".join(f"`{program}`" for program in _PROGRAMS)
    for name in _SHARED:
        if name != "resources":
            meaning = told["definitions"][name]["description"]
            lines.append(f"| `PROGRAM.{name}` | `{{}}` | Of one of {programs}: {meaning[0].lower()}{meaning[1:]} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """The page as it should be."""
    return _REGION.sub(lambda found: f"{found[1]}\n{table()}\n{found[2]}", PAGE.read_text())


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        old = [
            path.relative_to(ROOT) for path, text in ((SCHEMA, schema()), (PAGE, page())) if path.read_text() != text
        ]
        sys.exit(f"{', '.join(map(str, old))} is not what the settings and the chart say: make docs" if old else None)
    SCHEMA.write_text(schema())
    PAGE.write_text(page())

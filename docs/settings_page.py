"""Writes docs/settings.md from config/, so that what a setting is stands once. `make docs`; a test of the house calls --check."""

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "settings.md"
DEFAULTS = ROOT / "config" / "defaults.toml"
sys.path.insert(0, str(ROOT))

from config.settings import Settings  # noqa: E402  # after the path that it is found on

INTRO = """# Settings

For those who operate it. Written by `make docs` from `config/defaults.toml` and `config/settings.py`.

What counts, first to last: the environment (the variable of the table; the three addresses also without `STREAM_APP_`),
`.run/env` as `make up` wrote it, `config/defaults.toml`. A wrong value ends the program at its start and is named.
"""


SECRETS = """Secrets. Each may stand in a file instead, whose path is in the variable with `_FILE` behind its name: `STREAM_APP_JWT_SECRET_FILE`; so may
`REDIS_URL` and `CLICKHOUSE_URL`, since a password may be part of them. The variable itself counts more than its file, the file more than `.run/env`."""


@dataclass(frozen=True)
class Entry:
    """A setting as defaults.toml has it. `text` is its comment, else the heading it stands under."""

    section: str
    name: str
    default: str
    text: str


def entries() -> Iterator[Entry]:
    """The settings in the order of defaults.toml."""
    section = ""
    for line in DEFAULTS.read_text().splitlines():
        if heading := re.match(r"# -- (.*)", line):
            section = heading[1]
        elif table := re.match(r"\[(\w+)\]$", line):
            yield Entry(section, table[1], "none", section)
        elif found := re.match(r"""(\w+) = ("[^"]*"|'[^']*'|[^#]*?)\s*(?:#\s*(.*))?$""", line):
            yield Entry(section, found[1], found[2], found[3] or section)


def secrets() -> dict[str, str]:
    """Settings without a default, given by the environment only: name -> meaning, from the field's description."""
    fields = Settings.model_fields
    listed = tomllib.loads(DEFAULTS.read_text())
    return {name: field.description or "" for name, field in fields.items() if name not in listed}


def page() -> str:
    """The page as it should be."""
    lines, section = [INTRO], None
    for entry in entries():
        if entry.section != section:
            section = entry.section
            lines += ["", f"## {section[0].upper()}{section[1:]}", "", "| setting | default | what it is | variable |"]
            lines += ["| --- | --- | --- | --- |"]
        text = entry.text.replace("|", "\\|")
        lines.append(f"| `{entry.name}` | `{entry.default}` | {text} | `STREAM_APP_{entry.name.upper()}` |")
    lines += ["", "## Without a default", "", SECRETS, "", "| setting | what it is | variable |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {text} | `STREAM_APP_{name.upper()}` |" for name, text in secrets().items()]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(None if PAGE.exists() and PAGE.read_text() == page() else "docs/settings.md is old: make docs")
    PAGE.write_text(page())

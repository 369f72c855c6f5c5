"""Writes the dashboard's table of figures from the domain's, which is the only one. `make docs` and `make dashboard`; a test of the house calls --check."""

import sys
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "stream_app" / "dashboard" / "src" / "figures.json"
sys.path.insert(0, str(ROOT))

from stream_app.domain.figures import FIGURES, Average, Count, Customers, Figure, Part  # noqa: E402  # after the path that it is found on


def entry(figure: Figure) -> dict[str, Any]:
    """What the dashboard knows of a figure; `digits` are null where they are the currency's, `of` and `by` are names of figures."""
    kinds = {Count: "count", Customers: "customers", Part: "part", Average: "average"}
    made = {
        "name": figure.name,
        "kind": next((kind for its, kind in kinds.items() if isinstance(figure, its)), "sum"),
        "unit": figure.unit.name,
        "digits": figure.unit.digits,
        "perCurrency": figure.basis.per_currency,
    }
    if isinstance(figure, Customers | Part | Average):
        made["of"] = figure.of.name
    if isinstance(figure, Average):
        made["by"] = figure.by.name
    return made


def text() -> str:
    """The file as it should be: a figure a line, in the order of documents."""
    lines = ",\n".join(f"  {orjson.dumps(entry(figure)).decode()}" for figure in FIGURES)
    return f"[\n{lines}\n]\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        if FILE.read_text() != text():
            sys.exit("The dashboard's table of figures is not the domain's: make dashboard")
    else:
        FILE.write_text(text())

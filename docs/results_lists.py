"""Writes the lists of figures and of tables of results in docs/ from the domain's, which are the only ones. `make docs`; a test of the house calls --check.

A list stands between two comments in a page that is written by hand otherwise; the first names it.
"""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from config.settings import load  # noqa: E402  # after the path that it is found on
from stream_app.api.asking.windows import Retention  # noqa: E402
from stream_app.api.description.examples import table_example  # noqa: E402
from stream_app.domain.figures import FIGURES, Average, Figure  # noqa: E402
from stream_app.domain.tables import DAY, TABLES, CountTable, FigureTable, Table  # noqa: E402
from stream_app.sinks import clickhouse_statements as statements  # noqa: E402

_REGION: Final = re.compile(r"(<!-- (\w+): written by make docs -->\n).*?(<!-- end -->\n)", re.DOTALL)
_SETTINGS: Final = load()
_RETENTION: Final = Retention(_SETTINGS.retention_months, _SETTINGS.distribution_days)
_PREFIX: Final = "/smart-bi/crm"
_STATE: Final = "`partition`, `asOf`, `version`"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def _code(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _example_key(table: Table[Any]) -> str:
    data = table_example(table)["data"]
    if isinstance(table, FigureTable):
        return f"M1\\|ALL\\|{data[table.period.plural][0][table.period.name]}\\|{data['currency']}"
    return f"M1\\|ALL\\|{data['to']}"


def _value(figure: Figure) -> str:
    digits = figure.unit.digits
    if digits is None:
        said = "decimal string, the currency's digits"
    else:
        said = f"decimal string, {digits} digits" if digits else "number"
    return f"{said}, rounded half-up" if isinstance(figure, Average) else said


def figures() -> str:
    """The key figures, as JSON has them."""
    rows = [(f"`{figure.name}`", _value(figure), figure.meaning) for figure in FIGURES]
    return _table(("figure", "value", "what it is"), rows)


def columns() -> str:
    """The key figures, as ClickHouse has them."""
    rows = [(f"`{figure.column}`", f"`{statements.column_type(figure.unit)}`", figure.meaning) for figure in FIGURES]
    return _table(("column of a key figure", "type", "what it is"), rows)


def _parameters(table: Table[Any]) -> str:
    period = table.period
    given = ["`operatorId`", "`groupId`", f"`{period.plural}` 1 to {_RETENTION.asked_max(table)}"]
    if isinstance(table, FigureTable):
        given += [f"`{period.last}` from 1970 to the operator's current {period.name}", "`currency`"]
    else:
        given.append(f"`{period.last}`; all of the {period.plural} must be kept ones")
    return ", ".join(given)


def _defaults(table: Table[Any]) -> str:
    found = ["what the token implies", "`ALL`", str(table.shown), f"the current {table.period.name}"]
    return ", ".join([*found, "the operator's"] if isinstance(table, FigureTable) else found)


def questions() -> str:
    """The questions over HTTP."""
    rows = [(f"`{_PREFIX}/{table.path}`", _parameters(table), _defaults(table), table.meaning) for table in TABLES]
    rows.append((f"`{_PREFIX}/groups`", "`operatorId`", "what the token implies", "Customer groups of an operator."))
    rows.append((f"`{_PREFIX}/operators`", "none", "", "Operators that the token covers."))
    return _table(("path", "parameters", "default", "what it answers"), rows)


def events() -> str:
    """The events of the stream."""
    rows = [
        (f"`{table.document}`", f"the `data` of {table.path} without parameters", "at once and on each change")
        for table in TABLES
    ]
    state = '`{"operatorId":"M1","groupId":"ALL","partition":3,"asOf":"..."}`: up to when what was sent holds'
    rows.append(("`as-of`", state, "every two seconds, while Redis answers"))
    stale = "Redis can't be heard: what was sent stays, until the next `as-of`"
    rows.append(("`stale`", "the same, as it was last known", stale))
    refused = "POST only: the token does not cover this operator, or no store can answer; the others go on"
    rows.append(("`refused`", "`operatorId`, `groupId`, `code`, `message`", refused))
    return _table(("event", "data", "when"), rows)


def documents() -> str:
    """The keys of Redis."""
    said = "the `data` of the default answer of `{}`, as JSON. A key for each group that has documents"
    rows = [(f"`crm:{{M1}}:{table.document}:ALL`", said.format(table.path)) for table in TABLES]
    rows += [
        ("`crm:{M1}:groups`", "the `data` of `groups`"),
        ("`crm:operators`", "hash: operator id (not encoded) -> its entry, as JSON"),
        ("`crm:as-of`", "hash: partition -> live as-of"),
        ("`crm:{M1}:updates`", "channel: gets the name of each key that changed"),
    ]
    return _table(("key", "what it holds"), rows)


def clickhouse() -> str:
    """The tables of results in ClickHouse."""
    rows = []
    for table in TABLES:
        each = ["operator", "group", table.period.name, "currency" if isinstance(table, FigureTable) else "slot"]
        if isinstance(table, CountTable):
            each[-1] += f" (all {table.width})"
        names = _code([column.name for column in statements.columns(table)])
        day = f"`{statements.period_column(table)}`"
        names = names.replace(day, f"{day} (its first day)") if table.period is not DAY else names
        rows.append((_code([table.clickhouse_table, statements.view_name(table)]), ", ".join(each), names))
    return _table(("table, view", "a row for each", "columns"), rows)


def _record(table: Table[Any]) -> str:
    period = table.period.name
    if isinstance(table, FigureTable):
        return f"the {period}'s object as in `{table.path}`, with `operatorId`, `groupId`, `currency`, `timezone`, {_STATE}"
    assert isinstance(table, CountTable)
    return f"`operatorId`, `groupId`, `{period}`, `timezone`, `slots` ({table.width} counts), `total`, {_STATE}"


def topics() -> str:
    """The topics of results."""
    rows = [(f"`crm-stats.{table.topic}`", f"`{_example_key(table)}`", _record(table)) for table in TABLES]
    rows.append((f"`{_SETTINGS.topic_as_of}`", "`3`, the partition", "`partition`, `asOf`; each second"))
    return _table(("topic", "key", "value"), rows)


PAGES: Final[dict[Path, Sequence[Callable[[], str]]]] = {
    ROOT / "docs" / "api.md": (questions, figures, events),
    ROOT / "docs" / "integrating.md": (documents, clickhouse, columns, topics),
}


def written(page: Path) -> str:
    """A page as it should be. `Raises` SystemExit for one that lacks a list."""
    lists = {make.__name__: make for make in PAGES[page]}
    text = page.read_text()
    if sorted(name for _, name, _ in _REGION.findall(text)) != sorted(lists):
        sys.exit(f"{page.name}: the lists are {', '.join(lists)}, each once")
    return _REGION.sub(lambda region: region[1] + lists[region[2]]() + region[3], text)


if __name__ == "__main__":
    for page in PAGES:
        if "--check" not in sys.argv:
            page.write_text(written(page))
        elif page.read_text() != written(page):
            sys.exit(f"docs/{page.name} is not what the tables say: make docs")

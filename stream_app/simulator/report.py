"""The report of an operator, as its CRM would ask for it: by HTTP, shown as tables.

After `shown`. Columns and tables follow from the table of figures and from the tables of results. Invariant: what is shown is what the
interface answered; nothing is computed here but which slot is the highest.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from stream_app.domain.figures import FIGURES, Figure
from stream_app.domain.tables import CountTable, FigureTable, Period
from stream_app.domain.tables import Table as ResultTable

_TIMEOUT_SECONDS = 10
_WIDTH_MAX = 1000
_BARS = "▁▂▃▄▅▆▇█"


class ReportError(Exception):
    """The interface does not answer as it should; the message is one sentence."""


def ask(base: str, token: str, path: str, body: Mapping[str, Any]) -> Any:
    """The `data` of an answer of `/smart-bi/crm/<path>`. `Raises` ReportError."""
    url = f"{base}/smart-bi/crm/{path}"
    headers = {"Authorization": f"Bearer {token}"}
    try:
        # No proxy of the environment: the API is on loopback.
        answer = httpx.post(url, json=dict(body), headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False)
        if answer.is_error:
            raise ReportError(f"{url} answered {answer.status_code}: {_message(answer)}")
        return answer.json()["data"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise ReportError(f"the API at {base} does not answer ({error}): start it by make up") from None


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase


def heading(figure: Figure) -> str:
    """The heading of a figure's column: the words of its name, a line each, for narrow columns."""
    return "\n".join(figure.column.split("_"))


def figures_tables(table: FigureTable, name: str, answer: Mapping[str, Any]) -> list[Table]:
    """The answer of a table of figures, for each basis the figures that are made of it: all of them are too many for a line."""
    period, made = table.period, []
    for basis in dict.fromkeys(figure.basis for figure in FIGURES):
        what = f"{basis.name} in {answer['currency']}" if basis.per_currency else basis.name
        title = f"{name} ({answer['operatorId']}), {answer['groupId']}: {what}, {period.plural} of {answer['timezone']}"
        figures = [figure for figure in FIGURES if figure.basis is basis]
        made.append(_figures_table(title, period, figures, answer[period.plural]))
    return made


def _figures_table(title: str, period: Period, figures: Sequence[Figure], rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(period.name, no_wrap=True)
    for figure in figures:
        table.add_column(heading(figure), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row[period.name], *(str(row[figure.name]) for figure in figures))
    return table


def slots_curve(table: CountTable, answer: Mapping[str, Any]) -> RenderableType:
    """The answer of a table of counts: the highest slot, and a bar for each between the names of the first and of the last."""
    slots = answer["slots"]
    peak = max(slots, key=lambda slot: slot["chargeCount"])
    names = ["-".join(names.values()) for names in table.slot_names]
    highest = max(1, peak["chargeCount"])
    bars = "".join(_BARS[slot["chargeCount"] * (len(_BARS) - 1) // highest] for slot in slots)
    return Group(
        Text(f"{table.meaning.removesuffix('.')}, {answer['from']} to {answer['to']}"),
        Text(f"Most at {names[peak['slot']]}: {peak['chargeCount']} of {answer['total']}"),
        Text(f"{names[0]} {bars} {names[-1]}"),
    )


def answer_report(table: ResultTable[Any], name: str, answer: Mapping[str, Any]) -> list[RenderableType]:
    """The answer of a table of results; `name` is the operator's."""
    if isinstance(table, FigureTable):
        return [*figures_tables(table, name, answer)]
    assert isinstance(table, CountTable)
    return [slots_curve(table, answer)]


def width_of(parts: Sequence[RenderableType]) -> int:
    """So many columns a console needs for parts of a report: a figure that is cut off says something wrong."""
    console = Console(width=_WIDTH_MAX)
    return max(console.measure(part).maximum for part in parts)


def groups_line(groups: Mapping[str, Any]) -> Text:
    """The answer of `groups`."""
    named = [f"{group['groupId']} ({group['name'] or 'everything'})" for group in groups["groups"]]
    return Text("Groups: " + ", ".join(named))

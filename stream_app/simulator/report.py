"""The report of an operator, as its CRM would ask for it: by HTTP, shown as tables.

After `shown`. Invariant: what is shown is what the interface answered; nothing is computed here but which half-hour is the highest.
"""

from collections.abc import Mapping
from typing import Any

import httpx
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

_TIMEOUT_SECONDS = 10
_BARS = "▁▂▃▄▅▆▇█"
_COLUMNS = (
    ("received", "receivedAmount"),
    ("discount", "discountAmount"),
    ("payments", "paymentCount"),
    ("paying\ncustomers", "payingCustomers"),
    ("per\ncapita", "perCapitaPayment"),
    ("sessions", "sessionCount"),
    ("charging\ncustomers", "chargingCustomers"),
    ("per\ncapita", "perCapitaFrequency"),
)


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


def months_table(name: str, monthly: Mapping[str, Any]) -> Table:
    """The answer of `monthlyIndex`."""
    title = f"{name} ({monthly['operatorId']}), {monthly['groupId']}, {monthly['currency']}, months of {monthly['timezone']}"
    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("month", no_wrap=True)
    for heading, _ in _COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    for month in monthly["months"]:
        table.add_row(month["month"], *(str(month[field]) for _, field in _COLUMNS))
    return table


def day_curve(distribution: Mapping[str, Any]) -> RenderableType:
    """The answer of `chargingDistribute`: the highest half-hour, and a bar for each."""
    slots = distribution["slots"]
    peak = max(slots, key=lambda slot: slot["chargeCount"])
    said = f"Peak half-hour of {distribution['from']} to {distribution['to']}: {peak['start']}-{peak['end']}"
    highest = max(1, peak["chargeCount"])
    bars = "".join(_BARS[slot["chargeCount"] * (len(_BARS) - 1) // highest] for slot in slots)
    return Group(
        Text(f"{said}, {peak['chargeCount']} of {distribution['total']} charges"),
        Text(bars),
        Text("0     3     6     9     12    15    18    21"),
    )


def groups_line(groups: Mapping[str, Any]) -> Text:
    """The answer of `groups`."""
    named = [f"{group['groupId']} ({group['name'] or 'everything'})" for group in groups["groups"]]
    return Text("Groups: " + ", ".join(named))

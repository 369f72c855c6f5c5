"""Examples of answers, for the documentation only. Those of tables are composed as the sinks compose documents."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from stream_app.domain.cells import FigureCell, Operator
from stream_app.domain.events import ALL
from stream_app.domain.local_time import day_of
from stream_app.domain.report import Json, Place, count_document, figure_document
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS, Layout, Sums
from stream_app.domain.tables import CountTable, FigureTable, Table


def example(data: Any) -> Json:
    """An answer with this data."""
    return {"code": 0, "message": "ok", "data": data}


_DAY: Final = day_of(date(2026, 11, 24))
_FIGURES_DAY: Final = day_of(date(2026, 6, 1))
_AS_OF_MS: Final = 1_795_507_200_000
_CHARGES: Final = 12  # of each slot
_VERSION: Final = 1234
_OPERATOR: Final = Operator(timezone="Europe/Berlin", currency="EUR", today=_DAY)
_PLACE: Final = Place("M1", _OPERATOR, ALL, 3, _AS_OF_MS, _VERSION)
_SUMS: Final = {  # the others are zero
    "receivedAmount": 123450,
    "discountAmount": 1200,
    "paymentCount": 101,
    "payingCustomers": 40,
    "sessionCount": 120,
    "chargingCustomers": 44,
    "energyKwh": 1450125,
}


def _sums(layout: Layout, values: Mapping[str, int]) -> Sums:
    return [values.get(figure.name, 0) for figure in layout.figures]


def table_example(table: Table[Any]) -> Json:
    """An answer of a table; of a table of figures one period."""
    if isinstance(table, FigureTable):
        cell = FigureCell(_VERSION, _AS_OF_MS, {"EUR": _sums(PAYMENT_SUMS, _SUMS)}, _sums(SESSION_SUMS, _SUMS))
        return example(figure_document(table, _PLACE, [cell], [table.period.of_day(_FIGURES_DAY)], "EUR"))
    assert isinstance(table, CountTable)
    return example(count_document(table, _PLACE, [_CHARGES] * table.width, table.default_periods(_OPERATOR)))


def stream_example(tables: Sequence[Table[Any]]) -> str:
    """The first events of a stream."""
    events = []
    for sent in range(1, len(tables) + 1):
        identity = "-".join([str(_VERSION)] * sent + ["0"] * (len(tables) - sent))
        events.append(
            f'event: {tables[sent - 1].document}\nid: {identity}\ndata: {{"operatorId":"M1","groupId":"ALL", ...}}\n\n'
        )
    return f"""{"".join(events)}event: as-of
data: {{"operatorId":"M1","groupId":"ALL","partition":3,"asOf":"2026-11-24T08:00:00.000Z"}}

"""


OPERATIONS_EXAMPLE = example(
    {
        "answers": True,
        "failure": None,
        "awaySeconds": None,
        "knownSeconds": 0.4,
        "groups": {"ingest": "crm-stats-ingest", "ledger": "crm-stats-ledger-1"},
        "status": {"now_ms": 1795507200000, "groups": [], "results": [], "sinks": [], "sources": []},
        "operators": [],
    }
)
GROUPS_EXAMPLE = example({"groups": [{"groupId": "ALL", "name": None}, {"groupId": "vip", "name": "大客户"}]})
OPERATORS_EXAMPLE = example(
    {"operators": [{"operatorId": "M1", "name": "Stadtwerke", "timezone": "Europe/Berlin", "currency": "EUR"}]}
)

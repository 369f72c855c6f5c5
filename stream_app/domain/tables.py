"""The tables of results: values that everything walks over that loads, freezes, encodes, publishes or copies cells.

A table says how a cell is named and made, by which rule events add to it, and under which names readers find it. Two
kinds do so far: key figures by period (FigureTable) and sessions counted by slot of a period (CountTable). A table is
added by a line of TABLES.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, ClassVar, Final, Generic, NamedTuple, TypeVar

from stream_app.domain.cells import Cell, CellKey, CountCell, Customer, FigureCell, Operator
from stream_app.domain.figures import FIGURES
from stream_app.domain.local_time import (
    date_of,
    day_of,
    first_day_of,
    month_add,
    month_count,
    month_of_day,
    month_string,
)
from stream_app.domain.rules import CountRule, FigureRule, Rule, prune_counts, prune_figures
from stream_app.domain.sums import PAYMENT_SUMS, SESSION_SUMS, filled

C = TypeVar("C", bound=Cell)


class Period(NamedTuple):
    """A kind of period of local time; one such period is a number that grows with time."""

    name: str  # in documents
    plural: str  # the list of them in documents, and the parameter that says how many are asked for
    last: str  # the parameter that says up to which one
    of_day: Callable[[int], int]  # day number -> the period it lies in
    add: Callable[[int, int], int]  # the period so many later
    span: Callable[[int, int], int]  # how many there are from one to another, both included
    first_day: Callable[[int], int]  # its first day's number
    text: Callable[[int], str]  # as people read it
    parse: Callable[[str], int]  # undoes `text`; `Raises` ValueError for what no period reads like
    schema: Mapping[str, str]  # what JSON Schema says of `text`
    first_kept: Callable[[Operator], int]

    @property
    def first(self) -> int:
        """The first one that can be asked for: stores count days from 1970."""
        return self.of_day(0)


MONTH: Final = Period(
    "month", "months", "endMonth", month_of_day, month_add, month_count, first_day_of,
    lru_cache(10_000)(month_string), lambda text: month_of_day(day_of(date.fromisoformat(f"{text}-01"))),
    {"pattern": r"^(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])$"}, lambda operator: operator.first_month,
)  # fmt: skip
DAY: Final = Period(
    "date", "days", "endDate", lambda day: day, lambda day, by: day + by, lambda first, last: last - first + 1,
    lambda day: day, lru_cache(10_000)(lambda day: date_of(day).isoformat()),
    lambda text: day_of(date.fromisoformat(text)),
    {"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "format": "date"}, lambda operator: operator.first_day,
)  # fmt: skip


class Table(ABC, Generic[C]):
    """Cells of one kind.

    `name` names it in the state; `prefix` begins its rows' keys and its parts of a customer, a letter that no other row
    has. The rest are names that readers know: `document` in Redis' keys and of events of the stream, `path` of the
    question over HTTP, `topic` of the results topic's records, `clickhouse_table`. The default document shows `shown`
    periods, the last of them the current one. `since` is the version of figures and tables that brought it:
    ClickHouse's migration makes it then. `past_retention` says whether periods that are no longer kept may be asked
    for.
    """

    cell_type: type[C]
    past_retention: ClassVar[bool]

    def __init__(
        self,
        name: str,
        prefix: str,
        period: Period,
        *,
        document: str,
        path: str,
        topic: str,
        clickhouse_table: str,
        shown: int,
        meaning: str,
        since: int = 1,
    ) -> None:
        self.name, self.prefix, self.period = name, prefix, period
        self.document, self.path, self.topic, self.clickhouse_table = document, path, topic, clickhouse_table
        self.shown, self.meaning, self.since = shown, meaning, since

    def __repr__(self) -> str:
        return self.name

    @abstractmethod
    def new(self) -> C:
        """A cell in which nothing counts."""

    @abstractmethod
    def read(self, cell: C) -> C:
        """A cell as it was stored, filled up to today's figures."""

    def read_all(self, cells: list[C | None]) -> list[C | None]:
        """Cells as they were stored, filled up to today's figures."""
        return [None if cell is None else self.read(cell) for cell in cells]

    @abstractmethod
    def clear(self, cell: C) -> None:
        """Set all sums and counts of a cell to zero; the currencies that it was ever shown in stay."""

    @abstractmethod
    def complete(self, cells: Mapping[CellKey, C | None], operators: Mapping[str, Operator]) -> None:
        """Add to changed cells, before they are frozen, what each must show."""

    @abstractmethod
    def rule(self, operator: Operator) -> Rule:
        """A rule without differences so far, bounded by what is retained of the operator."""

    @abstractmethod
    def prune(self, customer: Customer, operator: Operator) -> bool:
        """Drop a customer's contribution to what is no longer kept. Was there any?"""

    @abstractmethod
    def asked_max(self, operator: Operator) -> int:
        """The highest number of periods that a question may ask for."""

    def current(self, operator: Operator) -> int:
        """The period of the operator's today."""
        return self.period.of_day(operator.today)

    def first_kept(self, operator: Operator) -> int:
        """The first period that is kept."""
        return self.period.first_kept(operator)

    def periods_to(self, last: int, count: int) -> list[int]:
        """`count` periods in order, the last of which is `last`."""
        return [self.period.add(last, by) for by in range(1 - count, 1)]

    def default_periods(self, operator: Operator) -> Sequence[int]:
        """The periods of the default document."""
        return _default_periods(self, self.current(operator))


@lru_cache(1000)  # each document that is written asks for them
def _default_periods(table: Table[Any], current: int) -> Sequence[int]:
    return table.periods_to(current, table.shown)


class FigureTable(Table[FigureCell]):
    """Key figures by period, see domain.figures; a record and a row for each currency.

    Up to `shown_max` periods may be asked for.
    """

    cell_type = FigureCell
    past_retention = True  # ClickHouse has them, as they last were

    def __init__(self, name: str, prefix: str, period: Period, *, shown_max: int, **names: Any) -> None:
        super().__init__(name, prefix, period, **names)
        self.shown_max = shown_max

    def new(self) -> FigureCell:
        """A cell without any currency, in which all sums are zero."""
        return FigureCell(payments={})

    def read(self, cell: FigureCell) -> FigureCell:
        """A stored cell; lists from before a figure was added are filled up with zeros."""
        if len(cell.sessions) < SESSION_SUMS.size:
            cell.sessions = filled(cell.sessions, SESSION_SUMS.size)
        for currency, sums in cell.payments.items():
            if len(sums) < PAYMENT_SUMS.size:
                cell.payments[currency] = filled(sums, PAYMENT_SUMS.size)
        return cell

    def clear(self, cell: FigureCell) -> None:
        """All sums become zero; the currencies of the cell stay."""
        cell.payments = {currency: PAYMENT_SUMS.zeros() for currency in cell.payments}
        cell.sessions = SESSION_SUMS.zeros()

    def complete(self, cells: Mapping[CellKey, FigureCell | None], operators: Mapping[str, Operator]) -> None:
        """There is always an entry of the operator's own currency."""
        for key, cell in cells.items():
            currency = operators[key.operator].currency
            if cell is not None and currency not in cell.payments:  # each that changed comes here, and few lack it
                cell.show((currency,))

    def rule(self, operator: Operator) -> FigureRule:
        """The rule of the sums of figures, from the first retained period of the operator on."""
        return FigureRule(self.prefix, self.period.of_day, self.first_kept(operator))

    def prune(self, customer: Customer, operator: Operator) -> bool:
        """Drop the customer's sums of periods that have left retention. Was there any?"""
        return prune_figures(customer, self.prefix, self.first_kept(operator))

    def asked_max(self, operator: Operator) -> int:
        """`shown_max`, whatever is retained: ClickHouse has older periods."""
        del operator
        return self.shown_max


class CountTable(Table[CountCell]):
    """Counted sessions by slot of a period.

    `slot`: local time in quarter hours (see domain.local_time) -> number of its slot; `slot_names`: what documents say
    of each beside its number.
    """

    cell_type = CountCell
    past_retention = False

    def __init__(
        self,
        name: str,
        prefix: str,
        period: Period,
        slot: Callable[[int], int],
        slot_names: Sequence[dict[str, str]],
        **names: Any,
    ) -> None:
        super().__init__(name, prefix, period, **names)
        self.width, self._slot, self.slot_names = len(slot_names), slot, slot_names

    def key(self, local: int) -> int:
        """The key of a customer's count (see rules.CountRule) at a local time in quarter hours."""
        return self.period.of_day(local // 96) * self.width + self._slot(local)

    def new(self) -> CountCell:
        """A cell with a zero in each slot."""
        return CountCell(slots=[0] * self.width)

    def read(self, cell: CountCell) -> CountCell:
        """A stored cell: it has all slots of the table."""
        return cell

    def read_all(self, cells: list[CountCell | None]) -> list[CountCell | None]:
        """Stored cells: they have all slots of the table."""
        return cells

    def clear(self, cell: CountCell) -> None:
        """Each slot becomes zero."""
        cell.slots = [0] * self.width

    def complete(self, cells: Mapping[CellKey, CountCell | None], operators: Mapping[str, Operator]) -> None:
        """Nothing to add: a cell has all slots of the table from its start on."""

    def rule(self, operator: Operator) -> CountRule:
        """The rule of the counts by slot, from the first retained period of the operator on."""
        return CountRule(self.prefix, self.period.of_day, self._slot, self.width, self.first_kept(operator))

    def prune(self, customer: Customer, operator: Operator) -> bool:
        """Drop the customer's counts of periods that have left retention. Was there any?"""
        return prune_counts(customer, self.prefix, self.first_kept(operator) * self.width)

    def asked_max(self, operator: Operator) -> int:
        """The number of retained periods: only the state has them."""
        return self.period.span(self.first_kept(operator), self.current(operator))


MONTHLY: Final = FigureTable(
    "monthly", "m", MONTH,
    document="monthly", path="monthlyIndex", topic="monthly.v1", clickhouse_table="ads_operation_crm_monthly",
    shown=6, shown_max=25, meaning="Key figures by month.",
)  # fmt: skip
_HALF_HOURS: Final = [
    {"start": f"{slot // 2:02d}:{slot % 2 * 30:02d}", "end": f"{(slot + 1) // 2:02d}:{(slot + 1) % 2 * 30:02d}"}
    for slot in range(48)
]
HALF_HOUR: Final = CountTable(
    "half_hour", "h", DAY, lambda local: local % 96 // 2, _HALF_HOURS,
    document="distribution", path="chargingDistribute", topic="half-hour.v1",
    clickhouse_table="ads_operation_crm_charging_distri",
    shown=30, meaning="Charging sessions by half-hour of the day.",
)  # fmt: skip

TABLES: Final[Sequence[Table[Any]]] = (MONTHLY, HALF_HOUR)

VERSION: Final = max(*(figure.since for figure in FIGURES), *(table.since for table in TABLES))
"""Of figures and tables together: what cells and customers' rows hold."""

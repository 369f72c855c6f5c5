"""A question about a table of results: the periods that are meant for an operator, and the answer with and without cells.

Place: under `answers`, which goes the same way for all tables. What depends on the operator is checked here: its
current period, and the ones that are kept. Pure but for `compose`, which asks the store.
"""

from abc import ABC, abstractmethod
from typing import Any, Final, Generic, NamedTuple, TypeVar

from stream_app.api.asking.parameters import PeriodsQuery
from stream_app.api.errors import bad_parameter
from stream_app.api.stores.ports import CellStore
from stream_app.domain.cells import Operator
from stream_app.domain.figures import FIGURES, Count
from stream_app.domain.local_time import month_add, month_of_day
from stream_app.domain.report import Json, Place, count_document, figure_document
from stream_app.domain.tables import CountTable, FigureTable, Table
from stream_app.sinks.clickhouse_reader import KnownOperator
from stream_app.sinks.redis_keys import document_key

T = TypeVar("T", bound=Table[Any])
_COUNTS: Final = [figure.name for figure in FIGURES if isinstance(figure, Count)]


class Retention(NamedTuple):
    """How long results are kept."""

    months: int
    days: int

    def operator(self, timezone: str, currency: str, today: int) -> Operator:
        """An operator of whom no more is known than this; today is a day number."""
        return Operator(
            timezone=timezone,
            currency=currency,
            today=today,
            first_month=month_add(month_of_day(today), 1 - self.months),
            first_day=today + 1 - self.days,
        )

    def asked_max(self, table: Table[Any]) -> int:
        """The greatest number of periods that a question for a table may ask for, whatever the day."""
        return table.asked_max(self.operator("UTC", "", 0))


class Window(NamedTuple):
    """Periods in order, and the currency that they are shown in, where the table has currencies."""

    periods: list[int]
    currency: str


class WindowedQuestion(ABC, Generic[T]):
    """A question about a table: how its window is chosen, checked and answered."""

    def __init__(self, table: T, retention: Retention) -> None:
        self._table = table
        self._retention = retention

    def key(self, operator_id: str, group: str) -> str:
        """The Redis key of the default answer."""
        return document_key(self._table, operator_id, group)

    def is_plain(self, asked: PeriodsQuery) -> bool:
        """Does the default answer fit, whatever the operator?"""
        return asked.length == self._table.shown and asked.last is None and asked.currency is None

    def known(self, document: Json) -> KnownOperator | None:
        """The operator that a default document describes; None for any other document.

        The first day of its current period stands for today: no more is needed here.
        """
        try:
            period = self._table.period
            today = period.first_day(period.parse(self._current(document)))
            operator = self._retention.operator(document["timezone"], document.get("currency", ""), today)
            return KnownOperator(operator, document["partition"])
        except (KeyError, IndexError, TypeError, ValueError):
            return None

    @abstractmethod
    def _current(self, document: Json) -> str:
        """The current period, as a default document says it."""

    def window(self, operator: Operator, asked: PeriodsQuery) -> Window:
        """Periods up to the one asked for, the current one by default, and the currency.

        `Raises` ApiError for those that are not there.
        """
        table = self._table
        last = table.current(operator) if asked.last is None else asked.last
        periods = table.periods_to(last, asked.length)
        if table.past_retention:
            self._check_past(operator, periods)
        else:
            self._check_kept(operator, periods)
        return Window(periods, asked.currency or operator.currency)

    def _check_past(self, operator: Operator, periods: list[int]) -> None:
        period, current = self._table.period, self._table.current(operator)
        if periods[-1] > current:
            said = f"must not be after the operator's current {period.name}, {period.text(current)}"
            raise bad_parameter(period.last, said)
        if periods[0] < period.first:
            said = f"the {period.plural} asked for begin before {period.text(period.first)}"
            raise bad_parameter(period.last, said)

    def _check_kept(self, operator: Operator, periods: list[int]) -> None:
        period, first, current = self._table.period, self._table.first_kept(operator), self._table.current(operator)
        if not first <= periods[-1] <= current:
            said = f"must be a {period.name} from {period.text(first)} to {period.text(current)}, those kept"
            raise bad_parameter(period.last, said)
        if periods[0] < first:
            said = f"begins before {period.text(first)}, the first {period.name} that is kept"
            raise bad_parameter(period.plural, said)

    def is_default(self, operator: Operator, window: Window) -> bool:
        """Does the default answer show this window?"""
        return window == (self._table.default_periods(operator), operator.currency)

    def is_kept(self, operator: Operator, window: Window) -> bool:
        """Does all of the window lie within retention?"""
        return window.periods[0] >= self._table.first_kept(operator)

    @abstractmethod
    async def compose(
        self, cells: CellStore, operator_id: str, known: KnownOperator, group: str, window: Window
    ) -> Json:
        """The answer from cells; version 0 when the group has none."""

    @abstractmethod
    def zeros(self, operator_id: str, known: KnownOperator, group: str, window: Window) -> Json:
        """The answer when nothing counts, as-of and version still to be set."""

    @abstractmethod
    def nothing_counts(self, data: Json) -> bool:
        """Are there only zeros in an answer?"""


class FigureQuestion(WindowedQuestion[FigureTable]):
    """Key figures by period, as `monthlyIndex`."""

    def _current(self, document: Json) -> str:
        period = self._table.period
        return str(document[period.plural][-1][period.name])

    async def compose(
        self, cells: CellStore, operator_id: str, known: KnownOperator, group: str, window: Window
    ) -> Json:
        """The periods from cells; version 0 when the group has none."""
        return await cells.figures(self._table, operator_id, known, group, window.periods, window.currency)

    def zeros(self, operator_id: str, known: KnownOperator, group: str, window: Window) -> Json:
        """The periods with nothing counted, as-of and version still to be set."""
        place, periods = _place(operator_id, known, group), window.periods
        return figure_document(self._table, place, [None] * len(periods), periods, window.currency)

    def nothing_counts(self, data: Json) -> bool:
        """Is every number of counted events zero?"""
        rows = data[self._table.period.plural]
        return all(row[name] == 0 for row in rows for name in _COUNTS)


class CountQuestion(WindowedQuestion[CountTable]):
    """Sessions counted by slot, as `chargingDistribute`."""

    def _current(self, document: Json) -> str:
        return str(document["to"])

    async def compose(
        self, cells: CellStore, operator_id: str, known: KnownOperator, group: str, window: Window
    ) -> Json:
        """The counts from cells; version 0 when the group has none."""
        return await cells.counts(self._table, operator_id, known, group, window.periods)

    def zeros(self, operator_id: str, known: KnownOperator, group: str, window: Window) -> Json:
        """Counts of zero, as-of and version still to be set."""
        return count_document(self._table, _place(operator_id, known, group), self._table.new().slots, window.periods)

    def nothing_counts(self, data: Json) -> bool:
        """Is their sum zero?"""
        return bool(data["total"] == 0)


def question_of(table: Table[Any], retention: Retention) -> WindowedQuestion[Any]:
    """The question that a table answers."""
    if isinstance(table, FigureTable):
        return FigureQuestion(table, retention)
    assert isinstance(table, CountTable)
    return CountQuestion(table, retention)


def _place(operator_id: str, known: KnownOperator, group: str) -> Place:
    return Place(operator_id, known.operator, group, known.partition, 0, 0)

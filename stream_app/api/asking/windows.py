"""The two questions about figures: the window that is meant for an operator, and its answer with and without cells.

Place: under `answers`, which goes the same way for both. What depends on the operator is checked here: its current
month, and the dates that are kept. Pure but for `compose`, which asks the store.
"""

from datetime import date
from typing import NamedTuple, Protocol, TypeVar

from stream_app.api.asking.parameters import DistributionQuery, MonthlyQuery
from stream_app.api.errors import bad_parameter
from stream_app.api.stores.ports import CellStore
from stream_app.domain.cells import SLOTS, Operator
from stream_app.domain.local_time import day_of, first_day_of, month_add, month_of_day, month_string
from stream_app.domain.report import DAYS, MONTHS, Json, days_to, distribution_data, iso_date, monthly_data, months_to
from stream_app.sinks.clickhouse_reader import KnownOperator
from stream_app.sinks.redis_keys import distribution_key, monthly_key

Q_contra = TypeVar("Q_contra", contravariant=True)
W = TypeVar("W")
_FIRST_MONTH = 197001  # ClickHouse knows no earlier day


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


class WindowedQuestion(Protocol[Q_contra, W]):
    """A question about figures in a window of time: how its window is chosen, checked and answered."""

    def key(self, operator_id: str, group: str) -> str:
        """The Redis key of the default answer."""

    def is_plain(self, asked: Q_contra) -> bool:
        """Does the default answer fit, whatever the operator?"""

    def known(self, document: Json) -> KnownOperator | None:
        """The operator that a default document describes; None for any other document."""

    def window(self, operator: Operator, asked: Q_contra) -> W:
        """The window that is meant. `Raises` ApiError when the operator has none."""

    def is_default(self, operator: Operator, window: W) -> bool:
        """Does the default answer show this window?"""

    def is_kept(self, operator: Operator, window: W) -> bool:
        """Does all of the window lie within retention?"""

    async def compose(self, cells: CellStore, operator_id: str, known: KnownOperator, group: str, window: W) -> Json:
        """The answer from cells; version 0 when the group has none."""

    def zeros(self, operator_id: str, known: KnownOperator, group: str, window: W) -> Json:
        """The answer when nothing counts, as-of and version still to be set."""


class MonthlyWindow(NamedTuple):
    """Months in order, and the currency that they are shown in."""

    months: list[int]
    currency: str


class MonthlyQuestion:
    """`monthlyIndex`."""

    def __init__(self, retention: Retention) -> None:
        self._retention = retention

    def key(self, operator_id: str, group: str) -> str:
        """The Redis key of the months that are shown by default."""
        return monthly_key(operator_id, group)

    def is_plain(self, asked: MonthlyQuery) -> bool:
        """Are neither months nor currency asked for?"""
        return asked.months == MONTHS and asked.end_month is None and asked.currency is None

    def known(self, document: Json) -> KnownOperator | None:
        """The operator of a default document.

        The first day of its current month stands for today: no more is needed here.
        """
        try:
            year, month = map(int, document["months"][-1]["month"].split("-"))
            today = first_day_of(year * 100 + month)
            operator = self._retention.operator(document["timezone"], document["currency"], today)
            return KnownOperator(operator, document["partition"])
        except (KeyError, IndexError, TypeError, ValueError):
            return None

    def window(self, operator: Operator, asked: MonthlyQuery) -> MonthlyWindow:
        """Months up to the one asked for, the current one by default, and the currency.

        `Raises` ApiError for a later month.
        """
        current = month_of_day(operator.today)
        end = current if asked.end_month is None else asked.end_month
        if end > current:
            raise bad_parameter("endMonth", f"must not be after the operator's current month, {month_string(current)}")
        months = months_to(end, asked.months)
        if months[0] < _FIRST_MONTH:
            raise bad_parameter("endMonth", "the months asked for begin before 1970-01")
        return MonthlyWindow(months, asked.currency or operator.currency)

    def is_default(self, operator: Operator, window: MonthlyWindow) -> bool:
        """Are these the default number of months up to the current one, in the operator's currency?"""
        return window == (months_to(month_of_day(operator.today), MONTHS), operator.currency)

    def is_kept(self, operator: Operator, window: MonthlyWindow) -> bool:
        """Is the first month one that retention keeps?"""
        return window.months[0] >= operator.first_month

    async def compose(
        self, cells: CellStore, operator_id: str, known: KnownOperator, group: str, window: MonthlyWindow
    ) -> Json:
        """The months from cells; version 0 when the group has none."""
        return await cells.monthly(operator_id, known, group, window.months, window.currency)

    def zeros(self, operator_id: str, known: KnownOperator, group: str, window: MonthlyWindow) -> Json:
        """The months with nothing counted, as-of and version still to be set."""
        operator, partition = known
        return monthly_data(operator_id, group, operator, {}, window.months, window.currency, partition, 0, 0)


class DistributionQuestion:
    """`chargingDistribute`."""

    def __init__(self, retention: Retention) -> None:
        self._retention = retention

    def key(self, operator_id: str, group: str) -> str:
        """The Redis key of the half-hours that are shown by default."""
        return distribution_key(operator_id, group)

    def is_plain(self, asked: DistributionQuery) -> bool:
        """Are no dates asked for?"""
        return asked.days == DAYS and asked.end_day is None

    def known(self, document: Json) -> KnownOperator | None:
        """The operator of a default document, which has no currency; none is needed here."""
        try:
            today = day_of(date.fromisoformat(document["to"]))
            return KnownOperator(self._retention.operator(document["timezone"], "", today), document["partition"])
        except (KeyError, TypeError, ValueError):
            return None

    def window(self, operator: Operator, asked: DistributionQuery) -> range:
        """Day numbers up to the one asked for, today by default. `Raises` ApiError for dates that are not kept."""
        end = operator.today if asked.end_day is None else asked.end_day
        first = operator.today + 1 - self._retention.days
        if not first <= end <= operator.today:
            raise bad_parameter(
                "endDate", f"must be a date from {iso_date(first)} to {iso_date(operator.today)}, those kept"
            )
        days = days_to(end, asked.days)
        if days[0] < first:
            raise bad_parameter("days", f"begins before {iso_date(first)}, the first date that is kept")
        return days

    def is_default(self, operator: Operator, window: range) -> bool:
        """Are these the default number of days up to today?"""
        return window == days_to(operator.today, DAYS)

    def is_kept(self, operator: Operator, window: range) -> bool:
        """Always, for `window` refuses other dates."""
        del operator, window
        return True

    async def compose(
        self, cells: CellStore, operator_id: str, known: KnownOperator, group: str, window: range
    ) -> Json:
        """The half-hours from cells; version 0 when the group has none."""
        return await cells.distribution(operator_id, known, group, window)

    def zeros(self, operator_id: str, known: KnownOperator, group: str, window: range) -> Json:
        """The half-hours with nothing counted, as-of and version still to be set."""
        return distribution_data(operator_id, group, known.operator, [0] * SLOTS, window, known.partition, 0, 0)

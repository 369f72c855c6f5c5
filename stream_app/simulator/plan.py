"""The plan of a history: which records a network's sources had sent by now, in about the order they did.

From `network` to `run`. Invariant: a function of seed, network, months and `now_ms` alone. Each day of an operator draws from a chance of
its own, and ids and versions follow from the day, so within one calendar month a repeat says the same and adds what came since. Pure: no
I/O, no clock.

With the good come the usual troubles of sources: late and doubled records, versions in the wrong order, failed attempts, corrections,
refunds, invalid sessions.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from stream_app.domain.local_time import date_of, first_day_of, month_add
from stream_app.simulator import records
from stream_app.simulator.network import DAYS_PER_MONTH, Cohort, Network, SimulatedOperator, rng
from stream_app.simulator.records import SourceRecord, Visit
from stream_app.simulator.rhythm import SEASON
from stream_app.simulator.visits import draw_regrouping, draw_visit

_REGROUPED_A_MONTH = 0.03  # of the customers
_SATURDAY = 5
_DAY = timedelta(days=1)


class History:
    """`months` calendar months of a network up to now, the current one included. An iteration gives the records of a day at a time."""

    def __init__(self, network: Network, months: int, now_ms: int) -> None:
        self._network, self._months, self._now_ms = network, months, now_ms
        self._span = {operator.id: self._days_of(operator) for operator in network.operators}
        self._first = min(first for first, _ in self._span.values())
        self._last = max(last for _, last in self._span.values())
        self.days = (self._last - self._first).days + 3  # and one before them, and one after

    def _days_of(self, operator: SimulatedOperator) -> tuple[date, date]:
        """The first and the last local day of an operator."""
        today = datetime.fromtimestamp(self._now_ms / 1000, operator.zone).date()
        month = month_add(today.year * 100 + today.month, 1 - self._months)
        return date_of(first_day_of(month)), today

    def __iter__(self) -> Iterator[list[SourceRecord]]:
        """The records of day after day: first who there is, last what is late, and the names of the operators.

        So an operator that has its name had all its history.
        """
        operators = self._network.operators
        yield [
            *(records.operator(operator, 1, named=False) for operator in operators),
            *(records.group(operator, *names) for operator in operators for names in operator.groups.values()),
        ]
        self._held: dict[date, list[SourceRecord]] = {}
        self._vips: set[tuple[str, str]] = set()
        for number in range((self._last - self._first).days + 1):
            day = self._first + timedelta(days=number)
            out: list[SourceRecord] = []
            for operator in operators:
                first, last = self._span[operator.id]
                if first <= day <= last:
                    self._live_a_day(operator, day, first, out)
            yield out + self._held.pop(day, [])
        late = self._held.pop(self._last + _DAY, [])
        yield late + [records.operator(operator, 2, named=True) for operator in operators]

    def _live_a_day(self, operator: SimulatedOperator, day: date, first: date, out: list[SourceRecord]) -> None:
        chance = rng(self._network.seed, operator.id, day)
        progress, before = ((day - first).days / (self._months * DAYS_PER_MONTH) for first in (first, first + _DAY))
        midnight_ms = int(datetime.combine(day, time(), operator.zone).astimezone(UTC).timestamp()) * 1000
        count = 0
        for cohort in operator.cohorts:
            active = cohort.active(progress)
            self._join(operator, cohort, cohort.active(before), active, out)
            self._regroup(operator, cohort, active, day, chance, out)
            behaviour = cohort.behaviour
            mean = operator.daily_visits(cohort, progress) * behaviour.week[day.weekday()] * SEASON[day.month - 1]
            curve = behaviour.weekend if day.weekday() >= _SATURDAY else behaviour.workday
            for _ in range(max(0, round(chance.gauss(mean, mean**0.5)))):
                count += 1
                start_ms = midnight_ms + int((curve.slot(chance.random()) + chance.random()) * 1_800_000)
                customer = cohort.pick(active, chance.random())
                visit = draw_visit(chance, operator, cohort, customer, f"{operator.id}-{day:%y%m%d}-{count}", start_ms)
                self._tell(operator, visit, day, chance, out)

    def _join(
        self, operator: SimulatedOperator, cohort: Cohort, before: int, active: int, out: list[SourceRecord]
    ) -> None:
        group = operator.groups.get(cohort.kind)
        if group:
            out += [records.membership(operator.id, c.id, [group[0]], 1) for c in cohort.customers[before:active]]

    def _regroup(
        self,
        operator: SimulatedOperator,
        cohort: Cohort,
        active: int,
        day: date,
        chance: Random,
        out: list[SourceRecord],
    ) -> None:
        if chance.random() < active * _REGROUPED_A_MONTH / DAYS_PER_MONTH and (
            record := draw_regrouping(chance, operator, cohort, active, self._vips, day.toordinal())
        ):
            out.append(record)

    def _tell(
        self, operator: SimulatedOperator, visit: Visit, day: date, chance: Random, out: list[SourceRecord]
    ) -> None:
        """Add the records of a visit, on time or late. The draws are the same whether the visit has happened by now or not."""
        if operator.party:
            said, news = _cdrs(operator, visit, chance)
        else:
            said, news = _session(operator, visit, chance)
            paid, refunds = _payment(operator, visit, chance)
            said, news = said + paid, news + refunds
        draw, news_days = chance.random(), chance.randint(1, 9)
        if visit.start_ms > self._now_ms:
            return
        if visit.end_ms > self._now_ms:
            said, news = [] if operator.party else [records.session(operator, visit, "ACTIVE", 1)], []
        if draw >= 0.02:
            out += said
        if draw < 0.035:  # late, or doubled
            self._held.setdefault(day + _DAY, []).extend(said)
        if news:
            self._held.setdefault(day + timedelta(days=news_days), []).extend(news)


Said = tuple[list[SourceRecord], list[SourceRecord]]  # at once, and days later


def _session(operator: SimulatedOperator, visit: Visit, chance: Random) -> Said:
    draw = chance.random()
    completed = records.session(operator, visit, "COMPLETED", 2)
    said, news = [completed], list[SourceRecord]()
    if draw < 0.12:
        said = [records.session(operator, visit, "ACTIVE", 1), completed]
    elif draw < 0.15:  # in the wrong order
        said = [completed, records.session(operator, visit, "ACTIVE", 1)]
    elif draw < 0.157:
        news = [records.session(operator, visit, "INVALID", 3)]
    elif draw < 0.162:  # began earlier than was said
        late = visit._replace(start_ms=min(visit.start_ms + 900_000, visit.end_ms))
        said, news = (
            [records.session(operator, late, "COMPLETED", 2)],
            [records.session(operator, visit, "COMPLETED", 3)],
        )
    elif draw < 0.167:  # found out later who it was
        unknown = visit._replace(customer_id=None)
        said, news = (
            [records.session(operator, unknown, "COMPLETED", 2)],
            [records.session(operator, visit, "COMPLETED", 3)],
        )
    return said, news


def _payment(operator: SimulatedOperator, visit: Visit, chance: Random) -> Said:
    draw, received = chance.random(), visit.received
    succeeded = records.payment(operator, visit, "SUCCEEDED", 1)
    said, news = [succeeded], list[SourceRecord]()
    if draw < 0.02:
        said = [records.payment(operator, visit, "FAILED", 1, suffix="-failed"), succeeded]
    elif draw < 0.03:
        said = [records.payment(operator, visit, "PENDING", 0), succeeded]
    elif draw < 0.042:
        part = received * chance.randint(10, 60) // 100
        news = [records.payment(operator, visit, "SUCCEEDED", 2, refunded=part)]
    elif draw < 0.045:
        news = [records.payment(operator, visit, "REFUNDED", 2, refunded=received)]
    elif draw < 0.048:
        news = [records.payment(operator, visit, "SUCCEEDED", 2, refunded=received)]
    elif draw < 0.053:  # billed too low at first
        less = visit._replace(received=received * 9 // 10)
        said, news = (
            [records.payment(operator, less, "SUCCEEDED", 1)],
            [records.payment(operator, visit, "SUCCEEDED", 2)],
        )
    elif draw < 0.057:
        said = [records.payment(operator, visit, "CANCELED", 1)]
    elif draw < 0.062:  # for free
        said = [records.payment(operator, visit._replace(received=0, discount=received), "SUCCEEDED", 1)]
    return said, news


def _cdrs(operator: SimulatedOperator, visit: Visit, chance: Random) -> Said:
    draw = chance.random()
    if draw < 0.01:
        return [records.cdr(operator, visit._replace(received=200), reservation=True)], []
    credit = [records.cdr(operator, visit, credit=True)] if draw < 0.025 else []
    return [records.cdr(operator, visit)], credit

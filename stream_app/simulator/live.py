"""Live traffic: the next record of the network, again and again, each with the time it is asked for.

Beside `plan`. Charges last seconds here, so that a watcher sees them end; all else is as in the history. Invariant: ids hold when the
traffic began, so two runs don't meet; of one seed, beginning and times of asking the records are the same. Pure: who asks brings the
time.
"""

from bisect import bisect
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import accumulate, count

from stream_app.simulator import records
from stream_app.simulator.network import Cohort, Network, SimulatedOperator, rng
from stream_app.simulator.records import SourceRecord, Visit
from stream_app.simulator.visits import draw_regrouping, draw_visit

_REGROUPING = 0.02  # of what begins
_SECONDS_MIN, _SECONDS_MAX = 3, 40  # of a charge


class Live:
    """A generator of live traffic. `began_ms`: epoch milliseconds of its begin."""

    def __init__(self, network: Network, began_ms: int) -> None:
        self._began_ms = began_ms
        self._chance = rng(network.seed, "live", began_ms)
        self._numbers = count(1)
        self._due: list[tuple[int, int, Callable[[int], SourceRecord]]] = []
        self._vips: set[tuple[str, str]] = set()
        self._cohorts = [(operator, cohort) for operator in network.operators for cohort in operator.cohorts]
        self._visits = list(accumulate(operator.daily_visits(cohort, 1) for operator, cohort in self._cohorts))

    def next(self, now_ms: int) -> SourceRecord:
        """The next record: of a visit under way, if one is due, else of a new visit."""
        if self._due and self._due[0][0] <= now_ms:
            return heappop(self._due)[2](now_ms)
        draw = self._chance.random() * self._visits[-1]
        operator, cohort = self._cohorts[min(bisect(self._visits, draw), len(self._cohorts) - 1)]
        if self._chance.random() < _REGROUPING:
            # The version is above all of the history.
            regrouping = draw_regrouping(self._chance, operator, cohort, cohort.active(1), self._vips, now_ms)
            if regrouping:
                return regrouping
        return self._begin(operator, cohort, now_ms)

    def _later(self, now_ms: int, seconds: float, say: Callable[[int], SourceRecord]) -> None:
        heappush(self._due, (now_ms + int(seconds * 1000), next(self._numbers), say))

    def _begin(self, operator: SimulatedOperator, cohort: Cohort, now_ms: int) -> SourceRecord:
        chance = self._chance
        customer = cohort.pick(cohort.active(1), chance.random())
        visit_id = f"{operator.id}-L{self._began_ms:x}-{next(self._numbers)}"
        visit = draw_visit(chance, operator, cohort, customer, visit_id, now_ms)
        if operator.party:
            # A CDR comes when all is over.
            return records.cdr(operator, visit._replace(end_ms=now_ms))
        self._later(
            now_ms, chance.uniform(_SECONDS_MIN, _SECONDS_MAX), lambda then: self._complete(operator, visit, then)
        )
        return records.session(operator, visit, "ACTIVE", 1)

    def _complete(self, operator: SimulatedOperator, visit: Visit, now_ms: int) -> SourceRecord:
        chance, ended = self._chance, visit._replace(end_ms=now_ms)
        completed = records.session(operator, ended, "COMPLETED", 2)
        self._later(now_ms, chance.uniform(0.2, 2), lambda then: self._pay(operator, ended, then))
        draw = chance.random()
        if draw < 0.01:
            self._later(now_ms, 20, lambda _: records.session(operator, ended, "INVALID", 3))
        elif draw < 0.03:
            self._later(now_ms, 5, lambda _: completed)  # doubled
        return completed

    def _pay(self, operator: SimulatedOperator, visit: Visit, now_ms: int) -> SourceRecord:
        paid, draw = visit._replace(end_ms=now_ms), self._chance.random()
        if draw < 0.02:
            self._later(now_ms, 3, lambda then: records.payment(operator, paid._replace(end_ms=then), "SUCCEEDED", 1))
            return records.payment(operator, paid, "FAILED", 1, suffix="-failed")
        if draw < 0.04:
            part = paid.received * self._chance.randint(10, 100) // 100
            self._later(now_ms, 30, lambda _: records.payment(operator, paid, "SUCCEEDED", 2, refunded=part))
        return records.payment(operator, paid, "SUCCEEDED", 1)

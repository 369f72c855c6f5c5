"""How old a shown result is, and which stage is to blame. Pure: ages come in seconds, nothing here knows a clock.

A partition's as-of in a sink says up to when its results hold there. The stages stand in a row: ingest, ledger, then each sink by itself,
then push. So a sink that is old while another is fresh is to blame itself, unless it is hardly behind the other and a stage before them is not
well: all are about to be old then. When all are old the cause lies before them, the earliest stage that is not well; with both well it is as-of
itself that is held (a source topic made anew, or nobody who samples).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from stream_app.health.status import Status

FRESH_S: Final = 10.0  # no older than this is fresh


class Stage(StrEnum):
    """A stage between source topics and viewers, in the order of the flow."""

    INGEST = "ingest"
    LEDGER = "ledger"
    AS_OF = "as_of"
    TOPICS = "topics"
    REDIS = "redis"
    CLICKHOUSE = "clickhouse"
    PUSH = "push"


SINKS: Final = (Stage.TOPICS, Stage.REDIS, Stage.CLICKHOUSE)


class Upstream(NamedTuple):
    """A stage before the sinks: ingest as a whole, or the ledger at one partition. `lag_s`: None is not known."""

    status: Status
    lag_s: float | None

    def is_well(self) -> bool:
        """Does the stage keep up with what it reads?"""
        return self.status == Status.OK and self.lag_s is not None and self.lag_s <= FRESH_S


def oldest(ages_s: Mapping[Stage, float | None]) -> float | None:
    """The age of the results in the sink where they are oldest; None: a sink without an as-of."""
    known = [age for age in ages_s.values() if age is not None]
    return max(known, default=None) if len(known) == len(ages_s) else None


def is_old(age_s: float | None) -> bool:
    """Are results of this age no longer fresh? None: of a sink without an as-of."""
    return age_s is None or age_s > FRESH_S


def guilty(ages_s: Mapping[Stage, float | None], ingest: Upstream, ledger: Upstream) -> Stage | None:
    """The stage to blame for a partition; None: its results are fresh in all sinks. An age of None: a sink without an as-of."""
    old = {sink: age for sink, age in ages_s.items() if is_old(age)}
    if not old:
        return None
    freshest = min((age for age in ages_s.values() if age is not None), default=0.0)
    by_itself = len(old) < len(ages_s)
    if not (by_itself and any(is_old(None if age is None else age - freshest) for age in old.values())):
        if not ingest.is_well():
            return Stage.INGEST
        if not ledger.is_well():
            return Stage.LEDGER
    if by_itself:
        return max(old, key=lambda sink: float("inf") if old[sink] is None else float(old[sink] or 0))
    return Stage.AS_OF if any(age is not None for age in ages_s.values()) else next(iter(old))


def is_push_guilty(redis_s: float | None, push_s: float | None) -> bool:
    """Did the last probe reach Redis and not a viewer? Seconds that the probe took to each; None: it has not arrived."""
    return redis_s is not None and (push_s is None or push_s - redis_s > FRESH_S)

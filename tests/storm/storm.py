"""A storm: faults one after the other, some of them two at a time, under load; then quiet, and everything held against the oracle.

What happens, when, and to what follows from the seed; how long the product takes over it does not.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from tests.oracle import Truth
from tests.oracle_room.differences import MONTHLY_COLUMNS
from tests.storm.faults import FAULTS, Fault, Place
from tests.storm.load import Load
from tests.storm.prefixes import Versions
from tests.storm.readers import ClickHouseReader, Freshness, HttpReader, Notes, Reader, RedisReader, Seen
from tests.storm.site import Site
from tests.support import outputs
from tests.support.kafka import read_topic
from tests.support.proxy import Links
from tests.support.scenario import OPERATORS, build

WORKERS: Final = (1, 2)
RECOVERY_S_MAX: Final = 300.0  # for results to be fresh again after a fault
_EQUAL_S_MAX: Final = 60.0  # for outputs that have as-of already: the topics have none of their own
_TOGETHER: Final = 0.25  # of faults, the share that begins while another one lasts
_COMPARED_MAX: Final = 600  # versions that are held against the oracle
_RECORDS_OF_ENTITY: Final = 2.0  # of the scenario, about


class Plan(NamedTuple):
    """How long a storm goes on, from which seed, under how many records a second, of which kinds of fault."""

    seed: int
    seconds: float
    per_second: float
    kinds: Collection[str]


class Recovery(NamedTuple):
    """After a fault: until results held everything taken before its end, None for not in time; and how old they were meanwhile."""

    kind: str
    alone: bool
    seconds: float | None
    oldest_s: float


@dataclass
class Found:
    """What came of a storm. `wrong` by what was looked at; it is all right when each of them is empty."""

    plan: Plan
    sent: int = 0
    compared: int = 0
    versions: int = 0
    versions_compared: int = 0
    reads: dict[str, int] = field(default_factory=dict)
    composed: int = 0  # answers of HTTP out of ClickHouse, and those of them that mix two states
    composed_mixed: int = 0
    recoveries: list[Recovery] = field(default_factory=list)
    incidents: list[str] = field(default_factory=list)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    quiet_s: float = 0.0

    @property
    def all_wrong(self) -> list[str]:
        """Everything that is wrong, as lines."""
        return [f"{what}: {line}" for what, lines in self.wrong.items() for line in lines]


def storm(plan: Plan, path: Path, say: Callable[[str], None]) -> Found:
    """Make a site in a folder, and let a storm go over it."""
    with Links() as links:
        site = Site(path, links)
        try:
            return _Storm(plan, site, links, say).run()
        finally:
            site.close()


class _Active(NamedTuple):
    """A fault that lasts until `ends_at` (monotonic)."""

    fault: Fault
    concerns: str
    course: Iterator[float]
    began_ms: int
    ends_at: float
    alone: bool


class _Storm:
    def __init__(self, plan: Plan, site: Site, links: Links, say: Callable[[str], None]) -> None:
        self._plan, self._site, self._links, self._say = plan, site, links, say
        self._rng = Random(plan.seed)
        self._found = Found(plan)
        self._notes = Notes(keep_share=0.15)
        self._freshness = {
            "redis": Freshness(site.as_of_ms),
            "clickhouse": Freshness(site.clickhouse_as_of_ms),
        }
        self._ahead: list[Fault] = []

    def run(self) -> Found:
        site, plan, found = self._site, self._plan, self._found
        deployment = site.deployment
        for topic in outputs.TOPICS.values():
            deployment.keep_for_ever(topic)  # some records have timestamps of their own
        for number in WORKERS:
            site.start_worker(number)
        for number in WORKERS:
            deployment.wait_ready(number)
        deployment.start_api()
        entities = int(plan.seconds * plan.per_second / _RECORDS_OF_ENTITY) + 1
        sends = build(plan.seed, entities, deployment.now_ms())
        names = [(operator.id, "ALL") for operator in OPERATORS]
        http = HttpReader(site, self._notes, lambda: names, plan.seed)
        redis, clickhouse = RedisReader(site, self._notes), ClickHouseReader(site, self._notes)
        with ExitStack() as readers:
            running = [
                readers.enter_context(Reader(every_s, one.read, away))
                for every_s, one, away in (
                    (0.3, redis, redis.away), (3.0, clickhouse, clickhouse.away), (0.3, http, http.away),
                    (0.2, self._freshness["redis"], ()), (0.5, self._freshness["clickhouse"], ()),
                )
            ]  # fmt: skip
            with Load(deployment.kafka, sends, plan.per_second) as load:
                self._blow()
                self._say("quiet")
                load.end()
                began = time.monotonic()
                self._settle(deployment.now_ms())
                found.quiet_s = time.monotonic() - began
        found.wrong["readers failed"] = [repr(reader.failure) for reader in running if reader.failure]
        found.wrong["not taken"] = load.failed
        found.wrong["seen by readers"] = self._notes.wrong
        found.sent, found.versions, found.reads = load.sent, self._notes.versions, self._notes.reads
        found.incidents = site.incidents
        self._compare(load, http.composed)
        return found

    # -- the storm

    def _blow(self) -> None:
        until = time.monotonic() + self._plan.seconds
        active: list[_Active] = []
        while time.monotonic() < until:
            self._revive(active)
            if not active:
                active.append(self._begin(active))
            elif len(active) == 1 and self._rng.random() < _TOGETHER and (more := self._begin(active)):
                active = [one._replace(alone=False) for one in (*active, more)]
            ending = min(active, key=lambda one: one.ends_at)
            time.sleep(max(0.0, ending.ends_at - time.monotonic()))
            active.remove(ending)
            self._end(ending, wait=not active)
        for left in active:
            self._end(left, wait=True)

    def _begin(self, active: Collection[_Active]) -> _Active:
        """The next fault of the shuffled list whose concern is free; each kind comes before one comes again."""
        busy = {one.concerns for one in active}
        wanted = [fault for fault in FAULTS if fault.kind in self._plan.kinds]
        while not (free := [fault for fault in self._ahead if not {fault.concerns} & busy]):
            self._ahead += self._rng.sample(wanted, len(wanted))
        fault = free[0]
        self._ahead.remove(fault)
        place = Place(self._site, self._links, self._rng, self._rng.choice(WORKERS))
        course = fault.run(place)
        began_ms = self._site.deployment.now_ms()
        lasts_s = next(course)
        self._say(f"{fault.kind}, for {lasts_s:.1f} s" + (f", with {', '.join(busy)} down" if busy else ""))
        return _Active(fault, fault.concerns, course, began_ms, time.monotonic() + lasts_s, not active)

    def _end(self, active: _Active, *, wait: bool) -> None:
        next(active.course, None)
        if not wait:
            return
        ended_ms, began = self._site.deployment.now_ms(), time.monotonic()
        freshness = self._freshness.get(active.concerns, self._freshness["redis"])
        seconds: float | None = None
        while time.monotonic() - began < RECOVERY_S_MAX:
            if freshness.reached(ended_ms):
                seconds = time.monotonic() - began
                break
            self._revive([])
            time.sleep(0.05)
        oldest_s = freshness.oldest_s(active.began_ms, self._site.deployment.now_ms())
        self._found.recoveries.append(Recovery(active.fault.kind, active.alone, seconds, oldest_s))
        self._say(
            f"  fresh again after {'more than ' if seconds is None else ''}{seconds or RECOVERY_S_MAX:.1f} s, oldest {oldest_s:.1f} s"
        )

    def _revive(self, active: Collection[_Active]) -> None:
        """Start workers again that ended by themselves, as their supervisor would."""
        if any(one.concerns == "worker" for one in active):
            return
        for number in sorted(self._site.workers):
            if self._site.worker_ended(number):
                end = self._site.deployment.log(f"worker-{number}").strip().splitlines()[-1:]
                self._site.incidents.append(f"worker-{number} ended by itself: {''.join(end)[:300]}")
                self._say(self._site.incidents[-1])
                self._site.start_worker(number)

    # -- the quiet after it

    def _settle(self, sent_ms: int) -> None:
        until = time.monotonic() + RECOVERY_S_MAX
        while not all(freshness.reached(sent_ms) for freshness in self._freshness.values()):
            self._revive([])
            if time.monotonic() > until:
                self._found.wrong["never fresh again"] = [f"{self._site.deployment.as_of()}, wanted {sent_ms}"]
                return
            time.sleep(0.1)

    def _compare(self, load: Load, composed: Collection[Seen]) -> None:
        deployment, found = self._site.deployment, self._found
        records = outputs.source_records(deployment)
        wanted = outputs.expected(records, deployment.now_ms())
        until = time.monotonic() + _EQUAL_S_MAX
        while (differences := outputs.differences(deployment, wanted)) and time.monotonic() < until:
            time.sleep(1)
        found.wrong["outputs"] = differences
        found.compared = values(wanted)
        versions = Versions(read_topic(deployment.kafka, "crm-stats.events-1"), records, load.taken_ms)
        kept = sorted(self._notes.kept, key=lambda seen: (seen.name.operator, seen.version))
        if len(kept) > _COMPARED_MAX:
            kept = sorted(self._rng.sample(kept, _COMPARED_MAX), key=lambda seen: (seen.name.operator, seen.version))
        found.versions_compared = len(kept)
        found.wrong["versions"] = [line for seen in kept for line in versions.wrong(seen)]
        composed = [seen for seen in composed if seen.version]
        mixed = [lines[0] for seen in composed if (lines := versions.wrong(seen))]
        found.composed, found.composed_mixed = len(composed), len(mixed)
        found.wrong["composed from ClickHouse"] = mixed


def values(wanted: Truth) -> int:
    """How many values the comparison of all outputs looks at: rows and half-hours in ClickHouse and the topics, and the documents of Redis and HTTP."""
    stored = len(wanted.monthly) * len(MONTHLY_COLUMNS) + len(wanted.half_hour) * 48
    documents = sum(
        _leaves(wanted.monthly_index(operator, group)) + _leaves(wanted.charging_distribute(operator, group))
        for operator in wanted.operators
        for group in {"ALL"} | wanted.groups_with_data(operator)
    )
    return 2 * stored + 2 * documents


def _leaves(answer: Any) -> int:
    if isinstance(answer, dict):
        return sum(map(_leaves, answer.values()))
    return sum(map(_leaves, answer)) if isinstance(answer, list) else 1


class Summary(NamedTuple):
    """Of one kind of fault: how often, seconds until fresh again, median and worst, None for not in time; the oldest result shown."""

    kind: str
    times: int
    median_s: float | None
    worst_s: float | None
    oldest_s: float


def summaries(recoveries: Collection[Recovery]) -> list[Summary]:
    """By kind of fault, and those that were two at a time."""
    by_kind: dict[str, list[Recovery]] = defaultdict(list)
    for one in recoveries:
        by_kind[one.kind if one.alone else "two at a time"].append(one)
    order = [fault.kind for fault in FAULTS] + ["two at a time"]
    out = []
    for kind in sorted(by_kind, key=order.index):
        some = by_kind[kind]
        seconds = sorted(one.seconds if one.seconds is not None else float("inf") for one in some)
        median, worst = statistics.median_high(seconds), seconds[-1]
        out.append(
            Summary(
                kind, len(some), None if median == float("inf") else median, None if worst == float("inf") else worst,
                max(one.oldest_s for one in some),
            )
        )  # fmt: skip
    return out

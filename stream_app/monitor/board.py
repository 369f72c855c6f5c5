"""What the monitor knows at this moment: the loops put it on the board, /status and /metrics show it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from stream_app.health.advice import ADVICE, SILENT, STAGES, Advice
from stream_app.health.freshness import Stage, is_push_guilty
from stream_app.monitor.document import (
    BrokerRow,
    DeadLetterRow,
    GroupRow,
    HeldRow,
    KafkaState,
    OurGroups,
    RebuildRow,
    ResultRow,
    SinkState,
    SourceRow,
    StatusDocument,
)
from stream_app.monitor.probe import ProbeLatency
from stream_app.observing.answers import AwayBroker

OLD_MS: Final = 30_000  # after which what was seen last is not shown any more as if it were so
_WORDS: Final[dict[str, Advice]] = {
    **{reason.value: advice for reason, advice in ADVICE.items()},
    **{stage.value: advice for stage, advice in STAGES.items()},
    "silent": SILENT,
}


@dataclass(slots=True)
class Board:
    """Changed by the loops only. Times are epoch milliseconds; 0: never."""

    began_ms: int
    generation: int = 0  # that is watched
    ours: OurGroups | None = None
    looked_ms: int = 0  # the last look that succeeded
    look_seconds: float = 0.0  # how long it took
    failures: int = 0
    failure: str | None = None  # why the last look failed; None: it did not
    left_out: int = 0  # partitions beyond the limit
    groups: Sequence[GroupRow] = field(default=())
    results: Sequence[ResultRow] = field(default=())
    sinks: Sequence[SinkState] = field(default=())
    sources: Sequence[SourceRow] = field(default=())
    dead_letters: Sequence[DeadLetterRow] = field(default=())
    probes: Sequence[ProbeLatency] = field(default=())  # none where nothing is probed

    rebuild: RebuildRow | None = None
    held: Sequence[HeldRow] = field(default=())
    brokers: Sequence[BrokerRow] = field(default=())  # that are away

    def miss(self, away: Mapping[int, AwayBroker], now_ms: int) -> None:
        """Note the brokers that are away now."""
        since = {row.broker: row.since_ms for row in self.brokers}
        self.brokers = [
            BrokerRow(broker, found.address, since.get(broker, now_ms), sorted(found.topics))
            for broker, found in away.items()
        ]

    def group(self, name: str) -> GroupRow | None:
        """What was seen of a group last."""
        return next((row for row in self.groups if row.group == name), None)

    def is_fresh(self, now_ms: int) -> bool:
        """Was the cluster seen lately?"""
        return now_ms - self.looked_ms <= OLD_MS

    def is_push_to_blame(self) -> bool:
        """Did the last probe reach Redis, and not the viewers of an API that was asked?"""
        probes = {probe.stage: probe for probe in self.probes}
        if Stage.PUSH not in probes or not (probes[Stage.PUSH].count or probes[Stage.PUSH].lost):
            return False
        return is_push_guilty(probes[Stage.REDIS].last_seconds, probes[Stage.PUSH].last_seconds)

    def document(self, now_ms: int) -> StatusDocument:
        """The board as /status shows it."""
        return StatusDocument(
            now_ms=now_ms,
            began_ms=self.began_ms,
            kafka=KafkaState(self.is_fresh(now_ms), self.looked_ms, self.look_seconds, self.failure),
            left_out=self.left_out,
            groups=self.groups,
            results=self.results,
            sinks=self.sinks,
            sources=self.sources,
            dead_letters=self.dead_letters,
            probes=[probe.row() for probe in self.probes],
            is_push_to_blame=self.is_push_to_blame(),
            generation=self.generation,
            ours=self.ours,
            rebuild=self.rebuild,
            brokers=self.brokers,
            held=self.held,
            words=_WORDS,
        )

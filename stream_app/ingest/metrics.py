"""What ingest counts, by source topic, for Prometheus. Source topics are few and named by the settings; operators are never a label."""

from collections.abc import Mapping, Sequence
from operator import itemgetter

from prometheus_client import CollectorRegistry, Counter

from stream_app.domain.events import CDR, ENERGY, SESSION, SourceEvents
from stream_app.sources.registry import SourceTopic

_WITH_ENERGY = frozenset((SESSION, CDR))


class IngestMetrics:
    """Counters of one ingest; without a registry nobody sees them. `sources`: source topics by their names in Kafka."""

    def __init__(self, sources: Mapping[str, SourceTopic], registry: CollectorRegistry | None = None) -> None:
        self._sources = sources
        self._taken = Counter(
            "crm_ingest_records", "Source records taken in, rejected ones among them", ["topic"], registry=registry
        )
        self._rejected = Counter(
            "crm_ingest_rejected_records", "Source records that can't be used", ["topic"], registry=registry
        )
        self._unknown_energy = Counter(
            "crm_ingest_unknown_energy_records",
            "Usable sessions and CDRs whose energy is missing or no energy: they count, with energy 0",
            ["topic"],
            registry=registry,
        )
        self._lost = Counter(
            "crm_ingest_lost_records",
            "Offsets of source records that were read, and that Kafka has lost since",
            ["topic"],
            registry=registry,
        )
        for topic, source in sources.items():  # so that a 0 is told before the first one
            self._taken.labels(topic)
            self._rejected.labels(topic)
            self._lost.labels(topic)
            if _has_energy(source):
                self._unknown_energy.labels(topic)

    def count(
        self,
        topic: str,
        taken: int,
        rejected: int,
        by_kind: Mapping[int, Mapping[str, SourceEvents]],
        unknown_energy: int,
    ) -> None:
        """Count records of a source topic that Kafka has what came of; `unknown_energy`: of those that are not in `by_kind`."""
        self._taken.labels(topic).inc(taken)
        self._rejected.labels(topic).inc(rejected)
        for kind in _WITH_ENERGY & by_kind.keys():
            unknown_energy += sum(_unknown(part.rows) for part in by_kind[kind].values())
        if unknown_energy:
            self._unknown_energy.labels(topic).inc(unknown_energy)

    def count_lost(self, topic: str, offsets: int) -> None:
        """Count records of a source topic that were read, and that Kafka has lost since."""
        self._lost.labels(topic).inc(offsets)


def _has_energy(source: SourceTopic) -> bool:
    return not _WITH_ENERGY.isdisjoint(source.kinds)


def _unknown(rows: Sequence[list[object]]) -> int:
    return list(map(itemgetter(ENERGY), rows)).count(None)

"""The board as Prometheus series. Labels are groups, topics and partitions of bounded number; operators are never a label.

`METRICS` is the closed list: what is not in it can't be exposed, and docs/metrics.md is checked against it. Series of a cluster that was not
seen lately are left out, so that nobody alerts on, or is calmed by, what was; `crm_monitor_last_look_timestamp_seconds` tells since when.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any, Final, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from stream_app.domain.errors import Reason
from stream_app.health.freshness import Stage
from stream_app.health.status import Status
from stream_app.monitor.board import Board
from stream_app.monitor.dead_letters import OTHER
from stream_app.monitor.document import GroupRow
from stream_app.monitor.probe import BUCKETS

Family = Any  # a metric family of prometheus_client
_FAMILIES: Final[dict[str, Any]] = {
    "gauge": GaugeMetricFamily,
    "counter": CounterMetricFamily,
    "histogram": HistogramMetricFamily,
}


class Metric(NamedTuple):
    """A metric as it is exposed. A counter's name ends in _total."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    shape: str = ""  # told by the name, where it is no histogram

    @property
    def kind(self) -> str:
        """Type of the metric in Prometheus' words."""
        return self.shape or ("counter" if self.name.endswith("_total") else "gauge")

    def family(self) -> Any:
        """The metric family, without samples."""
        return _FAMILIES[self.kind](self.name, self.help, labels=self.labels)


_GROUP: Final = ("group",)
_PARTITION: Final = ("group", "topic", "partition")
METRICS: Final = {
    metric.name: metric
    for metric in (
        Metric("crm_monitor_start_time_seconds", "When the monitor started"),
        Metric("crm_monitor_last_look_timestamp_seconds", "When the cluster was seen last; 0: never"),
        Metric("crm_monitor_look_seconds", "How long the last look took"),
        Metric("crm_monitor_look_failures_total", "Looks that failed"),
        Metric(
            "crm_monitor_partitions_left_out",
            "Partitions of groups beyond monitor_partitions_max, which nobody watches",
        ),
        Metric("crm_kafka_broker_away_seconds", "How long a broker that is away has been away", ("broker",)),
        Metric("crm_group_status", "1 at the status that the group has", (*_GROUP, "status")),
        Metric("crm_group_partitions", "Partitions of the group by their status", (*_GROUP, "status")),
        Metric("crm_group_members", "Members of the group", _GROUP),
        Metric("crm_group_rebalances_total", "Times that members or their partitions were others than before", _GROUP),
        Metric("crm_group_unassigned_partitions", "Partitions that no member owns", _GROUP),
        Metric("crm_group_catch_up_seconds", "Until nothing is unread, as things go; +Inf: never", _GROUP),
        Metric("crm_group_lag_records", "Offsets not consumed that can be read", _PARTITION),
        Metric("crm_group_lag_seconds", "Age of the first record that is unread", _PARTITION),
        Metric("crm_group_committed_offset", "Committed offset; none while the group never committed", _PARTITION),
        Metric("crm_group_end_offset", "Up to where the group can read", _PARTITION),
        Metric("crm_group_open_records", "Offsets in open transactions, which nobody can read yet", _PARTITION),
        Metric(
            "crm_group_retention_used_ratio",
            "Share of the topic's retention that is unread; at 1 records are lost",
            _PARTITION,
        ),
        Metric("crm_group_loss_seconds", "Until unread records are deleted, as things go; none: never", _PARTITION),
        Metric(
            "crm_result_age_seconds",
            "Age of a partition's as-of in a sink; none: the sink never said one",
            ("sink", "partition"),
        ),
        Metric(
            "crm_result_stale_partitions",
            "Partitions whose results are old somewhere, by the stage to blame",
            ("stage",),
        ),
        Metric("crm_result_stale_operators", "Operators of such partitions, by the stage to blame", ("stage",)),
        Metric("crm_result_sink_up", "1 while the sink tells its as-of", ("sink",)),
        Metric("crm_source_up", "1 while the source topic exists; none of an optional one that is missing", ("topic",)),
        Metric("crm_source_age_seconds", "Age of the source topic's last record; none: it has none", ("topic",)),
        Metric(
            "crm_source_expected_records_per_hour", "Median of the hour up to now on the last seven days", ("topic",)
        ),
        Metric("crm_source_missed_records", "Records that by that should have come since the last one", ("topic",)),
        Metric("crm_source_silent", "1 when the source topic has fallen silent", ("topic",)),
        Metric("crm_dead_letters_total", "Dead letters that came since the monitor started", ("reason",)),
        Metric("crm_probe_seconds", "From a probe's append until the stage showed it", ("stage",), "histogram"),
        Metric("crm_probe_last_success_timestamp_seconds", "When the stage showed a probe last; 0: never", ("stage",)),
        Metric("crm_probe_lost_total", "Probes that the stage did not show within 30 s", ("stage",)),
    )
}


class BoardCollector(Collector):
    """Makes the series of a board at each scrape."""

    def __init__(self, board: Board, now_ms: Callable[[], int]) -> None:
        self._board, self._now_ms = board, now_ms

    def collect(self) -> Iterator[Family]:
        """The families of METRICS with what the board holds now."""
        families = {name: metric.family() for name, metric in METRICS.items()}
        self._monitor(families)
        if self._board.is_fresh(self._now_ms()):
            for row in self._board.groups:
                _group(families, row)
            _sources(families, self._board)
        _results(families, self._board)
        _probes(families, self._board)
        yield from families.values()

    def _monitor(self, families: dict[str, Family]) -> None:
        board = self._board
        for name, value in (
            ("crm_monitor_start_time_seconds", board.began_ms / 1000),
            ("crm_monitor_last_look_timestamp_seconds", board.looked_ms / 1000),
            ("crm_monitor_look_seconds", board.look_seconds),
            ("crm_monitor_look_failures_total", board.failures),
            ("crm_monitor_partitions_left_out", board.left_out),
        ):
            families[name].add_metric((), value)
        for row in board.brokers:
            families["crm_kafka_broker_away_seconds"].add_metric(
                (str(row.broker),), (self._now_ms() - row.since_ms) / 1000
            )


def _results(families: dict[str, Family], board: Board) -> None:
    partitions: Counter[str] = Counter()
    operators: Counter[str] = Counter()
    for row in board.results:
        for sink, age in row.age_seconds.items():
            if age is not None:
                families["crm_result_age_seconds"].add_metric((sink, str(row.partition)), age)
        if row.stage is not None:
            partitions[row.stage] += 1
            operators[row.stage] += row.operators
    for stage in Stage if board.results else ():
        families["crm_result_stale_partitions"].add_metric((stage,), partitions[stage])
        families["crm_result_stale_operators"].add_metric((stage,), operators[stage])
    for state in board.sinks:
        families["crm_result_sink_up"].add_metric((state.stage,), float(state.failure is None))


def _probes(families: dict[str, Family], board: Board) -> None:
    for probe in board.probes:
        if probe.stage == Stage.PUSH and not (probe.count or probe.lost):
            continue  # nobody watches it
        bounds = [*map(str, BUCKETS), "+Inf"]
        buckets = list(zip(bounds, accumulate(probe.buckets), strict=True))
        families["crm_probe_seconds"].add_metric((probe.stage,), buckets, probe.sum_seconds)
        families["crm_probe_last_success_timestamp_seconds"].add_metric((probe.stage,), probe.last_ms / 1000)
        families["crm_probe_lost_total"].add_metric((probe.stage,), probe.lost)


def _sources(families: dict[str, Family], board: Board) -> None:
    for row in board.sources:
        for name, number in (
            ("crm_source_up", float(row.exists)),
            ("crm_source_age_seconds", row.age_seconds),
            ("crm_source_expected_records_per_hour", row.per_hour),
            ("crm_source_missed_records", row.missed),
            ("crm_source_silent", float(row.is_silent)),
        ):
            if number is not None:
                families[name].add_metric((row.topic,), number)
    known = {row.reason: row.since_start for row in board.dead_letters}
    for reason in (*Reason, OTHER):
        families["crm_dead_letters_total"].add_metric((reason,), known.get(reason, 0))


def _group(families: dict[str, Family], row: GroupRow) -> None:
    for status in Status:
        families["crm_group_status"].add_metric((row.group, status), float(status == row.status))
    if row.lag_records is None:  # of which nothing is known, and 0 would be a lie
        return
    counts: dict[Status, int] = {status: 0 for status in Status if status not in {Status.NOTFOUND, Status.UNSUPPORTED}}
    for partition in row.partitions:
        counts[partition.status] += 1
    for status, count in counts.items():
        families["crm_group_partitions"].add_metric((row.group, status), count)
    for name, value in (
        ("crm_group_members", row.members),
        ("crm_group_rebalances_total", row.rebalances),
        ("crm_group_unassigned_partitions", row.unassigned),
        ("crm_group_catch_up_seconds", math.inf if row.catch_up_seconds is None else row.catch_up_seconds),
    ):
        families[name].add_metric((row.group,), value)
    for partition in row.partitions:
        labels = row.group, partition.topic, str(partition.partition)
        for name, number in (
            ("crm_group_lag_records", partition.lag_records),
            ("crm_group_lag_seconds", partition.lag_seconds),
            ("crm_group_committed_offset", partition.committed),
            ("crm_group_end_offset", partition.end),
            ("crm_group_open_records", partition.open_records),
            ("crm_group_retention_used_ratio", partition.retention_used),
            ("crm_group_loss_seconds", partition.loss_seconds),
        ):
            if number is not None:
                families[name].add_metric(labels, number)


def registry(board: Board, now_ms: Callable[[], int]) -> CollectorRegistry:
    """The registry that exposes the board."""
    made = CollectorRegistry()
    made.register(BoardCollector(board, now_ms))
    return made

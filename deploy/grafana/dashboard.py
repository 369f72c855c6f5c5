"""Writes deploy/grafana/crm-stats.json, so that a panel is a line here. `make docs`; a test of the house calls --check.

The classic schema of dashboards, which every Grafana since 10 reads and newer ones convert. No address in it: the data source is a variable.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

PAGE: Final = Path(__file__).resolve().parent / "crm-stats.json"
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
WIDTH: Final = 24  # columns of Grafana's grid
GROUP: Final = 'group=~"$group"'

Json = dict[str, Any]


class Query(NamedTuple):
    """What is asked, and how its series are called."""

    expr: str
    legend: str


class Panel(NamedTuple):
    """A panel. `limits`: where it becomes yellow and red; `span`: columns; `kind` is Grafana's type of panel."""

    title: str
    text: str  # what it is, and what to make of it
    queries: tuple[Query, ...]
    unit: str = "s"
    limits: tuple[float, float] | None = None
    kind: str = "timeseries"
    span: int = 8


def stat(title: str, text: str, expr: str, unit: str, yellow: float, red: float) -> Panel:
    """One number of now."""
    return Panel(title, text, (Query(expr, ""),), unit, (yellow, red), "stat", 4)


ROWS: Final[dict[str, tuple[Panel, ...]]] = {
    "Now": (
        stat("Oldest result", "What people see holds up to so long ago.", "max(crm_result_age_seconds)", "s", 10, 60),
        stat("Operators with old results", "More than 10 s.", "sum(crm_result_stale_operators)", "short", 1, 1),
        stat(
            "Groups that don't read",
            "Consumer groups with a status other than OK, WARN and UNSUPPORTED.",
            'sum(crm_group_status{status!~"OK|WARN|UNSUPPORTED"})',
            "short",
            1,
            1,
        ),
        stat(
            "Silent sources",
            "Topics from which records should have come by now.",
            "sum(crm_source_silent)",
            "short",
            1,
            1,
        ),
        stat(
            "Dead letters",
            "Within the last hour.",
            "round(sum(increase(crm_dead_letters_total[1h])))",
            "short",
            1,
            100,
        ),
        stat(
            "Last look of the monitor",
            "While it does not look, all else here is missing.",
            "time() - max(crm_monitor_last_look_timestamp_seconds)",
            "s",
            30,
            60,
        ),
    ),
    "Results": (
        Panel(
            "Age by sink",
            "Of the oldest partition. One sink alone: it is to blame. All: see what stands before them.",
            (Query("max by (sink) (crm_result_age_seconds)", "{{sink}}"),),
            limits=(10, 60),
        ),
        Panel(
            "Age by sink and partition",
            "Each operator's results lie in one partition.",
            (Query('max by (sink, partition) (crm_result_age_seconds{sink=~"$sink"})', "{{sink}} {{partition}}"),),
        ),
        Panel(
            "A sink behind the others",
            "How far its as-of is behind the freshest sink of the same partition: its oldest pending key.",
            (
                Query(
                    "max by (sink) (max by (sink, partition) (crm_result_age_seconds)"
                    " - on (partition) group_left min by (partition) (crm_result_age_seconds))",
                    "{{sink}}",
                ),
            ),
        ),
        Panel(
            "Old partitions by stage to blame",
            "Partitions whose results are older than 10 s somewhere.",
            (Query("sum by (stage) (crm_result_stale_partitions)", "{{stage}}"),),
            "short",
        ),
        Panel(
            "Operators with old results by stage to blame",
            "Which they are: /operators of the monitor.",
            (Query("sum by (stage) (crm_result_stale_operators)", "{{stage}}"),),
            "short",
        ),
        Panel(
            "Sinks that answer",
            "1 while the sink tells its as-of to the monitor.",
            (Query("min by (sink) (crm_result_sink_up)", "{{sink}}"),),
            "bool_yes_no",
            kind="state-timeline",
        ),
    ),
    "Consumer groups": (
        Panel(
            "Behind",
            "Age of the first unread record, of the partition that is furthest behind.",
            (Query(f"max by (group) (crm_group_lag_seconds{{{GROUP}}})", "{{group}}"),),
            limits=(60, 600),
        ),
        Panel(
            "Unread records",
            "All partitions together.",
            (Query(f"sum by (group) (crm_group_lag_records{{{GROUP}}})", "{{group}}"),),
            "short",
        ),
        Panel(
            "Caught up in",
            "As things go. A gap where it would never be.",
            (Query(f"max by (group) (crm_group_catch_up_seconds{{{GROUP}}}) < Inf", "{{group}}"),),
        ),
        Panel(
            "Retention used",
            "Share of what the topic keeps that is unread; at 100 % records are lost.",
            (
                Query(
                    f"max by (group, topic) (crm_group_retention_used_ratio{{{GROUP}}})",
                    "{{group}} {{topic}}",
                ),
            ),
            "percentunit",
            (0.5, 0.9),
        ),
        Panel(
            "Records are lost in",
            "Until Kafka deletes unread records, as things go.",
            (Query(f"min by (group, topic) (crm_group_loss_seconds{{{GROUP}}})", "{{group}} {{topic}}"),),
        ),
        Panel(
            "Partitions that are not OK",
            "By status.",
            (
                Query(
                    f'sum by (group, status) (crm_group_partitions{{{GROUP}, status!="OK"}}) > 0',
                    "{{group}} {{status}}",
                ),
            ),
            "short",
        ),
        Panel(
            "Read and come in, records a second",
            "A group keeps up while its line lies on what comes in.",
            (
                Query(f"sum by (group) (deriv(crm_group_committed_offset{{{GROUP}}}[5m]))", "{{group}} reads"),
                Query(f"sum by (group) (deriv(crm_group_end_offset{{{GROUP}}}[5m]))", "{{group}} comes in"),
            ),
            "short",
        ),
        Panel(
            "Members, and partitions without",
            "Partitions that no member owns should be none but for the seconds of a rebalance.",
            (
                Query(f"max by (group) (crm_group_members{{{GROUP}}})", "{{group}} members"),
                Query(f"max by (group) (crm_group_unassigned_partitions{{{GROUP}}})", "{{group}} without owner"),
            ),
            "short",
        ),
        Panel(
            "Rebalances",
            "Changes of members or of what they own, in 15 minutes.",
            (Query(f"sum by (group) (increase(crm_group_rebalances_total{{{GROUP}}}[15m]))", "{{group}}"),),
            "short",
        ),
    ),
    "Sources": (
        Panel(
            "Age of the last record, and what is usual",
            "Usual: the time between two records at this hour, by the last seven days. Ten times that is silence.",
            (
                Query("max by (topic) (crm_source_age_seconds)", "{{topic}}"),
                Query("3600 / (max by (topic) (crm_source_expected_records_per_hour) > 0)", "{{topic}} usual"),
            ),
            span=12,
        ),
        Panel(
            "Records missed",
            "That should have come since the last one.",
            (Query("max by (topic) (crm_source_missed_records)", "{{topic}}"),),
            "short",
            (10, 100),
            span=6,
        ),
        Panel(
            "Dead letters by reason",
            "In 15 minutes.",
            (Query("round(sum by (reason) (increase(crm_dead_letters_total[15m]))) > 0", "{{reason}}"),),
            "short",
            span=6,
        ),
    ),
    "Probe": (
        Panel(
            "From append until it is shown",
            "A record of the monitor's own, through all stages. It stops where a stage does.",
            tuple(
                Query(
                    f"histogram_quantile({share}, sum by (stage, le) (rate(crm_probe_seconds_bucket[15m])))",
                    f"{{{{stage}}}} {name}",
                )
                for share, name in ((0.5, "p50"), (0.99, "p99"))
            ),
            span=12,
        ),
        Panel(
            "Last seen",
            "How long ago a probe was shown. One is sent each ten seconds.",
            (Query("time() - max by (stage) (crm_probe_last_success_timestamp_seconds)", "{{stage}}"),),
            "s",
            (60, 120),
            span=6,
        ),
        Panel(
            "Lost",
            "In 15 minutes: not shown within 30 s.",
            (Query("round(sum by (stage) (increase(crm_probe_lost_total[15m])))", "{{stage}}"),),
            "short",
            (1, 10),
            span=6,
        ),
    ),
    "Monitor": (
        Panel(
            "A look takes",
            "The monitor looks each two seconds; what takes longer makes all else later.",
            (Query("max(crm_monitor_look_seconds)", "look"),),
        ),
        Panel(
            "Brokers that are away",
            "How long each has been away, as the monitor sees it.",
            (Query("max by (broker) (crm_kafka_broker_away_seconds)", "broker {{broker}}"),),
            "s",
        ),
        Panel(
            "Looks that failed",
            "In 5 minutes.",
            (Query("sum(increase(crm_monitor_look_failures_total[5m]))", "failed"),),
            "short",
        ),
        Panel(
            "Partitions that nobody watches",
            "Of other teams' groups, beyond monitor_partitions_max.",
            (Query("max(crm_monitor_partitions_left_out)", "left out"),),
            "short",
        ),
    ),
}


def variable(name: str, label: str, metric: str) -> Json:
    """One that is chosen from a label's values, all by default."""
    query = f"label_values({metric}, {name})"
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": name, "qryType": 1},
        "refresh": 2,  # when the time range changes
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def thresholds(limits: tuple[float, float] | None) -> Json:
    """Green, and from the limits on yellow and red."""
    steps: list[Json] = [{"color": "green", "value": None}]
    for colour, limit in zip(("yellow", "red"), limits or (), strict=False):
        steps.append({"color": colour, "value": limit})
    return {"mode": "absolute", "steps": steps}


def panel(spec: Panel, number: int, x: int, y: int, height: int) -> Json:
    """A panel at its place."""
    defaults: Json = {"unit": spec.unit, "min": 0, "thresholds": thresholds(spec.limits)}
    options: Json = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    if spec.kind == "stat":
        defaults["color"] = {"mode": "thresholds"}
        options = {
            "colorMode": "value",
            "graphMode": "area",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        }
    elif spec.kind == "state-timeline":
        defaults["mappings"] = [
            {
                "type": "value",
                "options": {"0": {"text": "no", "color": "red"}, "1": {"text": "yes", "color": "green"}},
            }
        ]
        options = {**options, "showValue": "never", "mergeValues": True}
    else:
        custom: Json = {"lineWidth": 1, "fillOpacity": 5, "showPoints": "never", "spanNulls": False}
        if spec.limits:
            custom["thresholdsStyle"] = {"mode": "dashed"}
        defaults |= {"color": {"mode": "palette-classic"}, "custom": custom}
    return {
        "id": number,
        "type": spec.kind,
        "title": spec.title,
        "description": spec.text,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": spec.span, "h": height},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "editorMode": "code",
                "expr": query.expr,
                "legendFormat": query.legend or "__auto",
                "range": True,
            }
            for index, query in enumerate(spec.queries)
        ],
    }


def panels() -> list[Json]:
    """All of them, row by row, from left to right."""
    made: list[Json] = []
    y = 0
    for title, specs in ROWS.items():
        made.append(
            {
                "id": len(made) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
                "panels": [],
            }
        )
        y += 1
        x, height = 0, 4 if specs[0].kind == "stat" else 8
        for spec in specs:
            if x + spec.span > WIDTH:
                x, y = 0, y + height
            made.append(panel(spec, len(made) + 1, x, y, height))
            x += spec.span
        y += height
    return made


def dashboard() -> Json:
    """The whole."""
    return {
        "uid": "crm-stats",
        "title": "CRM statistics",
        "description": "How old results are, who is to blame, and what is about to be lost. What to do: docs/operations.md.",
        "tags": ["crm-stats"],
        "schemaVersion": 41,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,  # one cross-hair over all panels
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
                variable("group", "Consumer group", "crm_group_status"),
                variable("sink", "Sink", "crm_result_age_seconds"),
            ]
        },
        "annotations": {
            "list": [
                {
                    "name": "Alerts",
                    "datasource": SOURCE,
                    "enable": True,
                    "iconColor": "red",
                    "expr": 'ALERTS{alertstate="firing", alertname=~"Crm.*", alertname!="CrmWatchdog"}',
                    "titleFormat": "{{alertname}}",
                }
            ]
        },
        "panels": panels(),
    }


def page() -> str:
    """The file as it should be."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        if PAGE.read_text() != page():
            sys.exit("deploy/grafana/crm-stats.json is not what dashboard.py says: make docs")
    else:
        PAGE.write_text(page())

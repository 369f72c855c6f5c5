"""What `stream-app status` prints of the monitor's answer: a table for each question, then what to do. Asks nobody."""

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from stream_app.monitor.document import BrokerRow, GroupRow, RebuildRow, StatusDocument

_COLOURS = {"OK": "green", "WARN": "yellow", "UNSUPPORTED": "dim"}  # all others: red
_PARTITIONS_SHOWN = 12


def page(shown: StatusDocument) -> Group:
    """All of it."""
    parts: list[Any] = []
    if not shown.kafka.is_seen:
        parts.append(Text(f"Kafka is not seen: {shown.kafka.failure or 'not yet'}", style="bold red"))
    parts += [_broker(row, shown.now_ms) for row in shown.brokers]
    if shown.rebuild is not None:
        parts.append(_rebuild(shown.rebuild, shown.generation))
    parts.append(_groups(shown))
    if bad := _partitions(shown):
        parts.append(bad)
    parts += [Text(), _results(shown), Text(), _sources(shown)]
    if shown.probes:
        parts += [Text(), _probes(shown)]
    if shown.dead_letters:
        parts += [Text(), _letters(shown)]
    if advice := _advice(shown):
        parts += [Text(), *(Text(line, style="yellow") for line in advice)]
    if shown.left_out:
        parts.append(Text(f"{shown.left_out} partitions are not watched: monitor_partitions_max", style="yellow"))
    return Group(*parts)


def _broker(row: BrokerRow, now_ms: int) -> Text:
    """A broker that is away, and what stands still."""
    text = f"Broker {row.broker} ({row.address or 'address not known'}) is away for {span((now_ms - row.since_ms) / 1000)}: "
    if row.topics:
        return Text(f"{text}partitions of {', '.join(row.topics)} stand still", style="bold red")
    return Text(f"{text}others lead its partitions, nothing stands still", style="yellow")


def _rebuild(row: RebuildRow, serving: int) -> Text:
    """How far the next generation is."""
    share = 1 - row.lag_records / row.records if row.records else 1.0
    text = (
        f"Generation {row.generation} is being built beside {serving}, which serves: {share:.0%} of the events topic is read, "
        f"{row.lag_records:,} records are left ({row.group}, {row.events_partitions} partitions)"
    )
    if row.rate is not None:
        text += f", {row.rate:,.0f} a second"
    if row.lag_records and row.catch_up_seconds is not None:
        text += f", {span(row.catch_up_seconds)} to go"
    if row.members:
        return Text(text, style="cyan")
    return Text(
        f"{text}. Its rebuild does not run: start stream-app rebuild again, or drop it by --drop", style="yellow"
    )


def _groups(shown: StatusDocument) -> Table:
    table = _table("consumer group", "status", "since", "why")
    for name in ("unread", "behind", "caught up", "lost in", "members"):
        table.add_column(name, justify="right")
    for row in shown.groups:
        since = span((shown.now_ms - row.since_ms) / 1000) if row.since_ms else ""
        table.add_row(
            row.group,
            _status(row.status),
            since,
            shown.words[row.reason].means,
            "?" if row.lag_records is None else f"{row.lag_records:,}",
            "?" if row.lag_seconds is None else span(row.lag_seconds),
            _caught_up(row),
            "" if row.loss_seconds is None else span(row.loss_seconds),
            f"{row.members}",
        )
    return table


def _partitions(shown: StatusDocument) -> Table | None:
    """Those that are not well, the furthest behind first."""
    bad = [(group.group, row) for group in shown.groups for row in group.partitions if row.status != "OK"]
    if not bad:
        return None
    table = _table("consumer group", "partition", "status", "why")
    for name in ("unread", "behind", "in /s", "out /s"):
        table.add_column(name, justify="right")
    for name, row in sorted(bad, key=lambda one: -(one[1].lag_seconds or 0))[:_PARTITIONS_SHOWN]:
        table.add_row(
            name,
            f"{row.topic}/{row.partition}",
            _status(row.status),
            shown.words[row.reason].means,
            f"{row.lag_records:,}",
            "?" if row.lag_seconds is None else span(row.lag_seconds),
            f"{row.incoming:,.0f}",
            f"{row.outgoing:,.0f}",
        )
    if len(bad) > _PARTITIONS_SHOWN:
        table.caption = f"and {len(bad) - _PARTITIONS_SHOWN} more"
    return table


def _results(shown: StatusDocument) -> Table:
    """A row for each sink: the oldest of its partitions, and who is to blame."""
    table = _table("results in")
    table.add_column("age", justify="right")
    for name in ("old partitions", "to blame", "answers"):
        table.add_column(name, overflow="fold")
    for state in shown.sinks:
        sink = state.stage
        ages = [age for row in shown.results if (age := row.age_seconds[sink]) is not None]
        old = [row for row in shown.results if row.stage and row.is_old_in(sink)]
        stages = sorted({row.stage for row in old if row.stage})
        table.add_row(
            sink,
            span(max(ages)) if ages and len(ages) == len(shown.results) else "?",
            Text(", ".join(str(row.partition) for row in old), style="red"),
            Text(", ".join(shown.advice_of(stage).means for stage in stages), style="red"),
            Text("yes", style="green") if state.failure is None else Text(state.failure, style="red"),
        )
    return table


def _sources(shown: StatusDocument) -> Table:
    table = _table("source", "status")
    for name in ("last record", "an hour, usually", "missed"):
        table.add_column(name, justify="right")
    for row in shown.sources:
        status = Text("OK", style="green")
        if not row.exists:
            status = Text(row.failure or "is missing", style="bold red")
        elif row.is_silent:
            status = Text(f"SILENT: {shown.words['silent'].means}", style="bold red")
        table.add_row(
            row.topic,
            status,
            "never" if row.age_seconds is None else f"{span(row.age_seconds)} ago",
            "?" if row.per_hour is None else f"{row.per_hour:,.0f}",
            f"{row.missed:,.0f}",
        )
    return table


def _probes(shown: StatusDocument) -> Table:
    """How long a record takes from end to end."""
    table = _table("probe, from append to")
    for name in ("last", "p50", "p99", "probes", "lost"):
        table.add_column(name, justify="right")
    table.add_column("seen", overflow="fold")
    for row in shown.probes:
        times = ["" if seconds is None else span(seconds) for seconds in (row.last_seconds, row.p50, row.p99)]
        seen = Text("yes", style="green") if row.failure is None else Text(row.failure, style="yellow")
        if row.stage == "push" and shown.is_push_to_blame:
            seen = Text(shown.words["push"].means, style="bold red")
        table.add_row(row.stage, *times, f"{row.count:,}", f"{row.lost:,}", seen)
    return table


def _letters(shown: StatusDocument) -> Table:
    table = _table("dead letters")
    for name in ("since start", "seen", "last"):
        table.add_column(name, justify="right")
    table.add_column("such as", overflow="fold")
    for row in shown.dead_letters:
        last = span((shown.now_ms - row.last_ms) / 1000)
        table.add_row(row.reason, str(row.since_start), str(row.seen), f"{last} ago", f"{row.example} {row.detail}")
    return table


def _advice(shown: StatusDocument) -> list[str]:
    found: dict[str, list[str]] = {}
    for group in shown.groups:
        if todo := shown.words[group.reason].todo:
            found.setdefault(todo, []).append(group.group)
    for stage, todo in _old_results(shown):
        found.setdefault(todo, []).append(f"results of {stage}")
    for source in shown.sources:
        if source.is_silent:
            found.setdefault(shown.words["silent"].todo, []).append(source.topic)
    if shown.is_push_to_blame:
        found.setdefault(shown.words["push"].todo, []).append("push")
    return [f"{', '.join(concerned)}: {todo}." for todo, concerned in found.items()]


def _old_results(shown: StatusDocument) -> list[tuple[str, str]]:
    """The partitions whose results are old, in words, and what to do; one for each stage to blame."""
    by_stage: dict[str, list[str]] = {}
    for row in shown.results:
        if row.stage:
            by_stage.setdefault(row.stage, []).append(str(row.partition))
    return [
        (
            "all partitions" if len(old) == len(shown.results) else f"partition {', '.join(old)}",
            shown.advice_of(stage).todo,
        )
        for stage, old in by_stage.items()
    ]


def _caught_up(row: GroupRow) -> str:
    if row.lag_records is None:
        return "?"
    if row.catch_up_seconds is None:
        return "keeps up" if row.status == "OK" else "never"
    return f"in {span(row.catch_up_seconds)}" if row.catch_up_seconds else "is"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name == columns[0])
    return table


def _status(status: str) -> Text:
    return Text(status, style=_COLOURS.get(status, "bold red"))


def span(seconds: float) -> str:
    """A span as people say it: 0.4 s, 42 s, 5 min, 3 h 10 min, 2 d 4 h."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"

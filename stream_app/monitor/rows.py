"""Rows of the document out of histories: the judgement of a partition with its numbers, and the sum of a group's partitions."""

from collections.abc import Sequence

from stream_app.health.history import History
from stream_app.health.lag import Retention, catch_up_s, lag_ms, lag_records, loss_in_s, rates, retention_used
from stream_app.health.status import Judgement, Limits, Reason, Situation, Status, judge, worst
from stream_app.monitor.document import GroupRow, PartitionRow


def partition_row(
    tp: tuple[str, int],
    *,
    history: History,
    retention: Retention,
    members: int,
    has_members: bool,
    recreated: bool,
    before: Reason | None,
    held: int,
    owned: bool | None,
    limits: Limits,
) -> PartitionRow:
    """The row of a partition: the judgement of its history, and the numbers."""
    last = history.last
    assert last is not None
    now_ms, points = last.time_ms, history.points()
    at = Situation(now_ms, history, retention, members, has_members, recreated, before)
    status, reason = judge(at, limits)
    age_ms, speed = lag_ms(now_ms, last), rates(history.pace())
    return PartitionRow(
        *tp,
        status=status,
        reason=reason,
        lag_records=lag_records(last),
        lag_seconds=None if age_ms is None else age_ms / 1000,
        committed=last.committed,
        start=last.start,
        end=last.end,
        open_records=held,
        owned=owned,
        incoming=speed.incoming,
        outgoing=speed.outgoing,
        catch_up_seconds=catch_up_s(lag_records(last), speed),
        retention_used=retention_used(now_ms, last, retention),
        loss_seconds=loss_in_s(now_ms, points, retention),
    )


def group_row(
    group: str,
    *,
    is_new: bool,
    members: int,
    rebalances: int,
    partitions: Sequence[PartitionRow],
    before: GroupRow | None,
    now_ms: int,
) -> GroupRow:
    """The row of a group: records of its partitions add up, of seconds the worst counts."""
    status, reason = worst(Judgement(row.status, row.reason) for row in partitions)
    ages = [row.lag_seconds for row in partitions if row.lag_seconds is not None]
    catch_up = [row.catch_up_seconds for row in partitions]
    return GroupRow(
        group=group,
        kind="consumer" if is_new else "classic",
        status=status,
        reason=reason,
        since_ms=before.since_ms if before is not None and before.status == status else now_ms,
        members=members,
        rebalances=rebalances,
        unassigned=sum(row.owned is False for row in partitions),
        lag_records=sum(row.lag_records for row in partitions),
        lag_seconds=max(ages, default=0.0 if not partitions else None),
        catch_up_seconds=None if None in catch_up else max((s for s in catch_up if s is not None), default=0.0),
        retention_used=max((row.retention_used for row in partitions if row.retention_used is not None), default=None),
        loss_seconds=min((row.loss_seconds for row in partitions if row.loss_seconds is not None), default=None),
        partitions=partitions,
    )


def missing_row(group: str, now_ms: int, before: GroupRow | None) -> GroupRow:
    """The row of a group that should exist and does not."""
    since_ms = before.since_ms if before is not None and before.status == Status.NOTFOUND else now_ms
    return GroupRow(group, "classic", Status.NOTFOUND, Reason.NOT_THERE, since_ms)


def share_row(group: str, kind: str) -> GroupRow:
    """The row of a share group: it has no committed offsets, so its lag is unknown, which is not 0."""
    return GroupRow(group, kind, Status.UNSUPPORTED, Reason.SHARE_GROUP, 0)

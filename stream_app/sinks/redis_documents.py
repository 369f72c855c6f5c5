"""Which documents a partition has in Redis, at which version, and the calls that bring them there. Reads the view, never the network."""

from collections.abc import Iterator

import orjson

from stream_app.domain.cells import Group, Operator
from stream_app.domain.events import ALL
from stream_app.domain.report import (
    default_days,
    default_months,
    distribution_data,
    groups_data,
    has_documents,
    monthly_data,
    operator_entry,
    shown_groups,
    sum_slots,
)
from stream_app.ports.sinks import Dirty, View
from stream_app.sinks.lua import PUT
from stream_app.sinks.redis_calls import Call
from stream_app.sinks.redis_keys import distribution_key, groups_key, monthly_key, updates_channel

REMOVED = b""  # what the script takes for the document when there should be none


def monthly_document(view: View, operator_id: str, operator: Operator, group_id: str, group: Group) -> bytes:
    """The default answer of `monthlyIndex`; removed, when the group has none."""
    if not has_documents(operator, group_id, group):
        return REMOVED
    months = default_months(operator)
    cells = dict(zip(months, view.monthly(operator_id, group_id, months), strict=True))
    return orjson.dumps(
        monthly_data(
            operator_id,
            group_id,
            operator,
            cells,
            months,
            operator.currency,
            view.partition,
            group.monthly_as_of,
            group.monthly_version,
        )
    )


def distribution_document(view: View, operator_id: str, operator: Operator, group_id: str, group: Group) -> bytes:
    """The default answer of `chargingDistribute`; removed, when the group has none."""
    if not has_documents(operator, group_id, group):
        return REMOVED
    days = default_days(operator)
    counts = sum_slots(view.half_hours(operator_id, group_id, days))
    return orjson.dumps(
        distribution_data(
            operator_id,
            group_id,
            operator,
            counts,
            days,
            view.partition,
            group.half_hour_as_of,
            group.half_hour_version,
        )
    )


def groups_document(groups: dict[str, Group]) -> bytes:
    """The answer of `groups`."""
    return orjson.dumps(groups_data(shown_groups(groups)))


def listed_groups(document: bytes | None) -> list[str]:
    """Ids that a document of groups names; none, if it is anything else."""
    try:
        return [str(entry["groupId"]) for entry in orjson.loads(document or b"")["groups"]]
    except (ValueError, KeyError, TypeError):
        return []


def entry_document(operator_id: str, operator: Operator) -> bytes:
    """An operator's entry of the answer of `operators`."""
    return orjson.dumps(operator_entry(operator_id, operator))


def puts(view: View, dirty: Dirty) -> Iterator[Call]:
    """A call for each document that is concerned, composed when it is asked for."""
    concerned: dict[str, tuple[set[str], set[str]]] = {}  # operator: groups whose monthly, whose distribution document
    for monthly in dirty.monthly:
        concerned.setdefault(monthly.operator, (set(), set()))[0].add(monthly.group)
    for half_hour in dirty.half_hour:
        concerned.setdefault(half_hour.operator, (set(), set()))[1].add(half_hour.group)
    for operator_id in dirty.operators:  # one that is new has no cell yet, and shows zeros
        for group_ids in concerned.setdefault(operator_id, (set(), set())):
            group_ids.add(ALL)
    for operator_id, (monthly_groups, distribution_groups) in concerned.items():
        operator = view.operator(operator_id)
        if operator is None:
            continue
        groups, channel = view.groups(operator_id), updates_channel(operator_id)
        if operator.today:  # before the first clock record no window is known
            # A document is removed unless it is newer than all that this partition knows.
            newest = max((max(group.monthly_version, group.half_hour_version) for group in groups.values()), default=0)
            for group_id in monthly_groups:
                group = groups.get(group_id) or Group()
                document = monthly_document(view, operator_id, operator, group_id, group)
                version = newest if document is REMOVED else group.monthly_version
                yield Call(PUT, [monthly_key(operator_id, group_id)], [document, version, channel])
            for group_id in distribution_groups:
                group = groups.get(group_id) or Group()
                document = distribution_document(view, operator_id, operator, group_id, group)
                version = newest if document is REMOVED else group.half_hour_version
                yield Call(PUT, [distribution_key(operator_id, group_id)], [document, version, channel])
        if operator_id in dirty.operators:
            yield Call(PUT, [groups_key(operator_id)], [groups_document(groups), b"", channel])

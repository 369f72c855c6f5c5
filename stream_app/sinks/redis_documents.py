"""Which documents a partition has in Redis, at which version, and the calls that bring them there.

Reads the view, never the network.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from stream_app.domain.cells import Group, Operator
from stream_app.domain.events import ALL
from stream_app.domain.report import Place, default_document, groups_data, has_documents, operator_entry, shown_groups
from stream_app.domain.tables import TABLES, Table
from stream_app.ports.sinks import Dirty, View
from stream_app.sinks.lua import PUT
from stream_app.sinks.redis_calls import Call
from stream_app.sinks.redis_keys import document_key, groups_key, seen_key, updates_channel

REMOVED = b""  # what the script takes for the document when there should be none


def default_answer(
    table: Table[Any], view: View, operator_id: str, operator: Operator, group_id: str, group: Group
) -> bytes:
    """The default answer of a table; removed, when the group has none."""
    if not has_documents(operator, group_id, group):
        return REMOVED
    shown = group.of(table.name)
    place = Place(operator_id, operator, group_id, view.partition, shown.as_of, shown.version)
    cells = view.series(table, operator_id, group_id, table.default_periods(operator))
    return orjson.dumps(default_document(table, place, cells))


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
    concerned: dict[str, dict[str, set[str]]] = {}  # operator: table: groups
    for name, keys in dirty.cells.items():
        for key in keys:
            concerned.setdefault(key.operator, {}).setdefault(name, set()).add(key.group)
    for operator_id in dirty.operators:  # one that is new has no cell yet, and shows zeros
        for table in TABLES:
            concerned.setdefault(operator_id, {}).setdefault(table.name, set()).add(ALL)
    for operator_id, by_table in concerned.items():
        own = _State.of(view, operator_id)
        channel, seen = updates_channel(operator_id), seen_key(operator_id)
        for table in TABLES:
            for group_id in by_table.get(table.name, ()):
                if view.version != own.version:  # a tick was committed while the calls before were on their way
                    own = _State.of(view, operator_id)
                if own.operator is None or not own.operator.today:  # before the first clock record no window is known
                    continue
                group = own.groups.get(group_id) or Group()
                document = default_answer(table, view, operator_id, own.operator, group_id, group)
                # A document is removed unless it is newer than all that this partition knows.
                version = own.newest if document is REMOVED else group.of(table.name).version
                name = document_key(table, operator_id, group_id)
                yield Call(PUT, [name, seen], [document, version, own.version, channel])
        if operator_id in dirty.operators:
            own = _State.of(view, operator_id)
            if own.operator is not None:
                listed = groups_document(own.groups)
                yield Call(PUT, [groups_key(operator_id), seen], [listed, b"", own.version, channel])


class _State(NamedTuple):
    """What documents of an operator are made of besides cells, all of one state of the partition, whose version it has."""

    version: int
    operator: Operator | None
    groups: dict[str, Group]
    newest: int  # version of the operator's documents

    @classmethod
    def of(cls, view: View, operator_id: str) -> "_State":
        """As the view is now."""
        groups = view.groups(operator_id)
        newest = max((group.version for group in groups.values()), default=0)
        return cls(view.version, view.operator(operator_id), groups, newest)

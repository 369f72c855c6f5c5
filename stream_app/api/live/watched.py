"""A watched group with its latest documents, one of each kind, and its viewers.

Place: under `feed`, which decides what is new. Invariant: a viewer holds no document, only which kinds it has still to
be sent, so a slow one costs no memory and gets the latest. Does no I/O.
"""

import asyncio
import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import orjson

from stream_app.api.errors import ApiError

_LAST_EVENT_ID: Final = re.compile(r"[0-9]{1,19}(?:-[0-9]{1,19})*", re.ASCII)


def event_id(versions: Iterable[int]) -> bytes:
    """The id of an event, from the versions of all documents that the client has then, in the order of kinds."""
    return "-".join(map(str, versions)).encode()


def read_event_id(event_id: str, kinds: Sequence[str]) -> dict[str, int]:
    """Undo `event_id`: versions by kind. One of before there were so many kinds names the first of them.

    Nothing, if it is none of ours.
    """
    versions = event_id.split("-") if _LAST_EVENT_ID.fullmatch(event_id) else []
    return dict(zip(kinds, map(int, versions), strict=False)) if len(versions) <= len(kinds) else {}


class Document(NamedTuple):
    """A default answer as an event holds it; `stands_in` as `Answer` has it."""

    data: bytes
    bare: bytes  # without its as-of, which changes by itself
    version: int
    stands_in: bool = False

    def follows(self, other: "Document | None") -> bool:
        """Whether viewers have to be sent this document after the other.

        The first document of a group may have the version that its zeros took from the operator's.
        """
        if other is None or self.version > other.version:
            return True
        return self.version == other.version and self.bare != other.bare


class WatchedGroup:
    """A group of an operator that has viewers: its latest documents by kind, and the reads that are under way."""

    def __init__(self, operator_id: str, group_id: str, kinds: Sequence[str]) -> None:
        self.kinds = kinds  # in the order of events
        self.operator_id = operator_id
        self.group_id = group_id
        self.holders = 0  # viewers, and who waits to be one
        self.viewers: set[Viewer] = set()
        self.latest: dict[str, Document] = {}
        self.as_of: dict[str, bytes] = {}  # kind: up to when its latest document is known to hold
        self.partition = b""
        self.changed: set[str] = set()
        self.reads: dict[str, asyncio.Task[ApiError | None]] = {}
        self._named = orjson.dumps({"operatorId": operator_id, "groupId": group_id})[:-1]

    def state(self) -> bytes:
        """What `as-of` and `stale` say."""
        return b'%b,"partition":%b,"asOf":"%b"}' % (self._named, self.partition, min(self.as_of.values()))


class Viewer:
    """A viewer of a watched group; `wake` is set when an event is due."""

    def __init__(self, watched: WatchedGroup, seen: dict[str, int], wake: asyncio.Event) -> None:
        self.watched = watched
        self.wake = wake
        self._seen = dict.fromkeys(watched.kinds, -1) | seen
        self._pending = {kind for kind in watched.kinds if watched.latest[kind].version > self._seen[kind]}
        self._state = False

    def notify(self, kind: str | None) -> None:
        """A document of this kind has changed; None: the as-of has, or staleness."""
        if kind is None:
            self._state = True
        else:
            self._pending.add(kind)
        self.wake.set()

    def due_events(self, *, live: bool) -> bytes:
        """The events that are due now, as bytes; none of them is due any more."""
        events = []
        for kind in self.watched.kinds:
            if kind in self._pending:
                document = self.watched.latest[kind]
                if document.stands_in and document.version < self._seen[kind]:
                    continue  # another process has sent a newer one
                self._seen[kind] = document.version
                identity = event_id(max(0, version) for version in self._seen.values())
                events.append(b"event: %b\nid: %b\ndata: %b\n\n" % (kind.encode(), identity, document.data))
        if self._state:
            events.append(b"event: %b\ndata: %b\n\n" % (b"as-of" if live else b"stale", self.watched.state()))
        self._pending.clear()
        self._state = False
        return b"".join(events)

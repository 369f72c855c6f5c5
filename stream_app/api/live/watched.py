"""A watched group with its latest documents, and its viewers.

Place: under `feed`, which decides what is new. Invariant: a viewer holds no document, only which kinds it has still to
be sent, so a slow one costs no memory and gets the latest. Does no I/O.
"""

import asyncio
from typing import Final, NamedTuple

import orjson

from stream_app.api.errors import ApiError

MONTHLY, DISTRIBUTION = "monthly", "distribution"
KINDS: Final = (MONTHLY, DISTRIBUTION)


class Document(NamedTuple):
    """A default answer as an event holds it."""

    data: bytes
    bare: bytes  # without its as-of, which changes by itself
    version: int

    def follows(self, other: "Document | None") -> bool:
        """Whether viewers have to be sent this document after the other.

        The first document of a group may have the version that its zeros took from the operator's.
        """
        if other is None or self.version > other.version:
            return True
        return self.version == other.version and self.bare != other.bare


class WatchedGroup:
    """A group of an operator that has viewers: its latest documents, and the reads that are under way."""

    def __init__(self, operator_id: str, group_id: str) -> None:
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
        self._seen = dict.fromkeys(KINDS, -1) | seen
        self._pending = {kind for kind in KINDS if watched.latest[kind].version > self._seen[kind]}
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
        for kind in KINDS:
            if kind in self._pending:
                document = self.watched.latest[kind]
                self._seen[kind] = document.version
                identity = b"%d-%d" % tuple(max(0, self._seen[each]) for each in KINDS)
                events.append(b"event: %b\nid: %b\ndata: %b\n\n" % (kind.encode(), identity, document.data))
        if self._state:
            events.append(b"event: %b\ndata: %b\n\n" % (b"as-of" if live else b"stale", self.watched.state()))
        self._pending.clear()
        self._state = False
        return b"".join(events)

"""Operators of a partition that are applied apart from the others: one whose zone changes is counted anew for seconds.

Place: beside the ledger of a partition's state, which has all other operators. Operators share nothing but the clock, so
the order of their events among each other changes nothing. What frames hold of an operator that is apart is held, and
applied in order by a ledger of its own, in steps, while the events of the others are applied, committed and published.
Its rows, and so its documents, stay as they are until it has caught up. Then the ledger of all takes it over, and one
transaction has all that changed of it.

Invariant: what an operator apart has applied is in no row before it is taken over, so after a failure its events are
applied again, from the frame on that it began with.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from stream_app.domain.events import Events
from stream_app.domain.ledger import LateEvent, Ledger
from stream_app.domain.working import Settings
from stream_app.formats.rows import Ahead, Position
from stream_app.partition.frozen_rows import FrozenRows

_NEAR: Final = 500  # events: some milliseconds
_STEP_EVENTS: Final = 1_000  # of frames applied at once: some 20 ms
_END: Final = object()


class _Apart:
    """One operator. `since`: the offset of the first frame that it is held of."""

    def __init__(self, ledger: Ledger, since: int) -> None:
        self.ledger, self.since = ledger, since
        self._held: deque[Sequence[Events]] = deque()
        self._steps: Iterator[None] | None = None
        self.late: list[LateEvent] = []
        self._has_begun = False
        self.events = 0  # that are held

    def hold(self, parts: Sequence[Events]) -> None:
        self._held.append(parts)
        self.events += _count(parts)

    @property
    def is_near(self) -> bool:
        """Is what it has not applied a matter of some milliseconds, as far as can be known? While frames keep coming it is never nothing."""
        return self._steps is None and (not self._held or (self._has_begun and self.events <= _NEAR))

    def step(self) -> bool:
        """Work for some milliseconds; False when nothing is held."""
        if self._steps is None:
            if not self._held:
                return False
            frames: list[tuple[None, Sequence[Events]]] = []
            count = 0
            while self._held and count < _STEP_EVENTS:
                frames.append((None, self._held.popleft()))
                count += _count(frames[-1][1])
            self.events -= count
            self._has_begun = True
            self._steps = self.ledger.applying(frames)
        if next(self._steps, _END) is _END:
            self._steps = None
            self.late += self.ledger.late
        return True


def _count(parts: Iterable[Events]) -> int:
    return sum(part.count for part in parts)


class OperatorsApart:
    """Those of one partition. Made of the row of its position: those that an earlier owner had not taken over."""

    def __init__(self, frozen: FrozenRows, settings: Settings, position: Position) -> None:
        self._rows, self._settings = frozen, settings
        self._apart: dict[str, _Apart] = {}
        self._complete = position.offset, position.last_frame  # as long as there are any
        for name, since in position.ahead.since.items() if position.ahead is not None else ():
            self._apart[name] = self._new(name, since, position.now)

    def _new(self, name: str, since: int, now: int) -> _Apart:
        return _Apart(Ledger(self._rows, self._settings, now, name), since)

    def __len__(self) -> int:
        return len(self._apart)

    def __contains__(self, name: str) -> bool:
        return name in self._apart

    def begin(self, name: str, now: int, since: int, last_frame: int) -> None:
        """An operator is apart from this frame on: all before is frozen. `last_frame`: the checksum of the one below."""
        if not self._apart:
            self._complete = since, last_frame
        self._apart[name] = self._new(name, since, now)

    def complete(self, applied: int, last_frame: int) -> tuple[int, int]:
        """The offset up to which all operators hold everything, and the checksum of the frame below, if all others do up to `applied`."""
        return self._complete if self._apart else (applied, last_frame)

    def ahead(self, applied: int, last_frame: int) -> Ahead | None:
        """What the row of the position says of the frames behind its offset."""
        since = {name: apart.since for name, apart in self._apart.items()}
        return Ahead(applied, last_frame, since) if since else None

    @property
    def events(self) -> int:
        """How many are held."""
        return sum(apart.events for apart in self._apart.values())

    @property
    def are_near(self) -> bool:
        """Is what all of them have not applied yet little?"""
        return all(apart.is_near for apart in self._apart.values())

    def hold(self, offset: int, parts: Iterable[Events]) -> list[Events]:
        """Take what a frame holds of operators apart; the rest of it."""
        own: dict[str, list[Events]] = {}
        rest = []
        for part in parts:
            apart = self._apart.get(part.operator)
            if apart is not None and offset >= apart.since:
                own.setdefault(part.operator, []).append(part)
            else:
                rest.append(part)
        for name, held in own.items():
            self._apart[name].hold(held)
        return rest

    def step(self) -> bool:
        """Let the first that has more than little to do work for some milliseconds; between steps anything may come. False when there is none."""
        return any(apart.step() for apart in self._apart.values() if not apart.is_near)

    def catching_up(self) -> Iterator[None]:
        """Let all of them apply what is held of them, in steps."""
        for apart in self._apart.values():
            while apart.step():
                yield

    def end(self) -> list[tuple[str, Ledger, list[LateEvent]]]:
        """All of them, which have caught up, with their ledgers and the events that were rejected: nobody is apart any longer.

        Not one after the other: what rows hold at an offset must have been said of them once only.
        """
        found = [(name, apart.ledger, apart.late) for name, apart in self._apart.items()]
        self._apart.clear()
        return found
